package task_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// effect is what a task of the tests leaves behind.
type effect struct {
	Task uint64 `table:"key"`
	Run  uint64 `table:"key"`
}

var effects = table.Declare[effect]("effects")

func openStore(t testing.TB, fs vfs.FS) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), fs, store.Options{}, append(append(task.Tables(), user.Tables()...), effects)...)
	check(t, err)
	return st
}

// open opens a service, which ends with the test, after a check of all it has.
func open(t testing.TB, o task.Options) (*task.Service, *store.Store) {
	t.Helper()
	st := openStore(t, vfs.NewMem())
	o.Log = t.Logf
	s, err := task.Open(context.Background(), st, o)
	check(t, err)
	t.Cleanup(func() {
		whole(t, st)
		s.Close()
		check(t, st.Close())
	})
	return s, st
}

// whole checks the store and the tables of tasks.
func whole(t testing.TB, st *store.Store) {
	t.Helper()
	report := func(p engine.Problem) { t.Errorf("%s: %s", p.Where, p.What) }
	check(t, st.Check(context.Background(), report))
	check(t, st.View(context.Background(), func(tx *table.Tx) error { return task.Check(tx, report) }))
}

// work runs a worker until the test ends.
func work(t testing.TB, s *task.Service, slots int, queues ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Work(ctx, "test", slots, queues...) }()
	t.Cleanup(func() {
		stop()
		check(t, <-ended)
	})
}

func register(t testing.TB, s *task.Service, name string, fn task.Func) {
	t.Helper()
	check(t, s.Register(context.Background(), task.Program{Name: name}, fn))
}

func TestRun(t *testing.T) {
	s, _ := open(t, task.Options{})
	register(t, s, "echo", func(c *task.Context) ([]byte, error) {
		return fmt.Appendf(nil, "%s %s", c.Args, c.Env["HOME"]), nil
	})
	register(t, s, "fail", func(*task.Context) ([]byte, error) { return nil, errors.New("no") })
	register(t, s, "panic", func(*task.Context) ([]byte, error) { panic("oh") })
	work(t, s, 4)
	ctx := t.Context()
	run := func(r task.Request) task.Status {
		t.Helper()
		id, err := s.Submit(ctx, r)
		check(t, err)
		st, err := s.Wait(ctx, id)
		check(t, err)
		return st
	}
	if st := run(task.Request{Program: "echo", Args: []byte("hi"), Env: map[string]string{"HOME": "/"}}); st.State != task.Done || string(st.Value) != "hi /" || st.Attempt != 1 {
		t.Errorf("got %+v", st)
	}
	if st := run(task.Request{Program: "fail", Retry: task.Retry{Attempts: 3, Backoff: time.Millisecond}}); st.State != task.Failed || st.Failure != "no" || st.Attempt != 3 || st.Status != 1 {
		t.Errorf("got %+v", st)
	}
	if st := run(task.Request{Program: "panic"}); st.State != task.Failed || st.Failure != "panic: oh" || !strings.Contains(st.Stack, "task_test.go") || st.Status != 2 {
		t.Errorf("got %+v", st)
	}
}
