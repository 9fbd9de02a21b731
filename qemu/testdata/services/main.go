// Services is the program with which package qemu tests the services on the metal.
// Each boot it tells what the one before left: a line of the log, a message, a task
// and its result, a setting.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/metric"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

func main() {
	ctx := context.Background()
	s, err := system.OpenHere(ctx)
	fail(err)
	fmt.Println("level", log.Least.In(s.Config))
	boots, kernelLines := 1, 0
	for l, err := range s.Log.Read(ctx, log.Query{Least: slog.LevelDebug}) {
		fail(err)
		if l.Message == "up" {
			boots++
		}
		if l.Source == "kernel" {
			kernelLines++
		}
	}
	fmt.Println("boot", boots, "kernel said something:", kernelLines > 0)
	slog.New(s.Log.Handler()).Debug("up")

	err = s.Message.CreateMailbox(ctx, message.Mailbox{Name: "carry"})
	if !errors.Is(err, message.ErrExists) {
		fail(err)
	}
	if d, err := s.Message.TryReceive(ctx, "carry"); err == nil {
		fmt.Printf("message %s\n", d.Body)
		fail(d.Ack(ctx))
	}

	fail(s.Task.Register(ctx, task.Program{Name: "double"}, func(c *task.Context) ([]byte, error) {
		return append(c.Args, c.Args...), nil
	}))
	go s.Task.Work(ctx, "worker", 2)
	var id uint64
	_, err = s.Store.Update(ctx, &engine.Op{Name: "all or nothing"}, func(tx *table.Tx) error {
		if _, err := s.Message.In(ctx, tx).Send("carry", message.Outgoing{Body: fmt.Append(nil, "of boot ", boots)}); err != nil {
			return err
		}
		id, err = s.Task.In(tx).Submit(user.From(ctx), task.Request{Program: "double", Args: fmt.Append(nil, boots)})
		return err
	})
	fail(err)
	end, err := s.Task.Wait(ctx, id)
	fail(err)
	fmt.Printf("task %s: %s\n", end.State, end.Value)
	figures(ctx, s)
	fail(s.Store.Check(ctx, func(p engine.Problem) { fail(fmt.Errorf("%s: %s", p.Where, p.What)) }))
	fail(s.Close())
	fmt.Println("done")
}

// figures says which of those that the machine's parts count are missing from a sample,
// or are zero.
func figures(ctx context.Context, s *system.System) {
	fail(s.Metric.Sample(ctx, time.Now()))
	fail(s.Store.View(ctx, func(tx *table.Tx) error {
		for _, name := range []string{
			"kernel_memory_free_bytes", "kernel_processors", "kernel_uptime_seconds", "kernel_switches_total", "kernel_interrupts_total", "kernel_calls_total",
			"disk_bytes", "disk_writes_total", "disk_written_bytes_total", "disk_flushes_total",
			"file_free_bytes", "store_commits_total", "message_written_total", "task_started_total", "go_goroutines",
		} {
			series, err := metric.ByName.Get(tx, name, "")
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if last, err := metric.Samples.First(tx, table.Prefix(series.ID, time.Duration(0)).Reverse()); err != nil || last.Value <= 0 {
				return fmt.Errorf("%s is %v: %w", name, last.Value, err)
			}
		}
		_, err := metric.ByName.Get(tx, "net_received_frames_total", `device="lo"`)
		return err
	}))
	fmt.Println("figures of all parts")
}

func fail(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(3)
	}
}
