package task

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Outcome is how an attempt at a task ended.
type Outcome struct {
	Token
	Value   []byte // what came out
	Failure string // why it failed; "": it did not
	Stack   string // where, if it panicked
	Status  int32  // as of a process; 0 with a Failure is 1
	Final   bool   // another attempt is of no use
	Commits uint32 // transactions that were made

	// Err is set by the service: ErrFenced if the task was not this worker's.
	Err error
}

// Complete ends a task well, with what came out of it.
func (s *Service) Complete(ctx context.Context, t Token, value []byte) error {
	return s.hand(ctx, "task.Complete", &Outcome{Token: t, Value: value})
}

// Fail ends an attempt at a task with an error. If attempts are left, unless the
// error is Permanent, there will be another.
func (s *Service) Fail(ctx context.Context, t Token, failure error) error {
	o := &Outcome{Token: t}
	o.fail(failure)
	return s.hand(ctx, "task.Fail", o)
}

// fail notes an error of a program.
func (o *Outcome) fail(err error) {
	o.Failure, o.Status = err.Error(), statusFailed
	if o.Failure == "" {
		o.Failure = "an error without a text"
	}
	var coded interface{ ExitStatus() int }
	if errors.As(err, &coded) && coded.ExitStatus() != 0 {
		o.Status = int32(coded.ExitStatus())
	}
	var permanent *permanentError
	o.Final = errors.As(err, &permanent)
}

func (s *Service) hand(ctx context.Context, name string, o *Outcome) error {
	err := s.group.do(ctx, &request{caller: user.From(ctx), name: name, durable: true, ends: true, part: func(p *proc) error {
		t, err := p.task(o.Task)
		if err != nil {
			return err
		}
		if t.Lease == o.Lease && t.State.Taken() {
			if _, err := p.mine(t.Worker); err != nil {
				return err
			}
		}
		return p.end(o)
	}})
	return errors.Join(err, o.Err)
}

// end ends an attempt. Without the lease it only says so, in o.Err.
func (p *proc) end(o *Outcome) error {
	o.Err = nil
	if len(o.Value) > maxArgs {
		o.Value, o.Failure, o.Final = nil, "its result is larger than a task can keep: put it into a file", true
	}
	t, err := p.task(o.Task)
	switch {
	case errors.Is(err, ErrUnknown), err == nil && (t.Lease != o.Lease || !t.State.Taken()):
		o.Err = fmt.Errorf("%s: %w", o.Token, ErrFenced)
		return nil
	case err != nil:
		return err
	}
	p.wrote = true
	if err := p.release(&t); err != nil {
		return err
	}
	t.Commits += o.Commits
	switch {
	case o.Failure == "":
		// It came to its end, whoever wanted to stop it.
		return p.conclude(&t, Done, 0, Result{Value: o.Value})
	case t.State == Stopping:
		return p.stopped(&t, o.Failure)
	}
	status := o.Status
	if status == 0 {
		status = statusFailed
	}
	again, err := p.retryAt(&t, o)
	if err != nil {
		return err
	}
	if again.IsZero() {
		return p.conclude(&t, Failed, status, Result{Error: o.Failure, Stack: o.Stack, Value: o.Value})
	}
	t.Status = status
	if err := p.keep(&t, Result{Error: o.Failure, Stack: o.Stack}); err != nil {
		return err
	}
	return p.await(&t, again)
}

// release takes a task from its worker: the lease has one fewer.
func (p *proc) release(t *Task) error {
	if t.Started.Valid {
		t.Busy += max(p.now.Sub(t.Started.V), 0)
	}
	p.readied = true // a slot or a place under a limit is free
	q, err := p.queue(t.Queue)
	switch {
	case err == nil:
		q.gave()
	case !errors.Is(err, ErrUnknown):
		return err
	}
	l, err := p.lease(t.Lease)
	if err != nil {
		return err
	}
	if l.Left > 0 {
		l.Left--
	}
	w, err := p.worker(t.Worker)
	if err != nil {
		return err
	}
	if w.Running > 0 {
		w.Running--
	}
	return nil
}

