package task

import (
	"cmp"
	"errors"
	"slices"

	"github.com/tuplix/tuplix/services/user"
)

// claimer is a worker that wants tasks.
type claimer struct {
	caller user.Caller
	worker uint64
	most   int
	once   bool // it does not wait if there is none
	gone   bool // it waits no longer

	standing bool // it takes tasks again and again, as it has room

	got  []Claimed
	done chan claimed

	// In a procedure.
	row   *Worker
	err   error // why it gets none
	lease *Lease
	room  int
	heap  []seat
	built bool
}

type claimed struct {
	tasks []Claimed
	err   error
}

func (c *claimer) answer(tasks []Claimed, err error) { c.done <- claimed{tasks, err} }

// seat is a lane in a claimer's heap, with what its place there was found by.
// Others take from the lane too, so that may be out of date; tasks only become
// worse by that, and the seat then goes down when it comes up.
type seat struct {
	*lane
	queue *queueState
	head  entry
	share float64
}

// assign hands tasks to those who want some.
func (p *proc) assign() error {
	if len(p.claimers) == 0 {
		return nil
	}
	pol, err := p.order()
	if err != nil {
		return err
	}
	fresh, some, err := p.waiting(pol)
	if err != nil || !some {
		return err
	}
	a := assignment{p: p, policy: pol, lanes: fresh}
	if err := a.enter(); err != nil {
		return err
	}
	defer a.leave()
	for c := a.claimer(); c != nil; c = a.claimer() {
		s, err := a.pick(c)
		if err != nil {
			return err
		}
		if s == nil {
			c.room = 0
			continue
		}
		if err := p.takeFrom(c, s); err != nil {
			return err
		}
	}
	for _, c := range p.claimers {
		if err := p.grant(c); err != nil {
			return err
		}
	}
	return nil
}

// waiting reports whether tasks wait. Where nothing else does, new tasks go straight to
// a worker, from the lanes that it returns: it is never written that they were ready.
func (p *proc) waiting(pol *policy) (fresh []*lane, some bool, err error) {
	n, err := p.s.lanes.look(p.tx, pol)
	if err != nil || n > 0 && len(p.fresh) == 0 {
		return nil, n > 0, err
	}
	if n == 0 {
		return p.freshLanes(), len(p.fresh) > 0, nil
	}
	return nil, true, p.settle()
}

// assignment is the tasks and claimers of one procedure.
type assignment struct {
	p      *proc
	policy *policy
	lanes  []*lane        // from which each claimer picks the best; nil: the first of the queue is the best
	opened map[*lane]bool // lanes of which the first tasks' rows have been read, and whether there may be more tasks
	aside  []*lane        // of the queue of lanes, those whose tasks nobody may take now
	want   int            // how many tasks claimers have room for
	seat   seat
}

// leave forgets what holds for one procedure only.
func (a *assignment) leave() {
	for _, l := range a.aside {
		a.p.s.lanes.set(l, false)
	}
	for l, more := range a.opened {
		a.p.s.lanes.again(l, more)
	}
}

// enter works out how many tasks each claimer may get.
func (a *assignment) enter() error {
	alike := !a.policy.share && !a.policy.rows
	for _, c := range a.p.claimers {
		row, err := a.p.worker(c.worker)
		c.row, c.built, c.heap, c.room, c.err = row, false, c.heap[:0], 0, nil
		if errors.Is(err, ErrExpired) {
			c.err = err
			continue
		}
		if err != nil {
			return err
		}
		c.room = min(c.most, int(row.Slots)-int(row.Running))
		a.want += max(c.room, 0)
		alike = alike && len(row.Queues) == 0
	}
	if len(a.lanes) == 0 && !alike {
		a.lanes = a.p.s.lanes.list()
	}
	return nil
}

// claimer returns who gets the next task.
func (a *assignment) claimer() *claimer {
	var best *claimer
	for _, c := range a.p.claimers {
		if c.room > len(c.got) && (best == nil || a.policy.load && c.load() < best.load()) {
			best = c
		}
	}
	return best
}

func (c *claimer) load() float64 {
	return float64(int(c.row.Running)+len(c.got)) / float64(max(c.row.Slots, 1))
}

// pick returns the seat with the best task for a claimer, or none.
func (a *assignment) pick(c *claimer) (*seat, error) {
	if len(a.lanes) == 0 {
		return a.first(c)
	}
	if !c.built {
		if err := a.build(c); err != nil {
			return nil, err
		}
	}
	for len(c.heap) > 0 {
		s := &c.heap[0]
		e, there, err := a.head(s.lane, c)
		if err != nil {
			return nil, err
		}
		if there && s.queue == nil {
			there, err = a.enterQueue(c, s)
		}
		if err != nil {
			return nil, err
		}
		if !there || !a.admitted(s.queue) {
			a.drop(c)
			continue
		}
		if share := s.queue.share(); e != s.head || share != s.share {
			s.head, s.share = e, share
			a.down(c, 0)
			continue
		}
		return s, nil
	}
	return nil, nil
}

