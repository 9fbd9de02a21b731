package model

import (
	"context"
	"fmt"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Sync implements engine.Engine: there is nothing to wait for.
func (e *Engine) Sync(ctx context.Context, v engine.Version) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return engine.ErrClosed
	case v != "":
		return e.checkVersion(v)
	}
	return ctx.Err()
}

// MaxValue implements engine.Engine.
func (e *Engine) MaxValue() int { return engine.DefaultMaxValue }

// Owed implements engine.Engine: nothing is lost.
func (e *Engine) Owed() engine.Version { return "" }

// Resolve implements engine.Engine.
func (e *Engine) Resolve(_ context.Context, id string) (v engine.Version, done bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return "", false, engine.ErrClosed
	}
	v, done = e.ops[id]
	return v, done, nil
}

// Check implements engine.Engine: keys and versions must be in order.
func (e *Engine) Check(_ context.Context, report func(engine.Problem)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return engine.ErrClosed
	}
	if !slices.IsSorted(e.keys) {
		report(engine.Problem{Where: "keys", What: "out of order"})
	}
	for key, all := range e.entries {
		for i := 1; i < len(all); i++ {
			if all[i-1].version >= all[i].version {
				report(engine.Problem{Where: fmt.Sprintf("key %q", key), What: "versions out of order"})
			}
		}
	}
	return nil
}

// Metrics implements engine.Engine.
func (e *Engine) Metrics() engine.Metrics {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.metrics
	m.Watchers = int64(len(e.waiters))
	m.Collected = e.released
	return m
}

// Close implements engine.Engine.
func (e *Engine) Close() error {
	e.turn.Lock()
	defer e.turn.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return engine.ErrClosed
	}
	e.closed = true
	for w := range e.waiters {
		close(w.woken)
	}
	clear(e.waiters)
	return nil
}
