package task

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// DefaultQueue is where tasks wait if neither they nor their program say.
const DefaultQueue = theOrder

// Request is a task that somebody wants done.
type Request struct {
	Program  string            // what to run; it must be known
	Queue    string            // where to wait; "": the program's
	Args     []byte            // for the program
	Env      map[string]string // its environment
	Key      string            // of this user's tasks with the same key, there is only one
	Priority int8              // higher goes first, as far as the policy says so
	At       time.Time         // not before this time
	Delay    time.Duration     // not before so much time has passed
	Deadline time.Time         // it is stopped then; zero: never
	Place    string            // the machine where it runs best; "": any
	Retry    Retry
}

// Retry says whether a task that fails is attempted again.
type Retry struct {
	Attempts uint32        // the most attempts; 0 and 1: only one
	Backoff  time.Duration // before the second attempt; each later pause is twice as long
	Longest  time.Duration // of the pauses; 0: a day
}

// DefaultLongest is the longest pause between attempts, where none is given.
const DefaultLongest = 24 * time.Hour

const (
	maxKey  = 200       // bytes of a key
	maxArgs = 512 << 10 // bytes of arguments, and of a result
)

// check refuses a request that cannot be right.
func (r *Request) check() error {
	switch {
	case r.Program == "":
		return errors.New("a task needs a program")
	case len(r.Key) > maxKey:
		return &engine.LimitError{What: "bytes of a key", Size: int64(len(r.Key)), Limit: maxKey}
	case len(r.Args) > maxArgs:
		return &engine.LimitError{What: "bytes of arguments (put more into a file)", Size: int64(len(r.Args)), Limit: maxArgs}
	case r.Delay < 0 || r.Retry.Backoff < 0 || r.Retry.Longest < 0:
		return errors.New("a time span of a task is negative")
	case !r.At.IsZero() && r.Delay != 0:
		return errors.New("a task has a time or a delay, not both")
	}
	return nil
}

func (r *Request) input() bool {
	return len(r.Args) > 0 || len(r.Env) > 0 || r.Retry != Retry{}
}

// Submit adds a task and returns its number. It is durable when Submit returns.
// Errors: ErrUnknown for programs and queues, user.ErrDenied without the right to
// submit to the queue and to run the program.
func (s *Service) Submit(ctx context.Context, r Request) (uint64, error) {
	ids, err := s.SubmitAll(ctx, []Request{r})
	if err != nil {
		return 0, err
	}
	return ids[0], nil
}