// first is pick where the same task is the best for all claimers, who have the same
// user: it is that of the first lane of the queue.
func (a *assignment) first(c *claimer) (*seat, error) {
	ls := &a.p.s.lanes
	for l := ls.first(); l != nil; l = ls.first() {
		e, there, err := ls.next(a.p.tx, l, a.want)
		if err != nil {
			return nil, err
		}
		if there && ls.first() != l {
			continue // what was read of it is not the best
		}
		a.seat = seat{lane: l, head: e}
		if there {
			there, err = a.enterQueue(c, &a.seat)
		}
		if err != nil {
			return nil, err
		}
		if there && a.admitted(a.seat.queue) {
			return &a.seat, nil
		}
		ls.set(l, true)
		a.aside = append(a.aside, l)
	}
	return nil, nil
}

// build enters all lanes that a claimer may take from. Their heads are those that
// are known, and are looked at when they come up.
func (a *assignment) build(c *claimer) error {
	c.built = true
	c.heap = slices.Grow(c.heap, len(a.lanes))
	a.p.s.lanes.guesses(a.lanes, func(l *lane, head entry) {
		if len(c.row.Queues) == 0 || slices.Contains(c.row.Queues, l.laneKey.queue) {
			c.heap = append(c.heap, seat{lane: l, head: head})
		}
	})
	if a.policy.share {
		kept := c.heap[:0]
		for _, s := range c.heap {
			if ok, err := a.enterQueue(c, &s); err != nil {
				return err
			} else if ok && a.admitted(s.queue) {
				kept = append(kept, s)
			}
		}
		clear(c.heap[len(kept):])
		c.heap = kept
	}
	if a.policy.rows { // heads are not known by what is compared
		for i := range c.heap {
			e, there, err := a.head(c.heap[i].lane, c)
			if err != nil {
				return err
			}
			if there {
				c.heap[i].head = e
			}
		}
		c.heap = slices.DeleteFunc(c.heap, func(s seat) bool { return s.head.task == nil })
	}
	for i := len(c.heap)/2 - 1; i >= 0; i-- {
		a.down(c, i)
	}
	return nil
}

// enterQueue looks up the queue of a seat, and reports whether the claimer may
// take from it.
func (a *assignment) enterQueue(c *claimer, s *seat) (bool, error) {
	q, err := a.p.queue(s.laneKey.queue)
	if errors.Is(err, ErrUnknown) {
		return false, nil // it was removed; its tasks wait for it to come back
	}
	if err != nil {
		return false, err
	}
	s.queue, s.share = q, q.share()
	caller := a.p.caller
	a.p.caller = c.caller
	defer func() { a.p.caller = caller }()
	return q.takenBy(a.p)
}

// takenBy reports whether the caller may take tasks of the queue.
func (q *queueState) takenBy(p *proc) (bool, error) {
	if p.caller.User == user.Root {
		return true, nil
	}
	if ok, known := q.may[p.caller.User]; known {
		return ok, nil
	}
	err := p.may(user.Claim, q.Name)
	if err != nil && !isDenied(err) {
		return false, err
	}
	if q.may == nil {
		q.may = map[string]bool{}
	}
	q.may[p.caller.User] = err == nil
	return err == nil, nil
}

// admitted asks a queue's limits, and sees that a rate is looked at again when it
// allows more.
func (a *assignment) admitted(q *queueState) bool {
	ok, when := q.admits(a.p.now)
	if !ok && !when.IsZero() {
		a.p.s.timer.dispatchAt(when)
	}
	return ok
}

// head returns the task of a lane that is the best for a claimer.
func (a *assignment) head(l *lane, c *claimer) (entry, bool, error) {
	if _, open := a.opened[l]; a.policy.rows && !l.fresh && !open {
		if err := a.open(l); err != nil {
			return entry{}, false, err
		}
	}
	e, ok, err := a.p.s.lanes.next(a.p.tx, l, a.want)
	if err == nil && ok && a.policy.rows {
		e = a.best(l, c)
	}
	return e, ok, err
}

// open reads the first tasks of a lane, with their rows.
func (a *assignment) open(l *lane) error {
	more, err := a.p.s.lanes.window(a.p.tx, l, max(min(window, mostWindows/len(a.lanes)), 1))
	if err != nil {
		return err
	}
	if a.opened == nil {
		a.opened = map[*lane]bool{}
	}
	a.opened[l] = more
	for i := range l.rows {
		t, err := a.p.task(l.rows[i].id)
		if err != nil {
			return err
		}
		a.p.s.lanes.know(l, i, &t)
	}
	return nil
}

