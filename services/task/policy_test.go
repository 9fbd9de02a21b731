package task_test

import (
	"runtime"
	"testing"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/task"
)

// The policy is a row: whoever changes it by a transaction of their own changes which
// task is taken next, as soon as the service has heard of it. What is no policy changes
// nothing.
func TestPolicyRow(t *testing.T) {
	s, st := open(t, task.Options{})
	ctx := t.Context()
	register(t, s, "empty", func(*task.Context) ([]byte, error) { return nil, nil })
	worker, err := s.Join(ctx, "test", 100)
	check(t, err)
	var ids []uint64
	for _, priority := range []int8{1, 5, 3, 9, 2, 8} {
		id, err := s.Submit(ctx, task.Request{Program: "empty", Priority: priority})
		check(t, err)
		ids = append(ids, id)
	}
	take := func(want int) {
		t.Helper()
		got, err := s.TryClaim(ctx, worker, 1)
		if err != nil || len(got) != 1 || got[0].Task.ID != ids[want] {
			t.Fatalf("taken %+v, %v; want task %d", got, err, ids[want])
		}
	}
	set := func(order, goesBy string) {
		t.Helper()
		_, err := st.Update(ctx, nil, func(tx *table.Tx) error {
			return task.Policies.Put(tx, &task.Policy{Name: "default", Order: order})
		})
		check(t, err)
		for now := s.Order(); now != "" && now != goesBy; now = s.Order() {
			runtime.Gosched()
		}
	}
	take(3)
	set("due", "due")
	take(0)
	set("priority, due", "priority, due")
	take(4)
	set("no policy", "priority, due")
	take(2)
	set("due", "due")
	take(1)
	take(5)
}

// With load in the policy a task goes to the worker that is the least busy for the places
// it has.
func TestLeastLoaded(t *testing.T) {
	s, st := open(t, task.Options{})
	ctx := t.Context()
	began := make(chan bool)
	register(t, s, "hold", func(c *task.Context) ([]byte, error) {
		began <- true
		<-c.Done()
		return nil, nil
	})
	check(t, s.SetPolicy(ctx, "load, due"))
	const wide, narrow = 6, 2
	work(t, s, wide)
	work(t, s, narrow)
	for s.Idle() < 2 {
		runtime.Gosched()
	}
	submit := func(n int) {
		t.Helper()
		for range n {
			_, err := s.Submit(ctx, task.Request{Program: "hold"})
			check(t, err)
			<-began
		}
	}
	running := func() map[uint32]uint32 {
		t.Helper()
		of := map[uint32]uint32{}
		check(t, st.View(ctx, func(tx *table.Tx) error {
			for w, err := range task.Workers.Scan(tx, table.Span{}) {
				check(t, err)
				of[w.Slots] = w.Running
			}
			return nil
		}))
		return of
	}
	for _, c := range []struct {
		more             int
		onWide, onNarrow uint32
	}{{4, 3, 1}, {4, 6, 2}} {
		submit(c.more)
		if of := running(); of[wide] != c.onWide || of[narrow] != c.onNarrow {
			t.Errorf("%d of %d places and %d of %d are taken, want %d and %d", of[wide], wide, of[narrow], narrow, c.onWide, c.onNarrow)
		}
	}
}
