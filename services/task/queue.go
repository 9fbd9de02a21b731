package task

import (
	"errors"
	"math"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// queueState is a queue within a procedure.
type queueState struct {
	Queue
	load    Load
	tracked bool // load counts, and has or gets its row
	changed bool
	may     map[string]bool // users who may take its tasks
}

// queue returns a queue with its load.
func (p *proc) queue(name string) (*queueState, error) {
	if q := p.queues[name]; q != nil {
		return q, nil
	}
	read := p.s.settings.queue
	if p.foreign {
		read = readQueue
	}
	row, err := read(p.tx, name)
	if err != nil {
		return nil, err
	}
	policy, err := p.order()
	if err != nil {
		return nil, err
	}
	q := &queueState{Queue: row, load: Load{Queue: name, Refilled: p.now}}
	q.tracked = q.Concurrency > 0 || q.Rate > 0 || policy.share
	p.queues[name] = q
	if !q.tracked {
		return q, nil
	}
	load, err := Loads.Get(p.tx, name)
	switch {
	case errors.Is(err, table.ErrNotFound):
		running, err := p.countRunning()
		q.load.Running, q.load.Allowed = running[name], float64(q.burst())
		return q, err
	case err != nil:
		return nil, err
	}
	q.load = load
	if q.Rate > 0 {
		q.refill(p.now)
	}
	return q, nil
}

// countRunning counts the tasks of each queue that workers have.
func (p *proc) countRunning() (map[string]uint32, error) {
	n := map[string]uint32{}
	for l, err := range Leases.Scan(p.tx, table.Span{}) {
		if err != nil {
			return nil, err
		}
		for _, id := range l.Tasks {
			t, err := p.task(id)
			if errors.Is(err, ErrUnknown) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if t.State.Taken() && t.Lease == l.ID {
				n[t.Queue]++
			}
		}
	}
	return n, nil
}

// recount brings the loads to what queues and policy demand, after these have
// changed: queues that nobody counts have none.
func (p *proc) recount() error {
	p.wrote, p.readied = true, true
	p.s.settings.forget()
	for name := range p.queues {
		if err := p.queues[name].write(p); err != nil {
			return err
		}
	}
	clear(p.queues)
	running, err := p.countRunning()
	if err != nil {
		return err
	}
	var all []Load
	for l, err := range Loads.Scan(p.tx, table.Span{}) {
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	for _, l := range all {
		q, err := p.queue(l.Queue)
		switch {
		case errors.Is(err, ErrUnknown), err == nil && !q.tracked:
			err = Loads.Delete(p.tx, l.Queue)
		case err == nil && q.load.Running != running[l.Queue]:
			q.load.Running, q.changed = running[l.Queue], true
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	if !q.changed {
		return nil
	}
	return Loads.Put(p.tx, &q.load)
}