// best brings the best task of a lane to its head.
func (a *assignment) best(l *lane, c *claimer) entry {
	best := l.at
	for i := l.at + 1; i < len(l.rows); i++ {
		if a.compare(c, &seat{lane: l, head: l.rows[i]}, &seat{lane: l, head: l.rows[best]}) < 0 {
			best = i
		}
	}
	return a.p.s.lanes.bring(l, best)
}

// compare is negative if a claimer's task x goes before y.
func (a *assignment) compare(c *claimer, x, y *seat) int {
	for _, t := range a.policy.terms {
		n := 0
		switch t.column {
		case byPriority:
			n = cmp.Compare(x.priority, y.priority)
		case byDue:
			n = cmp.Compare(x.head.due, y.head.due)
		case byShare:
			n = cmp.Compare(x.share, y.share)
		case byDeadline:
			n = compareDeadline(x.head.task, y.head.task)
		case byAttempt:
			n = cmp.Compare(x.head.task.Attempt, y.head.task.Attempt)
		case byPlace:
			n = cmp.Compare(c.distance(x.head.task), c.distance(y.head.task))
		}
		if t.desc {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return cmp.Or(cmp.Compare(x.head.due, y.head.due), cmp.Compare(x.head.id, y.head.id))
}

func compareDeadline(x, y *Task) int {
	switch {
	case x.Deadline.Valid && y.Deadline.Valid:
		return x.Deadline.V.Compare(y.Deadline.V)
	case x.Deadline.Valid:
		return -1
	case y.Deadline.Valid:
		return 1
	}
	return 0
}

func (c *claimer) distance(t *Task) int {
	if t.Place == "" || t.Place == c.row.Machine {
		return 0
	}
	return 1
}

// drop removes the first seat of a heap.
func (a *assignment) drop(c *claimer) {
	last := len(c.heap) - 1
	c.heap[0] = c.heap[last]
	c.heap = c.heap[:last]
	a.down(c, 0)
}

// down moves a seat to its place in the heap.
func (a *assignment) down(c *claimer, i int) {
	for {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < len(c.heap) && a.compare(c, &c.heap[child], &c.heap[least]) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		c.heap[i], c.heap[least] = c.heap[least], c.heap[i]
		i = least
	}
}

// takeFrom gives the task at the head of a seat to a claimer.
func (p *proc) takeFrom(c *claimer, s *seat) error {
	p.s.lanes.taken(s.lane, s.head)
	if s.fresh {
		return p.take(c, s.head.task, s.queue)
	}
	t, err := p.task(s.head.id)
	if errors.Is(err, ErrUnknown) || err == nil && !s.holds(&t) {
		return nil // it was canceled since it was read
	}
	if err != nil {
		return err
	}
	if err := p.unready(&t); err != nil {
		return err
	}
	if err := p.take(c, &t, s.queue); err != nil {
		return err
	}
	return Tasks.Put(p.tx, &t)
}

// holds reports whether a task is still ready at the place where it was found.
func (s *seat) holds(t *Task) bool {
	return t.State == Waiting && t.Queue == s.laneKey.queue && t.Priority == s.priority && t.Due.UnixMicro() == s.head.due
}

// tasksPerLease bounds a lease: its row is written each time that some of its tasks
// have ended.
const tasksPerLease = 64

// take makes a task run on a claimer's worker. The caller writes it.
func (p *proc) take(c *claimer, t *Task, q *queueState) error {
	if len(c.got)%tasksPerLease == 0 {
		lease, err := p.s.numbers.takeIn(p.tx, ofLeases)
		if err != nil {
			return err
		}
		p.leases[lease] = &Lease{ID: lease, Worker: c.worker, Taken: p.now}
		c.lease = p.leases[lease]
	}
	if err := t.become(Running); err != nil {
		return err
	}
	t.Lease, t.Worker = c.lease.ID, c.worker
	t.Started.V, t.Started.Valid = p.now, true
	t.Attempt++
	q.took()
	got := Claimed{Task: *t}
	if t.Input {
		in, err := Inputs.Get(p.tx, t.ID)
		if err != nil {
			return err
		}
		got.Args, got.Env = in.Args, in.Env
	}
	program, err := p.program(t.Program)
	if err == nil && program.OnCrash == NotTwice {
		p.mustSync = true
	}
	if err != nil {
		return err
	}
	if c.got == nil {
		// Mostly few, and for those who submit them now. A Claimed is large.
		c.got = make([]Claimed, 0, min(c.room, max(len(p.fresh), 1)))
	}
	c.got = append(c.got, got)
	c.lease.Tasks = append(c.lease.Tasks, t.ID)
	c.lease.Left++
	return nil
}

// grant writes down what a claimer got.
func (p *proc) grant(c *claimer) error {
	if len(c.got) == 0 {
		return nil
	}
	c.row.Running += uint32(len(c.got))
	if c.row.Expires.After(p.now.Add(p.s.o.Lease / 2)) {
		return nil
	}
	c.row.Expires = p.now.Add(p.s.o.Lease)
	return p.setTimer(c.row.Expires, c.worker, timeExpire)
}
