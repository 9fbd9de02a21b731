package task

import (
	"context"
	"errors"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// forgetAtOnce is how many tasks one procedure looks at: others wait for it.
const forgetAtOnce = 200

// Forget removes tasks that ended before a time, with their inputs, results and
// keys, and returns how many. It takes the right of admin to the system's part
// "task". It works in many procedures, and may be called again where it was
// interrupted. The service calls it by itself, as task.keep and task.most say.
func (s *Service) Forget(ctx context.Context, before time.Time) (n int, err error) {
	return s.forget(ctx, user.From(ctx), age{ended: before})
}

// age is what tasks that have ended are too old.
type age struct {
	ended  time.Time // when they ended before it
	number uint64    // or when their number is below it
}

func (a age) has(t *Task) bool {
	return t.State.Ended() && (t.Ended.V.Before(a.ended) || t.ID < a.number)
}

func (s *Service) forget(ctx context.Context, caller user.Caller, a age) (n int, err error) {
	after, more := uint64(0), true
	for more && err == nil {
		removed := 0
		err = s.group.do(ctx, &request{caller: caller, name: "task.Forget", part: func(p *proc) error {
			if err := user.Check(p.tx, p.caller, user.Admin, user.Object{Kind: user.KindSystem, Name: "task"}); err != nil {
				return err
			}
			p.wrote = true
			next, some, err := p.forget(after, a)
			if err != nil {
				return err
			}
			after, more, removed = next.after, next.more, some
			return nil
		}})
		if err == nil {
			n += removed
		}
	}
	return n, err
}

// place is how far Forget has come.
type place struct {
	after uint64
	more  bool
}

// forget looks at some tasks after a number. Tasks are numbered as they are
// submitted, so none after the first that was submitted too late has ended before.
func (p *proc) forget(after uint64, a age) (next place, n int, err error) {
	var old []Task
	seen := 0
	next.after = after
	for t, err := range Tasks.Scan(p.tx, table.After(after).Limit(forgetAtOnce)) {
		if err != nil {
			return next, 0, err
		}
		if t.Submitted.After(a.ended) && t.ID >= a.number {
			seen = 0
			break
		}
		seen++
		next.after = t.ID
		if a.has(&t) {
			old = append(old, t)
		}
	}
	next.more = seen == forgetAtOnce
	keys, err := p.keysOf(old)
	for i := 0; i < len(old) && err == nil; i++ {
		err = p.remove(&old[i], keys[old[i].ID])
	}
	return next, len(old), err
}

// keysOf finds under which keys tasks were submitted.
func (p *proc) keysOf(tasks []Task) (map[uint64]string, error) {
	keys := map[uint64]string{}
	for i := range tasks {
		t := &tasks[i]
		s, err := submissionOf.First(p.tx, table.Prefix(t.ID))
		if errors.Is(err, table.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		keys[t.ID] = s.Key
	}
	return keys, nil
}

// remove removes a task and what belongs to it.
func (p *proc) remove(t *Task, key string) error {
	errs := []error{Tasks.Delete(p.tx, t.ID)}
	if t.Input {
		errs = append(errs, Inputs.Delete(p.tx, t.ID))
	}
	if t.Result {
		errs = append(errs, Results.Delete(p.tx, t.ID))
	}
	if t.Parent != 0 {
		errs = append(errs, Children.Delete(p.tx, t.Parent, t.ID))
	}
	if key != "" {
		errs = append(errs, Submissions.Delete(p.tx, t.User, key))
	}
	return errors.Join(errs...)
}
