package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/services/user"
)

// Cancel stops a task. One that waits is canceled at once. One that runs is told
// to stop, by the end of its context; if it has not ended after the grace time, it
// is abandoned: it counts as canceled, and can change nothing any more. Its user
// may cancel a task, and who has the right of admin to its queue. It fails with
// ErrEnded if the task has ended.
func (s *Service) Cancel(ctx context.Context, id uint64) error {
	return s.group.do(ctx, &request{caller: user.From(ctx), name: "task.Cancel", durable: true, part: func(p *proc) error {
		t, err := p.owned(id)
		if err != nil {
			return err
		}
		if t.State.Ended() {
			return fmt.Errorf("task %d is %s: %w", id, t.State, ErrEnded)
		}
		p.wrote = true
		return p.halt(&t, stopUser)
	}})
}

// owned returns a task that the caller may stop or run again.
func (p *proc) owned(id uint64) (Task, error) {
	t, err := p.task(id)
	if err == nil && t.User != p.caller.User {
		err = p.may(user.Admin, t.Queue)
	}
	return t, err
}

// halt stops a task that has not ended.
func (p *proc) halt(t *Task, why string) error {
	late := why == stopLate
	switch t.State {
	case Waiting:
		if err := p.unready(t); err != nil {
			return err
		}
	case Delayed:
		if err := p.dropTimer(t.Due, t.ID, timeReady); err != nil {
			return err
		}
	case Stopping:
		return nil
	case Running:
		if err := t.become(Stopping); err != nil {
			return err
		}
		t.Stop = why
		p.stopping = append(p.stopping, Token{t.ID, t.Lease})
		if err := p.setTimer(p.now.Add(p.s.o.Grace), t.ID, timeAbandon); err != nil {
			return err
		}
		return Tasks.Put(p.tx, t)
	}
	t.Stop = why
	if late {
		return p.conclude(t, Failed, statusLate, Result{Error: lateError})
	}
	return p.conclude(t, Canceled, statusCanceled, Result{})
}

// abandon takes a task from a worker that did not stop it.
func (p *proc) abandon(t *Task) error {
	p.stopping = append(p.stopping, Token{t.ID, t.Lease})
	if err := p.release(t); err != nil {
		return err
	}
	return p.stopped(t, "it did not stop when it was told to, and was abandoned")
}

// Retry makes a task that has ended ready again, as it was submitted. Attempts
// count from one.
func (s *Service) Retry(ctx context.Context, id uint64) error {
	return s.group.do(ctx, &request{caller: user.From(ctx), name: "task.Retry", durable: true, part: func(p *proc) error {
		t, err := p.owned(id)
		if err != nil {
			return err
		}
		if !t.State.Ended() {
			return fmt.Errorf("task %d is %s: %w", id, t.State, ErrNotEnded)
		}
		p.wrote = true
		t.Attempt, t.Status, t.Stop = 0, 0, ""
		t.Ended.Valid, t.Deadline.Valid = false, false
		return p.await(&t, p.now)
	}})
}

func isDenied(err error) bool { return errors.Is(err, user.ErrDenied) }
