package embedded

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/engine"
)

// watchers are those who wait for changes. Without any, a transaction pays one
// atomic load for them.
//
// No wake-up is lost: a waiter enters itself, and then has applied what is
// committed and looks whether it has changed something; a transaction is committed
// first, and then looks for waiters. They are woken when it is visible.
type watchers struct {
	count atomic.Int64 // of waiters
	woken atomic.Int64 // since the store was opened

	mu     sync.Mutex
	tree   intervals
	serial uint64
	all    map[*waiter]struct{}
	closed bool
}

type waiter struct {
	nodes []interval
	woken chan struct{} // closed, once, with version set
	hit   bool          // it is in the list of a group
	done  bool
	v     version
}

// Watch waits for a change in one of the ranges.
func (e *Engine) Watch(ctx context.Context, since engine.Version, ranges ...engine.Range) (engine.Version, error) {
	if err := e.enterSettled(); err != nil {
		return "", err
	}
	defer e.leave()
	from := e.last.Load()
	if since != "" {
		var err error
		if from, err = e.internal(since); err != nil {
			return "", err
		}
	}
	w, err := e.watchers.enter(ranges)
	if err != nil {
		return "", err
	}
	defer e.watchers.leave(w)
	if err := e.applyOpen(); err != nil {
		return "", err
	}
	switch changed, err := e.changed(from, ranges); {
	case err != nil:
		return "", err
	case changed:
		v := e.last.Load()
		e.owed.shown(v, &e.durable)
		return v.external(), nil
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-w.woken:
	}
	if w.v == noVersion {
		return "", engine.ErrClosed
	}
	e.owed.shown(w.v, &e.durable)
	return w.v.external(), nil
}

func (ws *watchers) enter(ranges []engine.Range) (*waiter, error) {
	w := &waiter{nodes: make([]interval, 0, len(ranges)), woken: make(chan struct{})}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		return nil, engine.ErrClosed
	}
	if ws.all == nil {
		ws.all = map[*waiter]struct{}{}
	}
	for _, r := range ranges {
		if r.Empty() {
			continue
		}
		ws.serial++
		w.nodes = append(w.nodes, interval{
			low: bytes.Clone(r.Low), high: slices.Clone(r.High), serial: ws.serial, owner: w,
		})
		ws.tree.insert(&w.nodes[len(w.nodes)-1])
	}
	ws.all[w] = struct{}{}
	ws.count.Add(1)
	return w, nil
}

func (ws *watchers) leave(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for i := range w.nodes {
		ws.tree.remove(&w.nodes[i])
	}
	delete(ws.all, w)
	ws.count.Add(-1)
}

// hit adds those who wait for what t has changed to a list, each once.
func (ws *watchers) hit(list []*waiter, t *tx) []*waiter {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	visit := func(w *waiter) {
		if !w.hit {
			w.hit = true
			list = append(list, w)
		}
	}
	for i := range t.keys.len() {
		ws.tree.holding(t.keys.at(i), visit)
	}
	for _, h := range t.restores {
		ws.tree.overlapping(h.r, visit)
	}
	return list
}

// wake wakes those who wait for what is visible up to v.
func (ws *watchers) wake(hits []*waiter, v version) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range hits {
		if !w.done {
			w.done, w.v = true, v
			close(w.woken)
			ws.woken.Add(1)
		}
	}
}

// close sends all away.
func (ws *watchers) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for w := range ws.all {
		if !w.done {
			w.done = true
			close(w.woken)
		}
	}
}
