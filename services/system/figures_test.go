package system_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/metric"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/task"
)

// TestFigures: what the services have done is among the samples.
func TestFigures(t *testing.T) {
	ctx := t.Context()
	s, err := system.Open(ctx, vfs.NewMem(), system.Options{Override: map[string]string{"metric.step": "1h"}})
	must(t, err)
	defer func() { must(t, s.Close()) }()

	must(t, s.Message.CreateMailbox(ctx, message.Mailbox{Name: "box"}))
	for range 3 {
		_, err := s.Message.Send(ctx, "box", message.Outgoing{Body: []byte("x")})
		must(t, err)
	}
	must(t, s.Message.Process(ctx, "box", func(*table.Tx, message.Message) error { return nil }))
	must(t, s.Message.CreateTopic(ctx, message.Topic{Name: "news"}))
	_, err = s.Message.Publish(ctx, "news", message.Outgoing{Body: []byte("x")})
	must(t, err)

	must(t, s.Task.Register(ctx, task.Program{Name: "even"}, func(c *task.Context) ([]byte, error) {
		if c.Task.ID%2 == 1 {
			return nil, errors.New("odd")
		}
		return nil, nil
	}))
	working, stop := context.WithCancel(ctx)
	worked := make(chan error, 1)
	go func() { worked <- s.Task.Work(working, "test", 2) }()
	for range 5 {
		id, err := s.Task.Submit(ctx, task.Request{Program: "even"})
		must(t, err)
		_, err = s.Task.Wait(ctx, id)
		must(t, err)
	}
	stop()
	must(t, <-worked)

	f, err := s.File.Root().Create("file", file.New{Mode: syscall.S_IFREG | 0o644})
	must(t, err)
	_, err = f.WriteAt([]byte("text"), 0)
	must(t, err)
	must(t, s.File.Sync())

	must(t, s.Metric.Sample(ctx, time.Now()))
	for _, c := range []struct {
		name, labels string
		least, most  float64
	}{
		{"message_written_total", "", 3, 3},
		{"message_removed_total", "", 1, 1},
		{"message_published_total", "", 1, 1},
		{"message_waiting", "", 0, 0},
		{"task_started_total", "", 5, 5},
		{"task_ended_total", `state="done"`, 2, 2},
		{"task_ended_total", `state="failed"`, 3, 3},
		{"task_ended_total", `state="lost"`, 0, 0},
		{"task_awaited", "", 0, 0},
		{"task_idle_workers", "", 0, 0},
		{"file_groups_total", "", 1, 1000},
		{"file_unsaved_bytes", "", 0, 0},
	} {
		if have := latest(t, s, c.name, c.labels); have < c.least || have > c.most {
			t.Errorf("%s{%s} is %v, want %v to %v", c.name, c.labels, have, c.least, c.most)
		}
	}
}

// latest is the last sample of a figure.
func latest(t *testing.T, s *system.System, name, labels string) (value float64) {
	t.Helper()
	must(t, s.Store.View(t.Context(), func(tx *table.Tx) error {
		series, err := metric.ByName.Get(tx, name, labels)
		if err != nil {
			return err
		}
		last, err := metric.Samples.First(tx, table.Prefix(series.ID, time.Duration(0)).Reverse())
		value = last.Value
		return err
	}))
	return value
}
