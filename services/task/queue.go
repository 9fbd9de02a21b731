package task

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// queueState is a queue within a procedure.
type queueState struct {
	Queue
	load    Load
	tracked bool // load counts, and has or gets its row
	stored  bool // there is a row
	changed bool
	may     map[string]bool // users who may take its tasks
}

// queue returns a queue with its load.
func (p *proc) queue(name string) (*queueState, error) {
	if q := p.queues[name]; q != nil {
		return q, nil
	}
	row, err := Queues.Get(p.tx, name)
	if errors.Is(err, table.ErrNotFound) {
		return nil, fmt.Errorf("queue %q: %w", name, ErrUnknown)
	}
	if err != nil {
		return nil, err
	}
	q := &queueState{Queue: row, load: Load{Queue: name, Refilled: p.now}}
	p.queues[name] = q
	load, err := Loads.Get(p.tx, name)
	switch {
	case err == nil:
		q.load, q.stored = load, true
	case !errors.Is(err, table.ErrNotFound):
		return nil, err
	}
	policy, err := p.order()
	if err != nil {
		return nil, err
	}
	q.tracked = q.Concurrency > 0 || q.Rate > 0 || policy.share
	return q, q.track(p)
}

// track begins to count, or ends it, where the queue or the policy have changed.
func (q *queueState) track(p *proc) error {
	switch {
	case q.tracked && !q.stored:
		n, err := p.countRunning(q.Name)
		if err != nil {
			return err
		}
		q.load.Running, q.load.Allowed = n, float64(q.burst())
	case q.tracked && q.Rate > 0:
		q.refill(p.now)
	case q.stored && !q.tracked:
		q.changed = true
	}
	return nil
}

// countRunning counts the tasks of a queue that workers have.
func (p *proc) countRunning(queue string) (n uint32, err error) {
	for l, err := range Leases.Scan(p.tx, table.Span{}) {
		if err != nil {
			return 0, err
		}
		for _, id := range l.Tasks {
			t, err := p.task(id)
			if errors.Is(err, ErrUnknown) {
				continue
			}
			if err != nil {
				return 0, err
			}
			if t.Queue == queue && t.State.Taken() && t.Lease == l.ID {
				n++
			}
		}
	}
	return n, nil
}

func (q *queueState) burst() uint32 { return max(q.Burst, 1) }

// refill adds what may begin since the last time.
func (q *queueState) refill(now time.Time) {
	passed := max(now.Sub(q.load.Refilled).Seconds(), 0)
	q.load.Allowed = min(q.load.Allowed+passed*q.Rate, float64(q.burst()))
	q.load.Refilled = now
}

// admits tells whether another task may begin, and if it is only the rate that
// forbids it, when one may.
func (q *queueState) admits(now time.Time) (ok bool, when time.Time) {
	switch {
	case q.Paused, q.Concurrency > 0 && q.load.Running >= q.Concurrency:
		return false, time.Time{}
	case q.Rate > 0 && q.load.Allowed < 1:
		wait := math.Ceil((1 - q.load.Allowed) / q.Rate * 1e6) // microseconds
		return false, now.Add(time.Duration(min(wait, 1e15)) * time.Microsecond)
	}
	return true, time.Time{}
}

// took counts a task that begins.
func (q *queueState) took() {
	if !q.tracked {
		return
	}
	q.changed = true
	q.load.Running++
	if q.Rate > 0 {
		q.load.Allowed--
	}
}

// gave counts a task that has ended.
func (q *queueState) gave() {
	if q.tracked && q.load.Running > 0 {
		q.changed = true
		q.load.Running--
	}
}

// share is how much of its part a queue has.
func (q *queueState) share() float64 { return float64(q.load.Running) / float64(max(q.Weight, 1)) }

func (q *queueState) write(p *proc) error {
	switch {
	case !q.changed:
		return nil
	case q.tracked:
		return Loads.Put(p.tx, &q.load)
	}
	return Loads.Delete(p.tx, q.Name)
}
