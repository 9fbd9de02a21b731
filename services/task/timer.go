package task

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// timer is the one goroutine that waits for times: rows of os.timers and
// schedules, and queues whose rate admits more. It sleeps until the first of them.
type timer struct {
	mu       sync.Mutex
	dispatch time.Time     // when idle workers may get more, zero: not by time
	next     time.Time     // when it wakes up; zero: it is awake, or does not by time
	changed  chan struct{} // has room for one: look again
}

func (t *timer) init() { t.changed = make(chan struct{}, 1) }

// look has the goroutine look again.
func (t *timer) look() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// earlier says that there is something to be done at a time.
func (t *timer) earlier(at time.Time) {
	t.mu.Lock()
	late := t.next.IsZero() || at.Before(t.next)
	t.mu.Unlock()
	if late {
		t.look()
	}
}

func (t *timer) sleep(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = until
}

// dispatchAt says that idle workers may get tasks at a time.
func (t *timer) dispatchAt(at time.Time) {
	t.mu.Lock()
	late := t.dispatch.IsZero() || at.Before(t.dispatch)
	if late {
		t.dispatch = at
	}
	t.mu.Unlock()
	if late {
		t.look()
	}
}

// mostFired bounds how many timers one procedure serves.
const mostFired = 256

func (s *Service) runTimers(ctx context.Context) {
	clock := time.NewTimer(0)
	defer clock.Stop()
	for {
		s.timer.sleep(time.Time{}) // awake: whatever is set from here on is looked at
		next, err := s.tick(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.o.Log("task: what is due was not done, and is tried again in a minute: %v", err)
			next = s.now().Add(time.Minute)
		}
		s.timer.sleep(next)
		var sleep <-chan time.Time
		if !next.IsZero() {
			clock.Reset(max(next.Sub(s.now()), 0))
			sleep = clock.C
		}
		select {
		case <-ctx.Done():
			return
		case <-sleep:
		case <-s.timer.changed:
		}
	}
}

// tick does what is due, and tells when to come again.
func (s *Service) tick(ctx context.Context) (time.Time, error) {
	for {
		s.timer.mu.Lock()
		dispatch := s.timer.dispatch
		due := !dispatch.IsZero() && !dispatch.After(s.now())
		if due {
			s.timer.dispatch, dispatch = time.Time{}, time.Time{}
		}
		s.timer.mu.Unlock()
		if due {
			s.dispatch()
			continue
		}
		sweep, err := s.sweepDue(ctx)
		if err != nil {
			return time.Time{}, err
		}
		next, err := s.firstTime(ctx)
		if err != nil {
			return time.Time{}, err
		}
		if next.IsZero() || next.After(s.now()) {
			return soonest(soonest(next, dispatch), sweep), nil
		}
		if err := s.fire(ctx); err != nil {
			return time.Time{}, err
		}
	}
}

// soonest is the earlier of two times, of which either may be none.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// firstTime is that of the first timer or schedule.
func (s *Service) firstTime(ctx context.Context) (first time.Time, err error) {
	err = s.store.View(ctx, func(tx *table.Tx) error {
		first = time.Time{}
		t, err := Timers.First(tx, table.Span{})
		if err == nil {
			first = t.At
		} else if !errors.Is(err, table.ErrNotFound) {
			return err
		}
		sc, err := nextSchedule.First(tx, table.Span{})
		if err == nil {
			first = soonest(first, sc.Next.V)
		} else if !errors.Is(err, table.ErrNotFound) {
			return err
		}
		return nil
	})
	return first, err
}

// fire does what is due.
func (s *Service) fire(ctx context.Context) error {
	if err := errors.Join(s.numbers.fill(ctx, ofTasks), s.numbers.fill(ctx, ofLeases)); err != nil {
		return err
	}
	return s.group.do(ctx, &request{caller: system, name: "task.Timer", part: func(p *proc) error {
		p.wrote = true
		var due []Timer
		for t, err := range Timers.Scan(p.tx, table.Through(p.now).Limit(mostFired)) {
			if err != nil {
				return err
			}
			due = append(due, t)
		}
		for _, t := range due {
			if err := Timers.Delete(p.tx, t.At, t.ID, t.Kind); err != nil {
				return err
			}
			if err := p.fire(t); err != nil {
				return err
			}
		}
		return p.fireSchedules()
	}})
}

// fire serves one timer. What it is about may have changed since it was set.
func (p *proc) fire(timer Timer) error {
	if timer.Kind == timeExpire {
		return p.expire(timer.ID)
	}
	t, err := p.task(timer.ID)
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case timer.Kind == timeReady && t.State == Delayed && t.Due.Equal(timer.At):
		if err := t.become(Waiting); err != nil {
			return err
		}
		if err := p.ready(&t); err != nil {
			return err
		}
		return Tasks.Put(p.tx, &t)
	case timer.Kind == timeDeadline && !t.State.Ended() && t.Deadline.Valid && t.Deadline.V.Equal(timer.At):
		return p.halt(&t, stopLate)
	case timer.Kind == timeAbandon && t.State == Stopping:
		return p.abandon(&t)
	}
	return nil
}

// expire ends the leases of a worker that was not heard of.
func (p *proc) expire(id uint64) error {
	w, err := p.worker(id)
	if errors.Is(err, ErrExpired) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case w.Running == 0:
		return nil
	case w.Expires.After(p.now):
		return p.setTimer(w.Expires, id, timeExpire)
	}
	p.s.o.Log("task: worker %d (%s) has not been heard of for %v; its %d tasks are taken from it", id, w.Name, p.s.o.Lease, w.Running)
	return p.dismiss(w)
}
