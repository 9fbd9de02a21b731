package task

import (
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// proc is a procedure under way: the transaction, what its parts have read that
// others of them use, and what is to be written or done when all have run.
type proc struct {
	s       *Service
	tx      *table.Tx
	caller  user.Caller
	now     time.Time
	wrote   bool   // by the part that runs
	foreign bool   // the transaction is another's
	number  uint64 // of the procedure

	queues  map[string]*queueState
	known   map[string]*Program
	leases  map[uint64]*Lease
	workers map[uint64]*workerState

	fresh    []*Task // new and ready; flush writes them, as they are then
	claimers []*claimer
	readied  bool      // a task has become ready, or another may be taken
	mustSync bool      // tasks were taken that must not be begun twice
	earliest time.Time // of the timers that were set, zero: none
	stopping []Token   // tasks that were told to stop, or whose lease ended
	finished []ending  // tasks that have ended
}

func (p *proc) begin(s *Service, tx *table.Tx, c user.Caller) {
	if p.queues == nil {
		p.queues, p.known = map[string]*queueState{}, map[string]*Program{}
		p.leases, p.workers = map[uint64]*Lease{}, map[uint64]*workerState{}
	}
	clear(p.queues)
	clear(p.known)
	clear(p.leases)
	clear(p.workers)
	p.s, p.tx, p.caller, p.now = s, tx, c, s.now()
	p.number++
	p.wrote, p.readied, p.mustSync, p.earliest = false, false, false, time.Time{}
	for _, c := range p.claimers {
		c.got = nil
	}
	clear(p.fresh)
	clear(p.finished)
	p.fresh = p.fresh[:0]
	p.claimers, p.stopping, p.finished = p.claimers[:0], p.stopping[:0], p.finished[:0]
}

// flush writes what parts have changed together.
func (p *proc) flush() error {
	if err := p.settle(); err != nil {
		return err
	}
	for _, q := range p.queues {
		if err := q.write(p); err != nil {
			return err
		}
	}
	for id, l := range p.leases {
		var err error
		if l.Left == 0 {
			err = Leases.Delete(p.tx, id)
		} else {
			err = Leases.Put(p.tx, l)
		}
		if err != nil {
			return err
		}
	}
	for _, w := range p.workers {
		if w.Worker.same(&w.before) {
			continue
		}
		if err := Workers.Put(p.tx, &w.Worker); err != nil {
			return err
		}
	}
	return nil
}

// settle writes the new tasks. Those that no worker has taken already can be found
// as ready from then on.
func (p *proc) settle() error {
	for _, t := range p.fresh {
		err := Tasks.Put(p.tx, t)
		if err == nil && t.State == Waiting {
			err = p.ready(t)
		}
		if err != nil {
			return err
		}
	}
	p.fresh = p.fresh[:0]
	return nil
}

// deliver returns a function that hands their tasks to claimers. From now on those that
// run here can be told to stop.
func (p *proc) deliver() func() {
	type delivery struct {
		to *claimer
		claimed
	}
	var list []delivery
	for _, c := range p.claimers {
		if len(c.got) > 0 || c.once || c.err != nil {
			list = append(list, delivery{c, claimed{c.got, c.err}})
		}
		for i := range c.got {
			if c.standing {
				p.s.runs.expect(c.got[i].Token())
			}
		}
		c.got = nil
	}
	p.claimers = p.claimers[:0]
	return func() {
		for _, d := range list {
			d.to.answer(d.tasks, d.err)
		}
	}
}

// program returns the row of a program.
func (p *proc) program(name string) (*Program, error) {
	if known := p.known[name]; known != nil {
		return known, nil
	}
	row, err := Programs.Get(p.tx, name)
	if errors.Is(err, table.ErrNotFound) {
		return nil, fmt.Errorf("program %q: %w", name, ErrUnknown)
	}
	if err != nil {
		return nil, err
	}
	p.known[name] = &row
	return &row, nil
}

// lease returns the row of a lease, which flush writes.
func (p *proc) lease(id uint64) (*Lease, error) {
	if l := p.leases[id]; l != nil {
		return l, nil
	}
	row, err := Leases.Get(p.tx, id)
	if err != nil {
		return nil, err
	}
	p.leases[id] = &row
	return &row, nil
}

// worker returns the row of a worker, which flush writes.
func (p *proc) worker(id uint64) (*Worker, error) {
	if w := p.workers[id]; w != nil {
		return &w.Worker, nil
	}
	row, err := Workers.Get(p.tx, id)
	if errors.Is(err, table.ErrNotFound) {
		return nil, fmt.Errorf("worker %d: %w", id, ErrExpired)
	}
	if err != nil {
		return nil, err
	}
	w := &workerState{Worker: row, before: row}
	p.workers[id] = w
	return &w.Worker, nil
}

// workerState is a worker, and what it was before the procedure.
type workerState struct {
	Worker
	before Worker
}

// same compares what procedures change.
func (w *Worker) same(o *Worker) bool { return w.Running == o.Running && w.Expires.Equal(o.Expires) }

// mine returns a worker as which the caller may act.
func (p *proc) mine(id uint64) (*Worker, error) {
	w, err := p.worker(id)
	if err == nil && p.caller.User != user.Root && p.caller.User != w.User {
		err = &user.DeniedError{Caller: p.caller, Right: user.Claim, Object: user.Object{Kind: user.KindSystem, Name: fmt.Sprintf("worker %d", id)}}
	}
	return w, err
}

// task returns the row of a task.
func (p *proc) task(id uint64) (Task, error) {
	t, err := Tasks.Get(p.tx, id)
	if errors.Is(err, table.ErrNotFound) {
		err = fmt.Errorf("task %d: %w", id, ErrUnknown)
	}
	return t, err
}

// may checks what the caller wants to do with tasks of a queue.
func (p *proc) may(r user.Right, queue string) error {
	return user.Check(p.tx, p.caller, r, user.Object{Kind: user.KindQueue, Name: queue})
}

// ready lets a task be taken.
func (p *proc) ready(t *Task) error {
	p.readied = true
	if p.foreign {
		p.s.lanes.lower(t.Queue, t.Priority, t.Due, t.ID)
	} else {
		p.s.lanes.add(t.Queue, t.Priority, t.Due, t.ID)
	}
	return Readies.Put(p.tx, &Ready{Queue: t.Queue, Priority: t.Priority, Due: t.Due, Task: t.ID})
}

// unready takes that back.
func (p *proc) unready(t *Task) error {
	return Readies.Delete(p.tx, t.Queue, t.Priority, t.Due, t.ID)
}

// Kinds of timers.
const (
	timeReady    = "ready"
	timeDeadline = "deadline"
	timeAbandon  = "abandon"
	timeExpire   = "expire"
)

func (p *proc) setTimer(at time.Time, id uint64, kind string) error {
	if p.earliest.IsZero() || at.Before(p.earliest) {
		p.earliest = at
	}
	return Timers.Put(p.tx, &Timer{At: at, ID: id, Kind: kind})
}

// dropTimer removes a timer, if it is there.
func (p *proc) dropTimer(at time.Time, id uint64, kind string) error {
	err := Timers.Delete(p.tx, at, id, kind)
	if errors.Is(err, table.ErrNotFound) {
		return nil
	}
	return err
}
