package task_test

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

// A program is told to stop by the end of its context: when it is canceled, when
// its deadline passes, when its worker ends. It acts for its user, in its task.
func TestStop(t *testing.T) {
	s, _ := open(t, task.Options{})
	began := make(chan user.Caller, 1)
	register(t, s, "wait", func(c *task.Context) ([]byte, error) {
		began <- user.From(c)
		<-c.Done()
		return nil, context.Cause(c)
	})
	working, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Work(working, "test", 2) }()

	id, err := s.Submit(t.Context(), task.Request{Program: "wait"})
	check(t, err)
	if c := <-began; c.User != user.Root || c.Program != "wait" || c.Task != "1" {
		t.Errorf("the caller is %+v", c)
	}
	check(t, s.Cancel(t.Context(), id))
	if st, err := s.Wait(t.Context(), id); err != nil || st.State != task.Canceled {
		t.Errorf("got %+v, %v", st, err)
	}

	// A machine may be so busy that the deadline passes before the task begins.
	for patience := 20 * time.Millisecond; len(began) == 0; patience *= 2 {
		id, err = s.Submit(t.Context(), task.Request{Program: "wait", Deadline: time.Now().Add(patience)})
		check(t, err)
		if st, err := s.Wait(t.Context(), id); err != nil || st.State != task.Failed || st.Task.Status != 124 {
			t.Fatalf("got %+v, %v", st, err)
		}
	}
	<-began

	id, err = s.Submit(t.Context(), task.Request{Program: "wait"})
	check(t, err)
	<-began
	stop()
	check(t, <-ended)
	if st, err := s.Get(t.Context(), id); err != nil || st.State != task.Waiting || st.Attempt != 1 {
		t.Errorf("after its worker has ended: %+v, %v", st, err)
	}
}

// A task that is canceled as its worker is about to begin it stops, too, long before
// the worker would ask again.
func TestStopAtOnce(t *testing.T) {
	s, _ := open(t, task.Options{Lease: time.Hour, Grace: time.Hour})
	register(t, s, "wait", func(c *task.Context) ([]byte, error) {
		<-c.Done()
		return nil, context.Cause(c)
	})
	work(t, s, 4)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 300 {
		id, err := s.Submit(ctx, task.Request{Program: "wait"})
		check(t, err)
		check(t, s.Cancel(ctx, id))
		if st, err := s.Wait(ctx, id); err != nil || st.State != task.Canceled {
			t.Fatalf("got %+v, %v", st, err)
		}
	}
}

// A task that does not stop is abandoned, its worker goes on with others, and
// what it does later has no effect.
func TestAbandoned(t *testing.T) {
	s, _ := open(t, task.Options{Grace: 10 * time.Millisecond})
	began, goOn, result := make(chan bool), make(chan bool), make(chan error, 1)
	register(t, s, "deaf", func(c *task.Context) ([]byte, error) {
		began <- true
		<-goOn
		_, err := s.Update(context.Background(), c.Token(), nil, func(*table.Tx) error { return nil })
		result <- err
		return nil, nil
	})
	register(t, s, "other", func(*task.Context) ([]byte, error) { return nil, nil })
	work(t, s, 1)
	id, err := s.Submit(t.Context(), task.Request{Program: "deaf"})
	check(t, err)
	<-began
	other, err := s.Submit(t.Context(), task.Request{Program: "other"})
	check(t, err)
	check(t, s.Cancel(t.Context(), id))
	if st, err := s.Wait(t.Context(), id); err != nil || st.State != task.Canceled {
		t.Errorf("got %+v, %v", st, err)
	}
	if st, err := s.Wait(t.Context(), other); err != nil || st.State != task.Done {
		t.Errorf("got %+v, %v", st, err)
	}
	close(goOn)
	if err := <-result; !errors.Is(err, task.ErrFenced) {
		t.Errorf("the abandoned task's transaction: %v", err)
	}
}

// What others submit within transactions wakes idle workers, also where the
// transaction stayed open for a while.
func TestOthersTransactions(t *testing.T) {
	s, st := open(t, task.Options{})
	register(t, s, "nothing", func(*task.Context) ([]byte, error) { return nil, nil })
	work(t, s, 1)
	ctx := t.Context()
	var id uint64
	_, err := st.Update(ctx, nil, func(tx *table.Tx) (err error) {
		id, err = s.In(tx).Submit(user.From(ctx), task.Request{Program: "nothing"})
		return err
	})
	check(t, err)
	_, err = s.Wait(ctx, id)
	check(t, err)

	tx, err := st.Begin(ctx, &engine.Op{})
	check(t, err)
	id, err = s.In(tx).Submit(user.From(ctx), task.Request{Program: "nothing"})
	check(t, err)
	_, err = s.Submit(ctx, task.Request{Program: "nothing"}) // the dispatcher looks, and finds nothing else
	check(t, err)
	_, err = tx.Commit(ctx)
	check(t, err)
	_, err = s.Wait(ctx, id)
	check(t, err)
}

// Many clients and workers at once, some with limits: every task is run once.
func TestMany(t *testing.T) {
	s, _ := open(t, task.Options{})
	ctx := t.Context()
	check(t, s.SetQueue(ctx, task.Queue{Name: "narrow", Concurrency: 3, Weight: 1}))
	var mu sync.Mutex
	running, most := 0, 0
	register(t, s, "count", func(c *task.Context) ([]byte, error) {
		if c.Task.Queue == "narrow" {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			runtime.Gosched()
			mu.Lock()
			running--
			mu.Unlock()
		}
		_, err := c.Update("count", func(tx *table.Tx) error { return effects.Insert(tx, &effect{Task: c.Task.ID}) })
		return nil, err
	})
	for range 3 {
		work(t, s, 4)
	}
	var clients sync.WaitGroup
	for n := range 8 {
		clients.Go(func() {
			for i := range 50 {
				r := task.Request{Program: "count", Priority: int8(i % 3)}
				if n%2 == 0 {
					r.Queue = "narrow"
				}
				id, err := s.Submit(ctx, r)
				if err == nil && i%5 == 0 {
					_, err = s.Wait(ctx, id)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	for k, err := range s.List(ctx, task.Query{}) {
		check(t, err)
		end, err := s.Wait(ctx, k.ID)
		if err != nil || end.State != task.Done || end.Attempt != 1 || end.Commits != 1 {
			t.Errorf("got %+v, %v", end, err)
		}
	}
	if most > 3 {
		t.Errorf("%d tasks of the queue ran at once", most)
	}
}

// A policy that is taken, written in other words, is the same policy, with one term for
// each part of the text.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		"priority desc, due", "share", "load, place desc", "Deadline ASC,attempt", "submitted desc", "due, submitted",
		"", ",", "due,", "due due due",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, words, err := task.Parsed(text)
		if err != nil {
			return
		}
		got, again, err := task.Parsed(words)
		if err != nil || !reflect.DeepEqual(got, want) || again != words {
			t.Errorf("%q is %+v, written as %q, which is %+v, %v", text, want, words, got, err)
		}
		if n := strings.Count(words, ","); words == "" || n != strings.Count(text, ",") {
			t.Errorf("%q is written as %q", text, words)
		}
	})
}