// conclude ends a task for good.
func (p *proc) conclude(t *Task, state State, status int32, r Result) error {
	if err := t.become(state); err != nil {
		return err
	}
	t.Status = status
	t.Ended = sql.Null[time.Time]{V: p.now, Valid: true}
	p.ended(t, &r)
	if t.Deadline.Valid {
		if err := p.dropTimer(t.Deadline.V, t.ID, timeDeadline); err != nil {
			return err
		}
	}
	return p.keepAnd(t, r, func() error { return Tasks.Put(p.tx, t) })
}

// keep stores a result, if there is one or was one.
func (p *proc) keep(t *Task, r Result) error {
	return p.keepAnd(t, r, func() error { return nil })
}

func (p *proc) keepAnd(t *Task, r Result, then func() error) error {
	some := len(r.Value) > 0 || r.Error != "" || r.Stack != ""
	if some || t.Result {
		t.Result = true
		r.Task = t.ID
		if err := Results.Put(p.tx, &r); err != nil {
			return err
		}
	}
	return then()
}

// stopped ends a task that was told to stop.
func (p *proc) stopped(t *Task, failure string) error {
	if t.Stop == stopLate {
		return p.conclude(t, Failed, statusLate, Result{Error: lateError + ": " + failure})
	}
	return p.conclude(t, Canceled, statusCanceled, Result{Error: failure})
}

// retryAt tells when a task is attempted again, zero for never.
func (p *proc) retryAt(t *Task, o *Outcome) (time.Time, error) {
	if !t.Input || o.Final {
		return time.Time{}, nil
	}
	in, err := Inputs.Get(p.tx, t.ID)
	if err != nil || t.Attempt >= in.Attempts {
		return time.Time{}, err
	}
	return p.now.Add(in.pause(t.Attempt)), nil
}

// pause is how long to wait after the given attempt.
func (in *Input) pause(attempt uint32) time.Duration {
	longest := in.Longest
	if longest == 0 {
		longest = DefaultLongest
	}
	d := in.Backoff
	for n := uint32(1); n < attempt && d < longest && d > 0; n++ {
		d *= 2
	}
	return min(d, longest)
}

// await has a task wait for its next attempt.
func (p *proc) await(t *Task, at time.Time) error {
	t.Due = at
	if at.After(p.now) {
		if err := t.become(Delayed); err != nil {
			return err
		}
		if err := p.setTimer(at, t.ID, timeReady); err != nil {
			return err
		}
		return Tasks.Put(p.tx, t)
	}
	if err := t.become(Waiting); err != nil {
		return err
	}
	if err := p.ready(t); err != nil {
		return err
	}
	return Tasks.Put(p.tx, t)
}

// recover treats a task whose worker is gone as its program declares. The lease
// and the worker are the caller's to remove.
func (p *proc) recover(t *Task) error {
	p.stopping = append(p.stopping, Token{t.ID, t.Lease})
	if err := p.release(t); err != nil {
		return err
	}
	if t.State == Stopping {
		return p.stopped(t, "its worker is gone")
	}
	program, err := p.program(t.Program)
	switch {
	case errors.Is(err, ErrUnknown), err == nil && program.OnCrash == NotTwice:
		return p.conclude(t, Lost, statusLost, Result{Error: "its worker went away while it ran, and it must not be run twice"})
	case err != nil:
		return err
	}
	return p.await(t, p.now)
}

// Verify refuses a transaction that is made for a task whose lease has ended.
// Every transaction of a task must ask it, or Context.Update which does: then a
// task that was taken away cannot change anything any more.
func (t Token) Verify(tx *table.Tx) error {
	row, err := Tasks.Get(tx, t.Task)
	if err == nil && (row.Lease != t.Lease || !row.State.Taken()) || errors.Is(err, table.ErrNotFound) {
		return fmt.Errorf("%s: %w", t, ErrFenced)
	}
	return err
}

// Update runs fn as a transaction of a task, which does nothing if the task's
// lease has ended. See table.DB.Update.
func (s *Service) Update(ctx context.Context, t Token, op *engine.Op, fn func(*table.Tx) error) (engine.Version, error) {
	return s.store.Update(ctx, op, func(tx *table.Tx) error {
		if err := t.Verify(tx); err != nil {
			return err
		}
		return fn(tx)
	})
}
