package model

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// rule is for how long the superseded versions of a range are kept.
type rule struct {
	rng  engine.Range
	keep time.Duration
}

// Retain implements engine.Engine.
func (e *Engine) Retain(ctx context.Context, op *engine.Op, r engine.Range, keep time.Duration) error {
	if keep < engine.MinRetention {
		return fmt.Errorf("versions are kept for %v at least, not %v", engine.MinRetention, keep)
	}
	_, err := e.Update(ctx, op, func(t engine.Tx) error {
		own := t.(*tx)
		own.rules = append(own.rules, rule{rng: clone(r), keep: keep})
		return nil
	})
	return err
}

// keeps returns how long versions of key are kept.
func (e *Engine) keeps(key string) time.Duration {
	for _, r := range slices.Backward(e.rules) {
		if r.rng.Contains([]byte(key)) {
			return r.keep
		}
	}
	return engine.DefaultRetention
}

// longest is the longest time for which anything is kept.
func (e *Engine) longest() time.Duration {
	keep := engine.DefaultRetention
	for _, r := range e.rules {
		if r.rng.Low == nil && r.rng.High == nil {
			keep = 0
		}
		keep = max(keep, r.keep)
	}
	return keep
}

// Collect implements engine.Engine. Cuts are made key by key, and stay when the
// clock is set back or the retention made longer.
func (e *Engine) Collect(ctx context.Context) (engine.Collected, error) {
	if err := ctx.Err(); err != nil {
		return engine.Collected{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return engine.Collected{}, engine.ErrClosed
	}
	var done engine.Collected
	for _, key := range e.keys {
		at := max(e.newestAt(e.now().Add(-e.keeps(key))), e.cuts[key])
		e.cuts[key] = at
		done.Versions += e.drop(key, at)
	}
	at := e.newestAt(e.now().Add(-e.longest()))
	e.commits = slices.DeleteFunc(e.commits, func(c commit) bool {
		if c.Version >= at {
			return false
		}
		delete(e.ops, c.Op.ID)
		done.Commits++
		return true
	})
	e.released.Versions += done.Versions
	e.released.Commits += done.Commits
	return done, nil
}

// drop forgets the entries of key that were superseded at a version or before.
func (e *Engine) drop(key string, at engine.Version) int64 {
	old := max(e.find(key, at), 0)
	e.entries[key] = slices.Delete(e.entries[key], 0, old)
	return int64(old)
}

// newestAt returns the newest version not after t, zero if there is none.
func (e *Engine) newestAt(t time.Time) (v engine.Version) {
	for _, c := range e.commits {
		if !c.Time.After(t) {
			v = c.Version
		}
	}
	return v
}

func (e *Engine) horizon(r engine.Range) (v engine.Version) {
	for key, at := range e.cuts {
		if r.Contains([]byte(key)) {
			v = max(v, at)
		}
	}
	return v
}

// Horizon implements engine.Engine.
func (e *Engine) Horizon(_ context.Context, r engine.Range) (engine.Version, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return "", engine.ErrClosed
	}
	return max(e.horizon(r), encode(0)), nil
}

// At implements engine.Engine.
func (e *Engine) At(_ context.Context, t time.Time) (engine.Version, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return "", engine.ErrClosed
	}
	v := e.newestAt(t)
	if v == "" {
		return "", engine.ErrTooOld
	}
	return v, nil
}
