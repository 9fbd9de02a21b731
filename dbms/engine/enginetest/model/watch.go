package model

import (
	"context"

	"github.com/tuplix/tuplix/dbms/engine"
)

// waiter is a Watch under way.
type waiter struct {
	ranges []engine.Range
	woken  chan struct{} // closed once
}

// Watch implements engine.Engine.
func (e *Engine) Watch(ctx context.Context, since engine.Version, ranges ...engine.Range) (engine.Version, error) {
	w := &waiter{ranges: ranges, woken: make(chan struct{})}
	v, done, err := e.enlist(w, &since)
	if err != nil || done {
		return v, err
	}
	select {
	case <-w.woken:
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.waiters, w)
	switch {
	case e.closed:
		return "", engine.ErrClosed
	case e.changed(since, ranges):
		e.metrics.Wakeups++
		return encode(e.last), nil
	}
	return "", ctx.Err()
}

// enlist adds a waiter, unless what it waits for has happened. A zero version
// becomes the newest.
func (e *Engine) enlist(w *waiter, since *engine.Version) (engine.Version, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return "", false, engine.ErrClosed
	}
	if *since == "" {
		*since = encode(e.last)
	}
	if err := e.checkVersion(*since); err != nil {
		return "", false, err
	}
	if e.changed(*since, w.ranges) {
		return encode(e.last), true, nil
	}
	e.waiters[w] = struct{}{}
	return "", false, nil
}

// wake ends the waits for what c has changed.
func (e *Engine) wake(c *commit) {
	for w := range e.waiters {
		if c.touches(w.ranges) {
			close(w.woken)
			delete(e.waiters, w)
		}
	}
}

// changed tells whether a transaction later than since has touched the ranges.
func (e *Engine) changed(since engine.Version, ranges []engine.Range) bool {
	for _, c := range e.after(since) {
		if c.touches(ranges) {
			return true
		}
	}
	return false
}

func (c *commit) touches(ranges []engine.Range) bool {
	for _, r := range ranges {
		for _, s := range c.restores {
			if s.rng.Overlaps(r) {
				return true
			}
		}
		for _, key := range c.writes {
			if r.Contains([]byte(key)) {
				return true
			}
		}
	}
	return false
}
