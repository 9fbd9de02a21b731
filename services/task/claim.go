package task

import (
	"context"
	"fmt"
	"slices"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Token is what a worker shows to act for a task: the number of the task, and the
// lease under which it was taken.
type Token struct{ Task, Lease uint64 }

func (t Token) String() string { return fmt.Sprintf("task %d under lease %d", t.Task, t.Lease) }

// Claimed is a task that a worker has taken.
type Claimed struct {
	Task Task
	Args []byte
	Env  map[string]string
}

// Token returns what the worker shows for the task.
func (c *Claimed) Token() Token { return Token{c.Task.ID, c.Task.Lease} }

// mostSlots bounds how many tasks a worker can have.
const mostSlots = 1 << 16

// Join registers a worker on this machine, which may take tasks from then on: of
// the given queues, or of all, and at most so many at a time. It acts for the
// caller of ctx, who needs the right to claim from each queue.
func (s *Service) Join(ctx context.Context, name string, slots int, queues ...string) (id uint64, err error) {
	if slots < 1 || slots > mostSlots {
		return 0, fmt.Errorf("a worker has from 1 to %d slots, not %d", mostSlots, slots)
	}
	if err := s.numbers.fill(ctx, ofWorkers); err != nil {
		return 0, err
	}
	caller := user.From(ctx)
	err = s.group.do(ctx, &request{caller: caller, name: "task.Join", part: func(p *proc) error {
		for _, q := range queues {
			if _, err := p.queue(q); err != nil {
				return err
			}
			if err := p.may(user.Claim, q); err != nil {
				return err
			}
		}
		id, err = s.numbers.takeIn(p.tx, ofWorkers)
		if err != nil {
			return err
		}
		p.wrote = true
		return Workers.Insert(p.tx, &Worker{
			ID: id, Name: name, Machine: s.o.Machine, User: caller.User, Queues: slices.Clone(queues), Slots: uint32(slots),
			Begun: p.now, Expires: p.now,
		})
	}})
	return id, err
}

// Leave removes a worker. Tasks that it still has are treated as after a crash.
func (s *Service) Leave(ctx context.Context, worker uint64) error {
	return s.group.do(ctx, &request{caller: user.From(ctx), name: "task.Leave", part: func(p *proc) error {
		w, err := p.mine(worker)
		if err != nil {
			return err
		}
		p.wrote = true
		return p.dismiss(w)
	}})
}

// Heartbeat keeps a worker's leases alive, and returns those of its tasks that are
// to stop. A worker calls it at least every half of the lease's time while it has
// tasks. ErrExpired: the worker has expired, and its tasks are others'.
func (s *Service) Heartbeat(ctx context.Context, worker uint64) (stop []Token, err error) {
	err = s.group.do(ctx, &request{caller: user.From(ctx), name: "task.Heartbeat", part: func(p *proc) error {
		stop = stop[:0]
		w, err := p.mine(worker)
		if err != nil {
			return err
		}
		p.wrote = true
		w.Expires = p.now.Add(s.o.Lease)
		if err := p.setTimer(w.Expires, w.ID, timeExpire); err != nil {
			return err
		}
		return p.each(w, func(t *Task) error {
			if t.State == Stopping {
				stop = append(stop, Token{t.ID, t.Lease})
			}
			return nil
		})
	}})
	return stop, err
}

// each calls fn for the tasks that a worker has.
func (p *proc) each(w *Worker, fn func(*Task) error) error {
	for l, err := range Leases.Scan(p.tx, table.Span{}) {
		if err != nil {
			return err
		}
		if l.Worker != w.ID {
			continue
		}
		for _, id := range l.Tasks {
			t, err := p.task(id)
			if err != nil {
				return err
			}
			if t.State.Taken() && t.Lease == l.ID {
				if err := fn(&t); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Claim takes up to n tasks for a worker, the best first. If there are none it
// waits for one, until ctx ends. Who takes tasks must end each by Complete, Fail
// or Exchange, and call Heartbeat meanwhile.
func (s *Service) Claim(ctx context.Context, worker uint64, n int) ([]Claimed, error) {
	return s.Exchange(ctx, worker, nil, n)
}

// TryClaim is Claim, but returns none if there is none.
func (s *Service) TryClaim(ctx context.Context, worker uint64, n int) ([]Claimed, error) {
	c := newClaimer(user.From(ctx), worker, n)
	c.once = true
	return s.claim(ctx, c, nil)
}

// Exchange hands in how tasks ended and takes up to n others, in one transaction.
// If n is 0 it only hands in. A task whose lease has ended is left out: its
// Outcome says ErrFenced.
func (s *Service) Exchange(ctx context.Context, worker uint64, outcomes []*Outcome, n int) ([]Claimed, error) {
	return s.claim(ctx, newClaimer(user.From(ctx), worker, n), outcomes)
}

func newClaimer(caller user.Caller, worker uint64, n int) *claimer {
	return &claimer{caller: caller, worker: worker, most: n, done: make(chan claimed, 1)}
}

func (s *Service) claim(ctx context.Context, c *claimer, outcomes []*Outcome) ([]Claimed, error) {
	if err := s.numbers.fill(ctx, ofLeases); err != nil {
		return nil, err
	}
	err := s.group.do(ctx, &request{caller: c.caller, name: "task.Claim", ends: len(outcomes) > 0, part: func(p *proc) error {
		if _, err := p.mine(c.worker); err != nil {
			return err
		}
		for _, o := range outcomes {
			if err := p.end(o); err != nil {
				return err
			}
		}
		if c.most > 0 {
			p.claimers = append(p.claimers, c)
		}
		return nil
	}})
	if err != nil || c.most <= 0 {
		return nil, err
	}
	select {
	case got := <-c.done:
		return got.tasks, got.err
	case <-ctx.Done():
	}
	s.group.leave(c)
	select {
	case got := <-c.done: // at the last moment
		return got.tasks, got.err
	default:
		return nil, ctx.Err()
	}
}

// dismiss takes its tasks from a worker, and the worker off the list.
func (p *proc) dismiss(w *Worker) error {
	err := p.each(w, func(t *Task) error { return p.recover(t) })
	if err != nil {
		return err
	}
	delete(p.workers, w.ID)
	for l, err := range Leases.Scan(p.tx, table.Span{}) {
		if err != nil {
			return err
		}
		if l.Worker == w.ID {
			delete(p.leases, l.ID)
			if err := Leases.Delete(p.tx, l.ID); err != nil {
				return err
			}
		}
	}
	return Workers.Delete(p.tx, w.ID)
}
