package task

import (
	"bytes"
	"context"
	"iter"
	"sync"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// waiters are those who wait for the end of tasks. They cost a channel each, and
// nothing while they wait: the procedure that ends a task tells them how it ended, when
// that is durable, so that they need not look. One of them sees to the flush if nobody
// else waits for it (group.go).
type waiters struct {
	mu     sync.Mutex
	of     map[uint64]*waiter
	closed bool
}

// waiter is all who wait for a task.
type waiter struct {
	n     int
	ended chan struct{} // closed when the task has ended, or the service

	// waiters.mu guards these.
	flush   *flushing // for one of them to do, and then for the others it is not durable yet
	end     *Status   // how it ended, nil: they have to look
	durable bool      // the end is, or err says why not
	err     error
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

// leave returns what is left to do for who waits no longer, if nobody else is there.
func (ws *waiters) leave(id uint64, w *waiter) (duty *flushing) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.n--; w.n > 0 {
		return nil
	}
	if ws.of[id] == w {
		delete(ws.of, id)
	}
	duty, w.flush = w.flush, nil
	return duty
}

// awaited reports whether somebody waits for a task.
func (ws *waiters) awaited(id uint64) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.of[id] != nil
}

// take removes the waiter of a task that has ended, which is then to be released.
func (ws *waiters) take(e *ending) *waiter {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.of[e.id]
	if w != nil {
		delete(ws.of, e.id)
		w.end = e.status
	}
	return w
}

// hand has one who waits see to a flush. It reports false if nobody does any more.
func (ws *waiters) hand(w *waiter, f *flushing) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.n == 0 {
		return false
	}
	w.flush = f
	close(w.ended)
	return true
}

// duty returns the flush that is for the caller to do, if any.
func (ws *waiters) duty(w *waiter) *flushing {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	f := w.flush
	w.flush = nil
	return f
}

// release wakes those who wait, when the end of their task is durable or, by err, never
// will be.
func (ws *waiters) release(w *waiter, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.durable, w.err = true, err
	select {
	case <-w.ended: // one of them has seen to it
	default:
		close(w.ended)
	}
}

// told returns how the task of a waiter ended, nil if that is to be looked up.
func (ws *waiters) told(w *waiter) (*Status, error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if !w.durable {
		return nil, nil
	}
	return w.end, w.err
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

// ending is a task that has ended, and how if somebody waits for it.
type ending struct {
	id     uint64
	state  State
	status *Status
}

// ended notes the end of a task.
func (p *proc) ended(t *Task, r *Result) {
	e := ending{id: t.ID, state: t.State}
	if p.s.waiters.awaited(t.ID) {
		e.status = &Status{Task: *t, Value: r.Value, Failure: r.Error, Stack: r.Stack}
	}
	p.finished = append(p.finished, e)
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
			s.forgo(id, w)
			return st, err
		}
		select {
		case <-ctx.Done():
			s.forgo(id, w)
			return st, ctx.Err()
		case <-w.ended:
		}
		if f := s.waiters.duty(w); f != nil {
			s.group.flush(f, nil)
		}
		if s.closed() {
			return st, ErrClosed
		}
		// The user of a task may see it, and that it is the caller does not change.
		end, err := s.waiters.told(w)
		if err != nil {
			return st, err
		}
		if end != nil && end.User == user.From(ctx).User {
			return end.copy(), nil
		}
	}
}

// copy is for one of those who wait: what is theirs they may change.
func (st *Status) copy() Status {
	c := *st
	c.Value = bytes.Clone(st.Value)
	return c
}

// forgo is for who waits no longer.
func (s *Service) forgo(id uint64, w *waiter) {
	if f := s.waiters.leave(id, w); f != nil {
		s.group.flush(f, nil)
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
