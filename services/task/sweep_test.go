package task_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

// TestSweep: tasks that have ended go after a time, or when there are too many of
// them, without anybody asking; those that wait stay.
func TestSweep(t *testing.T) {
	ctx := context.Background()
	tables := slices.Concat(task.Tables(), user.Tables(), config.Tables())
	st, err := store.Open(ctx, vfs.NewMem(), store.Options{}, tables...)
	check(t, err)
	c, err := config.Open(ctx, st, config.Options{Override: map[string]string{"task.keep": "1h", "task.most": "10"}}, task.Settings()...)
	check(t, err)
	var clock atomic.Int64
	clock.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	s, err := task.Open(ctx, st, task.Options{Config: c, Now: func() time.Time { return time.UnixMicro(clock.Load()) }, Log: t.Logf})
	check(t, err)
	t.Cleanup(func() {
		whole(t, st)
		s.Close()
		c.Close()
		check(t, st.Close())
	})
	register(t, s, "empty", func(*task.Context) ([]byte, error) { return nil, nil })
	worker, err := s.Join(ctx, "test", 100)
	check(t, err)
	// run has tasks run, and lets time pass.
	run := func(n int, pass time.Duration) {
		t.Helper()
		_, err := s.SubmitAll(ctx, slices.Repeat([]task.Request{{Program: "empty", Key: ""}}, n))
		check(t, err)
		got, err := s.Claim(ctx, worker, n)
		check(t, err)
		for i := range got {
			check(t, s.Complete(ctx, got[i].Token(), nil))
		}
		clock.Add(pass.Microseconds())
		check(t, s.Tick(ctx))
	}
	want := func(what string, n int) {
		t.Helper()
		have := 0
		for _, err := range s.List(ctx, task.Query{}) {
			check(t, err)
			have++
		}
		if have != n {
			t.Errorf("%s: %d tasks, want %d", what, have, n)
		}
	}
	_, err = s.Submit(ctx, task.Request{Program: "empty", Delay: 1000 * time.Hour})
	check(t, err)
	run(3, 30*time.Minute)
	want("after half an hour", 1+3)
	run(3, 40*time.Minute)
	want("after 70 and 40 minutes", 1+3)
	run(1, 2*time.Hour)
	want("after two hours", 1)
	run(30, 2*time.Minute)
	want("after many", 1+10)
}
