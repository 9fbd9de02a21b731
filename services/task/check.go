package task

import (
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// Check proves that the tables of tasks agree with each other: each ready task can
// be found and no other, each running task has a lease of a worker, leases and
// loads count right, and each delayed task has its timer. Violations are reported;
// the error is only about not being able to go on.
func Check(tx *table.Tx, report func(engine.Problem)) error {
	c := checker{tx: tx, report: report, running: map[string]uint32{}, left: map[uint64]uint32{}, held: map[uint64]uint32{}}
	return errors.Join(c.tasks(), c.readies(), c.leases(), c.workers(), c.loads())
}

type checker struct {
	tx      *table.Tx
	report  func(engine.Problem)
	running map[string]uint32 // tasks, by queue
	left    map[uint64]uint32 // by lease
	held    map[uint64]uint32 // by worker
}

func (c *checker) wrong(table string, key any, format string, args ...any) {
	c.report(engine.Problem{Where: fmt.Sprintf("table %s, row %v", table, key), What: fmt.Sprintf(format, args...)})
}

func (c *checker) tasks() error {
	for t, err := range Tasks.Scan(c.tx, table.Span{}) {
		if err == nil {
			err = c.task(&t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) task(t *Task) error {
	_, err := Readies.Get(c.tx, t.Queue, t.Priority, t.Due, t.ID)
	if err = c.expect(t, "be among those that are ready", t.State == Waiting, err); err != nil {
		return err
	}
	_, err = Timers.Get(c.tx, t.Due, t.ID, timeReady)
	if t.State == Delayed || err != nil { // a timer may be left over
		if err = c.expect(t, "have a timer", t.State == Delayed, err); err != nil {
			return err
		}
	}
	if t.Input {
		if _, err = Inputs.Get(c.tx, t.ID); err != nil {
			c.wrong(Tasks.Name(), t.ID, "its input: %v", err)
		}
	}
	if t.State.Taken() {
		c.running[t.Queue]++
		c.left[t.Lease]++
		c.held[t.Worker]++
		l, err := Leases.Get(c.tx, t.Lease)
		if err != nil || l.Worker != t.Worker {
			c.wrong(Tasks.Name(), t.ID, "it is %s under lease %d of worker %d: %+v, %v", t.State, t.Lease, t.Worker, l, err)
		}
	}
	if t.State.Ended() != t.Ended.Valid {
		c.wrong(Tasks.Name(), t.ID, "it is %s and ended at %v", t.State, t.Ended)
	}
	return nil
}

// expect compares whether a row is there with whether it should be.
func (c *checker) expect(t *Task, what string, want bool, err error) error {
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return err
	}
	if there := err == nil; there != want {
		c.wrong(Tasks.Name(), t.ID, "a task that is %s must %s: %v, not %v", t.State, what, want, there)
	}
	return nil
}

func (c *checker) readies() error {
	for r, err := range Readies.Scan(c.tx, table.Span{}) {
		if err != nil {
			return err
		}
		if t, err := Tasks.Get(c.tx, r.Task); err != nil || t.State != Waiting || t.Queue != r.Queue || t.Priority != r.Priority {
			c.wrong(Readies.Name(), r.Task, "the task is %+v, %v", t, err)
		}
	}
	return nil
}

func (c *checker) leases() error {
	for l, err := range Leases.Scan(c.tx, table.Span{}) {
		if err != nil {
			return err
		}
		if l.Left != c.left[l.ID] || l.Left == 0 {
			c.wrong(Leases.Name(), l.ID, "%d of its tasks are left, and %d run", l.Left, c.left[l.ID])
		}
	}
	return nil
}

func (c *checker) workers() error {
	for w, err := range Workers.Scan(c.tx, table.Span{}) {
		if err != nil {
			return err
		}
		if w.Running != c.held[w.ID] {
			c.wrong(Workers.Name(), w.ID, "it has %d tasks, and %d run", w.Running, c.held[w.ID])
		}
	}
	return nil
}

func (c *checker) loads() error {
	for l, err := range Loads.Scan(c.tx, table.Span{}) {
		if err != nil {
			return err
		}
		if l.Running != c.running[l.Queue] {
			c.wrong(Loads.Name(), l.Queue, "%d tasks are said to run, and %d do", l.Running, c.running[l.Queue])
		}
	}
	return nil
}
