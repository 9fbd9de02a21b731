package task

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/services/user"
)

// runs are the tasks that run in this process.
type runs struct {
	mu      sync.Mutex
	of      map[Token]*run
	stopped bool
}

// run is a task that runs here, or is about to: it can be told to stop between the
// procedure that gave it to a worker and the worker's hearing of it.
type run struct {
	cancel  context.CancelCauseFunc // nil: it is about to
	stopped bool
}

func (r *runs) init() { r.of = map[Token]*run{} }

// expect notes that a task is about to run here.
func (r *runs) expect(t Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[t] = &run{}
}

func (r *runs) enter(t Token, cancel context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.of[t]
	r.of[t] = &run{cancel: cancel}
	switch {
	case r.stopped:
		cancel(ErrClosed)
	case told != nil && told.stopped:
		cancel(ErrStopped)
	}
}

func (r *runs) leave(t Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, t)
}

// stop tells a task to stop, if it runs here.
func (r *runs) stop(t Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x := r.of[t]; x != nil {
		x.stopped = true
		if x.cancel != nil {
			x.cancel(ErrStopped)
		}
	}
}

func (r *runs) stopAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	for _, x := range r.of {
		if x.cancel != nil {
			x.cancel(ErrClosed)
		}
	}
}

// crew is a worker of this process: it runs each task on a goroutine.
// Tasks come to it with the procedures in which they become ready or places
// become free; it never asks for them.
//
//	claimer.done ---> start ---> goroutine ---> ends ---> hand in, together
type crew struct {
	s       *Service
	ctx     context.Context // of the tasks
	id      uint64
	caller  user.Caller
	claimer *claimer
	ends    chan *Outcome
	running int

	jobs chan job     // to goroutines that have run a task and wait for the next
	idle atomic.Int32 // of these
}

// job is a task for a goroutine.
type job struct {
	c      *Context
	cancel context.CancelCauseFunc
}

// mostIdle bounds the goroutines that wait for a task. Beginning a new one costs
// some microseconds: its stack has to grow.
const mostIdle = 128

// Work runs tasks of the given queues, or of all, on this process's goroutines, at
// most so many at a time, until ctx ends. Then it tells those that run to stop,
// waits for them for the grace time, and leaves those that did not end as after a
// crash. It acts for the caller of ctx, as Join says. A worker that was taken for
// dead, because the machine was too busy for its heartbeat, begins anew.
func (s *Service) Work(ctx context.Context, name string, slots int, queues ...string) error {
	for ctx.Err() == nil {
		err := s.work(ctx, name, slots, queues)
		if !errors.Is(err, ErrExpired) {
			return err
		}
		s.o.Log("task: worker %q begins anew: %v", name, err)
	}
	return nil
}

func (s *Service) work(ctx context.Context, name string, slots int, queues []string) error {
	id, err := s.Join(context.WithoutCancel(ctx), name, slots, queues...)
	if err != nil {
		return err
	}
	tasks, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	w := &crew{s: s, ctx: tasks, id: id, caller: user.From(ctx), ends: make(chan *Outcome, slots), jobs: make(chan job)}
	w.claimer = &claimer{caller: w.caller, worker: id, most: slots, standing: true, done: make(chan claimed, slots+1)}
	err = w.enlist(ctx)
	if err == nil {
		err = w.loop(ctx)
	}
	s.group.leave(w.claimer)
	stop(ErrStopped)
	w.forgo()
	w.drain()
	if errors.Is(err, ErrClosed) || errors.Is(err, ErrExpired) {
		return err
	}
	if ctx.Err() != nil {
		err = nil
	}
	if gone := s.Leave(context.WithoutCancel(ctx), id); !errors.Is(gone, ErrExpired) {
		err = errors.Join(err, gone)
	}
	return err
}

// enlist has the dispatcher know that the worker takes tasks.
func (w *crew) enlist(ctx context.Context) error {
	return w.s.group.do(ctx, &request{caller: w.caller, name: "task.Claim", part: func(p *proc) error {
		p.claimers = append(p.claimers, w.claimer)
		return nil
	}})
}

// loop starts tasks and hands in their ends.
func (w *crew) loop(ctx context.Context) error {
	beat := time.NewTimer(w.s.o.Lease / 3)
	beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case got := <-w.claimer.done:
			if got.err != nil {
				return got.err
			}
			if w.running == 0 {
				beat.Reset(w.s.o.Lease / 3)
			}
			w.start(got.tasks)
		case o := <-w.ends:
			if err := w.handIn(ctx, o); err != nil {
				return err
			}
			if w.running == 0 {
				beat.Stop()
			}
		case <-beat.C:
			if err := w.heartbeat(ctx); err != nil {
				return err
			}
			beat.Reset(w.s.o.Lease / 3)
		}
	}
}

