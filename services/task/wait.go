package task

import (
	"context"
	"iter"
	"sync"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// waiters are those who wait for the end of tasks. They cost a channel each, and
// nothing while they wait: the procedure that ends a task wakes them.
type waiters struct {
	mu     sync.Mutex
	of     map[uint64]*waiter
	closed bool
}

// waiter is all who wait for a task.
type waiter struct {
	n     int
	ended chan struct{} // closed when the task has ended, or the service
}

func (ws *waiters) init() { ws.of = map[uint64]*waiter{} }

func (ws *waiters) enter(id uint64) *waiter {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.of[id]
	if w == nil {
		w = &waiter{ended: make(chan struct{})}
		if ws.closed {
			close(w.ended)
			return w
		}
		ws.of[id] = w
	}
	w.n++
	return w
}

func (ws *waiters) leave(id uint64, w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.n--; w.n == 0 && ws.of[id] == w {
		delete(ws.of, id)
	}
}

func (ws *waiters) wake(id uint64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w := ws.of[id]; w != nil {
		delete(ws.of, id)
		close(w.ended)
	}
}

func (ws *waiters) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for id, w := range ws.of {
		delete(ws.of, id)
		close(w.ended)
	}
}

// Status is a task with what came out of it.
type Status struct {
	Task
	Value   []byte // what the program returned
	Failure string // why the latest attempt failed
	Stack   string // where it panicked
}

// Wait returns a task when it has ended, and its end is durable.
func (s *Service) Wait(ctx context.Context, id uint64) (Status, error) {
	for {
		w := s.waiters.enter(id)
		st, err := s.endOf(ctx, id)
		if err != nil || st.State.Ended() {
			s.waiters.leave(id, w)
			return st, err
		}
		select {
		case <-ctx.Done():
			s.waiters.leave(id, w)
			return st, ctx.Err()
		case <-w.ended:
		}
		if s.closed() {
			return st, ErrClosed
		}
	}
}

func (s *Service) closed() bool {
	s.waiters.mu.Lock()
	defer s.waiters.mu.Unlock()
	return s.waiters.closed
}

// endOf returns a task, when it is durable if it has ended.
func (s *Service) endOf(ctx context.Context, id uint64) (Status, error) {
	st, v, err := s.get(ctx, id)
	if err == nil && st.State.Ended() {
		err = s.store.Engine().Sync(ctx, v)
	}
	return st, err
}

// Get returns a task. Its user may see it, and who may read its queue.
func (s *Service) Get(ctx context.Context, id uint64) (Status, error) {
	st, _, err := s.get(ctx, id)
	return st, err
}

func (s *Service) get(ctx context.Context, id uint64) (st Status, v engine.Version, err error) {
	caller := user.From(ctx)
	err = s.store.View(ctx, func(tx *table.Tx) error {
		v = tx.Version()
		p := proc{tx: tx, caller: caller}
		if st.Task, err = p.task(id); err != nil {
			return err
		}
		if err := p.mayRead(&st.Task); err != nil {
			return err
		}
		return st.load(tx)
	})
	return st, v, err
}

func (p *proc) mayRead(t *Task) error {
	if t.User == p.caller.User {
		return nil
	}
	return p.may(user.Read, t.Queue)
}

// load reads what came out of the task.
func (st *Status) load(tx *table.Tx) error {
	if !st.Result {
		return nil
	}
	r, err := Results.Get(tx, st.ID)
	if err == nil {
		st.Value, st.Failure, st.Stack = r.Value, r.Error, r.Stack
	}
	return err
}

// Query chooses tasks. Empty fields choose all.
type Query struct {
	Queue  string
	States []State
	User   string
	Parent uint64
	Limit  int // the most tasks; 0: all
}

func (q *Query) fits(t *Task) bool {
	fits := q.Queue == "" || t.Queue == q.Queue
	fits = fits && (q.User == "" || t.User == q.User)
	fits = fits && (q.Parent == 0 || t.Parent == q.Parent)
	for i, s := range q.States {
		if t.State == s {
			return fits
		} else if i == len(q.States)-1 {
			return false
		}
	}
	return fits
}

// List returns the tasks that the caller may see, the newest first.
func (s *Service) List(ctx context.Context, q Query) iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		more := true
		err := s.store.View(ctx, func(tx *table.Tx) error {
			p := proc{tx: tx, caller: user.From(ctx)}
			n := 0
			for t, err := range p.candidates(&q) {
				if err != nil {
					return err
				}
				if !q.fits(&t) {
					continue
				}
				if err := p.mayRead(&t); isDenied(err) {
					continue
				} else if err != nil {
					return err
				}
				n++
				if more = yield(t, nil); !more || n == q.Limit {
					return nil
				}
			}
			return nil
		})
		if err != nil && more {
			yield(Task{}, err)
		}
	}
}

// candidates are all tasks, or the children of one, the newest first.
func (p *proc) candidates(q *Query) iter.Seq2[Task, error] {
	if q.Parent == 0 {
		return Tasks.Scan(p.tx, table.Span{}.Reverse())
	}
	return func(yield func(Task, error) bool) {
		for c, err := range Children.Scan(p.tx, table.Prefix(q.Parent).Reverse()) {
			var t Task
			if err == nil {
				t, err = p.task(c.Task)
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// Waiting is for how many tasks somebody waits.
func (s *Service) Waiting() int {
	s.waiters.mu.Lock()
	defer s.waiters.mu.Unlock()
	return len(s.waiters.of)
}