// SubmitAll adds tasks, all or none.
func (s *Service) SubmitAll(ctx context.Context, list []Request) ([]uint64, error) {
	for i := range list {
		if err := list[i].check(); err != nil {
			return nil, err
		}
	}
	if err := s.numbers.fill(ctx, ofTasks); err != nil {
		return nil, err
	}
	ids := make([]uint64, len(list))
	err := s.group.do(ctx, &request{caller: user.From(ctx), name: "task.Submit", durable: true, part: func(p *proc) error {
		return p.submitAll(list, ids)
	}})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

func (p *proc) submitAll(list []Request, ids []uint64) error {
	parent := parentOf(p.caller)
	for i := range list {
		id, err := p.submit(&list[i], parent)
		if err != nil {
			return err
		}
		ids[i] = id
	}
	return nil
}

// parentOf is the task in which a caller runs, 0 for none.
func parentOf(c user.Caller) uint64 {
	id, err := strconv.ParseUint(c.Task, 10, 64)
	if err != nil {
		return 0 // what runs is not a task of this service
	}
	return id
}

// submit adds a task.
func (p *proc) submit(r *Request, parent uint64) (uint64, error) {
	program, err := p.program(r.Program)
	if err != nil {
		return 0, err
	}
	name := r.Queue
	if name == "" {
		name = program.Queue
	}
	if _, err := p.queue(name); err != nil {
		return 0, err
	}
	err = errors.Join(p.may(user.Submit, name),
		user.Check(p.tx, p.caller, user.Run, user.Object{Kind: user.KindProgram, Name: r.Program}))
	if err != nil {
		return 0, err
	}
	if r.Key != "" {
		if old, err := Submissions.Get(p.tx, p.caller.User, r.Key); !errors.Is(err, table.ErrNotFound) {
			return old.Task, err
		}
	}
	id, err := p.s.numbers.takeIn(p.tx, ofTasks)
	if err != nil {
		return 0, err
	}
	t := Task{
		ID: id, Queue: name, Program: r.Program, State: Waiting, Priority: r.Priority, Due: p.now, Submitted: p.now,
		User: p.caller.User, Parent: parent, Place: r.Place, Input: r.input(),
	}
	if at := r.at(p.now); at.After(p.now) {
		t.State, t.Due = Delayed, at
	}
	if !r.Deadline.IsZero() {
		t.Deadline = sql.Null[time.Time]{V: r.Deadline.UTC().Truncate(time.Microsecond), Valid: true}
	}
	p.wrote = true
	return id, p.enter(&t, r)
}

func (r *Request) at(now time.Time) time.Time {
	if r.Delay > 0 {
		return now.Add(r.Delay).Truncate(time.Microsecond)
	}
	return r.At.UTC().Truncate(time.Microsecond)
}

// enter writes a new task.
func (p *proc) enter(t *Task, r *Request) error {
	var err error
	if t.Input {
		err = Inputs.Insert(p.tx, &Input{
			Task: t.ID, Args: r.Args, Env: r.Env, Attempts: r.Retry.Attempts, Backoff: r.Retry.Backoff, Longest: r.Retry.Longest,
		})
	}
	if err == nil && r.Key != "" {
		err = Submissions.Insert(p.tx, &Submission{User: t.User, Key: r.Key, Task: t.ID, At: p.now})
	}
	if err == nil && t.Parent != 0 {
		err = Children.Insert(p.tx, &Child{Parent: t.Parent, Task: t.ID})
	}
	if err == nil && t.Deadline.Valid {
		err = p.setTimer(t.Deadline.V, t.ID, timeDeadline)
	}
	switch {
	case err != nil:
		return err
	case t.State == Delayed:
		return errors.Join(Tasks.Insert(p.tx, t), p.setTimer(t.Due, t.ID, timeReady))
	}
	p.fresh, p.readied = append(p.fresh, t), true
	return nil
}

// Procedures are those that can be parts of a caller's transaction.
type Procedures struct {
	s  *Service
	tx *table.Tx
}

// In returns the procedures that take part in a transaction. What they did is
// there when, and if, it commits.
func (s *Service) In(tx *table.Tx) Procedures { return Procedures{s, tx} }

// Submit is Service.Submit as a part of a transaction, on behalf of a caller.
func (ps Procedures) Submit(c user.Caller, r Request) (uint64, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	p := &proc{foreign: true}
	p.begin(ps.s, ps.tx, c)
	id, err := p.submit(&r, parentOf(c))
	if err != nil {
		return 0, err
	}
	name := r.Queue
	if name == "" {
		name = p.known[r.Program].Queue
	}
	if err := signal(ps.tx, name); err != nil {
		return 0, err
	}
	return id, p.flush()
}

// signal has the dispatcher look at a queue after the commit.
func signal(tx *table.Tx, queue string) error {
	row, err := Signals.Get(tx, queue)
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return err
	}
	return Signals.Put(tx, &Signal{Queue: queue, Number: row.Number + 1})
}

// listen dispatches what others have made ready.
func (s *Service) listen(ctx context.Context) {
	known := map[string]uint64{}
	var seen engine.Version
	var areas []engine.Range
	look := func(tx *table.Tx) (err error) {
		if areas, err = tx.KeysOf(Signals, Queues, Policies); err != nil {
			return err
		}
		seen = tx.Version()
		queues, err := s.signaled(tx, known)
		if err != nil {
			return err
		}
		return s.lookInto(tx, queues)
	}
	for {
		err := s.store.View(ctx, look)
		if err == nil {
			s.dispatch()
			s.timer.look()
			_, err = s.store.Engine().Watch(ctx, seen, areas...)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.o.Log("task: tasks that are submitted within transactions are no longer noticed: %v", err)
			return
		}
	}
}

// signaled notes which queues have been signaled.
func (s *Service) signaled(tx *table.Tx, known map[string]uint64) ([]string, error) {
	var changed []string
	for row, err := range Signals.Scan(tx, table.Span{}) {
		if err != nil {
			return nil, err
		}
		if known[row.Queue] != row.Number {
			known[row.Queue] = row.Number
			changed = append(changed, row.Queue)
		}
	}
	if len(changed) == 0 { // queues, the policy, or a restore
		s.doubt()
		s.unsettled.Store(true)
	}
	return changed, nil
}

// lookInto lowers the heads of queues that have been signaled.
func (s *Service) lookInto(tx *table.Tx, queues []string) error {
	for _, queue := range queues {
		err := headsOf(tx, queue, func(r Ready) { s.lanes.lower(r.Queue, r.Priority, r.Due, r.Task) })
		if err != nil {
			return fmt.Errorf("queue %q: %w", queue, err)
		}
	}
	return nil
}

// dispatch hands ready tasks to idle workers.
func (s *Service) dispatch() {
	for _, c := range s.group.users() {
		err := s.group.do(context.Background(), &request{caller: c, name: "task.Dispatch", part: func(p *proc) error {
			p.readied = true
			if s.unsettled.Swap(false) {
				return p.recount()
			}
			return nil
		}})
		if err != nil && !errors.Is(err, ErrClosed) {
			s.o.Log("task: dispatch: %v", err)
		}
	}
}