func (w *crew) start(tasks []Claimed) {
	for i := range tasks {
		got := &tasks[i]
		ctx, cancel := context.WithCancelCause(w.ctx)
		w.s.runs.enter(got.Token(), cancel)
		w.running++
		j := job{w.s.newContext(ctx, got), cancel}
		select {
		case w.jobs <- j:
		default:
			go w.runAll(j)
		}
	}
}

// runAll runs a task, and others as long as there are some.
func (w *crew) runAll(j job) {
	for {
		w.run(j.c, j.cancel)
		if w.idle.Add(1) > mostIdle {
			w.idle.Add(-1)
			return
		}
		select {
		case j = <-w.jobs:
			w.idle.Add(-1)
		case <-w.ctx.Done():
			return
		}
	}
}

// run runs one task.
func (w *crew) run(c *Context, cancel context.CancelCauseFunc) {
	o := &Outcome{Token: c.Token()}
	returned := false
	defer func() {
		if !returned {
			o.panicked(recover())
		}
		o.Commits = c.made()
		if c.finished {
			o = &Outcome{} // it has been handed in
		}
		w.s.runs.leave(c.Token())
		cancel(nil)
		w.ends <- o
	}()
	program := w.s.programs.find(c.Task.Program)
	if program == nil {
		o.fail(fmt.Errorf("program %q is not linked into what runs here", c.Task.Program))
		returned = true
		return
	}
	var err error
	user.Do(c, user.From(c), func(context.Context) { o.Value, err = program(c) })
	returned = true
	if err != nil {
		o.fail(err)
	}
}

// panicked notes a panic, or the end of the goroutine.
func (o *Outcome) panicked(reason any) {
	o.Status = statusPanic
	if reason == nil {
		o.Failure = "the program ended its goroutine"
		return
	}
	o.Failure, o.Stack = fmt.Sprintf("panic: %v", reason), string(debug.Stack())
}

// mostEnds bounds how many tasks one procedure ends for a worker. It is more than can
// begin in one, so that a worker which missed some procedures makes up for that.
const mostEnds = 4 * mostParts

// handIn ends tasks: the given one, and those that end about now.
func (w *crew) handIn(ctx context.Context, o *Outcome) error {
	list := w.gather(w.collect(nil, o))
	if len(list) < tasksPerLease {
		runtime.Gosched() // tasks that are about to end
		list = w.gather(list)
	}
	return w.finish(context.WithoutCancel(ctx), list, false)
}

// gather adds the outcomes that have come since.
func (w *crew) gather(list []*Outcome) []*Outcome {
	for len(list) < mostEnds {
		select {
		case o := <-w.ends:
			list = w.collect(list, o)
		default:
			return list
		}
	}
	return list
}

// finish ends tasks in one procedure.
func (w *crew) finish(ctx context.Context, list []*Outcome, durable bool) error {
	if len(list) == 0 {
		return nil
	}
	return w.s.group.do(ctx, &request{caller: w.caller, name: "task.Complete", durable: durable, ends: true, part: func(p *proc) error {
		for _, o := range list {
			if err := p.end(o); err != nil {
				return err
			}
		}
		return nil
	}})
}

func (w *crew) collect(list []*Outcome, o *Outcome) []*Outcome {
	w.running--
	if o.Task == 0 {
		return list
	}
	return append(list, o)
}

// forgo forgets tasks that the worker was given and does not begin any more. Leave
// gives them back.
func (w *crew) forgo() {
	for {
		select {
		case got := <-w.claimer.done:
			for i := range got.tasks {
				w.s.runs.leave(got.tasks[i].Token())
			}
		default:
			return
		}
	}
}

// heartbeat keeps the leases. Tasks that are to stop have heard of it already.
func (w *crew) heartbeat(ctx context.Context) error {
	stop, err := w.s.Heartbeat(ctx, w.id)
	for _, t := range stop {
		w.s.runs.stop(t)
	}
	return err
}

// drain waits for the tasks to end, and hands in those that ended well. The others
// were interrupted: they are not at fault.
func (w *crew) drain() {
	grace := time.NewTimer(w.s.o.Grace)
	defer grace.Stop()
	for w.running > 0 {
		select {
		case o := <-w.ends:
			list := slices.DeleteFunc(w.gather(w.collect(nil, o)), func(o *Outcome) bool { return o.Failure != "" })
			if err := w.finish(context.Background(), list, true); err != nil {
				w.s.o.Log("task: the ends of %d tasks of worker %d are lost: %v", len(list), w.id, err)
			}
		case <-grace.C:
			w.s.o.Log("task: %d tasks of worker %d did not stop", w.running, w.id)
			return
		}
	}
}
