package task

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Func is the function of a program that is linked in. What it returns is the
// task's result. It must return soon after its context is done.
type Func func(c *Context) ([]byte, error)

// registry has the functions of programs.
type registry struct {
	mu  sync.RWMutex
	all map[string]Func
}

func (r *registry) init() { r.all = map[string]Func{} }

func (r *registry) find(name string) Func {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.all[name]
}

// Register makes a program known: its row is written, unless it is there, and the
// workers of this process run it by the function. Kind is the service's to set;
// without OnCrash it is Again, without a Queue DefaultQueue.
func (s *Service) Register(ctx context.Context, row Program, run Func) error {
	switch {
	case row.Name == "" || run == nil:
		return errors.New("a program needs a name and a function")
	case row.OnCrash == "":
		row.OnCrash = Again
	case row.OnCrash != Again && row.OnCrash != NotTwice:
		return fmt.Errorf("program %q: after a crash its tasks are run %q or %q, not %q", row.Name, Again, NotTwice, row.OnCrash)
	}
	if row.Queue == "" {
		row.Queue = DefaultQueue
	}
	row.Kind = kindGo
	s.programs.mu.Lock()
	s.programs.all[row.Name] = run
	s.programs.mu.Unlock()
	return s.group.do(ctx, &request{caller: user.From(ctx), name: "task.Register", part: func(p *proc) error {
		if err := user.Check(p.tx, p.caller, user.Admin, user.Object{Kind: user.KindProgram, Name: row.Name}); err != nil {
			return err
		}
		old, err := Programs.Get(p.tx, row.Name)
		if err == nil && old == row {
			return nil
		}
		if err != nil && !errors.Is(err, table.ErrNotFound) {
			return err
		}
		if _, err := p.queue(row.Queue); err != nil {
			return err
		}
		p.wrote = true
		return Programs.Put(p.tx, &row)
	}})
}

// SetQueue adds a queue, or changes the one of its name. New limits hold from the
// next task on that is taken.
func (s *Service) SetQueue(ctx context.Context, q Queue) error {
	switch {
	case q.Name == "":
		return errors.New("a queue needs a name")
	case !(q.Rate >= 0 && q.Rate <= 1e9):
		return fmt.Errorf("queue %q: a rate is from 0 to 1e9 tasks a second, not %v", q.Name, q.Rate)
	}
	return s.group.do(ctx, &request{caller: user.From(ctx), name: "task.SetQueue", durable: true, part: func(p *proc) error {
		if err := p.may(user.Admin, q.Name); err != nil {
			return err
		}
		p.wrote = true
		if err := Queues.Put(p.tx, &q); err != nil {
			return err
		}
		return p.recount()
	}})
}

// SetPolicy changes which task is taken next, from the next one on. It takes the
// right of admin to the system's part "task".
func (s *Service) SetPolicy(ctx context.Context, order string) error {
	return s.group.do(ctx, &request{caller: user.From(ctx), name: "task.SetPolicy", durable: true, part: func(p *proc) error {
		return p.setPolicy(order)
	}})
}

// begin brings the tables to what holds when the service starts: the workers of
// before are gone.
func (s *Service) begin(ctx context.Context) error {
	for of := range counters {
		if err := s.numbers.fill(ctx, of); err != nil {
			return err
		}
	}
	return s.group.do(ctx, &request{caller: system, name: "task.Open", part: func(p *proc) error {
		p.wrote = true
		_, err := Queues.Get(p.tx, DefaultQueue)
		if errors.Is(err, table.ErrNotFound) {
			err = Queues.Insert(p.tx, &Queue{Name: DefaultQueue, Weight: 1, Doc: "tasks of programs that name no other queue"})
		}
		if err == nil {
			_, err = Policies.Get(p.tx, theOrder)
		}
		if errors.Is(err, table.ErrNotFound) {
			err = Policies.Insert(p.tx, &Policy{Name: theOrder, Order: defaultOrder})
		}
		if err == nil {
			err = p.dismissAll()
		}
		if err == nil {
			err = p.boot()
		}
		return err
	}})
}

// dismissAll removes the workers that ended with the last boot.
func (p *proc) dismissAll() error {
	var gone []uint64
	for w, err := range Workers.Scan(p.tx, table.Span{}) {
		if err != nil {
			return err
		}
		if p.s.exclusive || w.Machine == p.s.o.Machine {
			gone = append(gone, w.ID)
		}
	}
	for _, id := range gone {
		w, err := p.worker(id)
		if err != nil {
			return err
		}
		if err := p.dismiss(w); err != nil {
			return err
		}
	}
	return nil
}
