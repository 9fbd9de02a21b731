package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

const (
	// mostChanges is how many changed keys are looked at to find whom to wake;
	// above that, everybody is.
	mostChanges = 10_000

	// lookEvery is for servers that do not notify, and reconnectAfter for lost
	// connections.
	lookEvery      = 100 * time.Millisecond
	reconnectAfter = 200 * time.Millisecond
)

// hub wakes those who wait for changes. One goroutine listens for commits of
// any machine; while somebody waits, it asks for the keys they changed.
//
// No change is missed: seen is the version up to which waiters have been woken,
// and a waiter that has read an older one looks for itself, after it is listed.
type hub struct {
	e      *Engine
	config *pgx.ConnConfig
	log    func(string, ...any)

	mu      sync.Mutex
	seen    uint64
	waiters map[*waiter]struct{}
	closed  bool
}

// waiter is a Watch under way.
type waiter struct {
	ranges []engine.Range
	since  uint64
	woken  chan uint64 // gets a version, or is closed with the engine
}

func newHub(e *Engine, config *pgx.ConnConfig, log func(string, ...any)) *hub {
	return &hub{e: e, config: config.Copy(), log: log, waiters: map[*waiter]struct{}{}}
}

// Watch implements engine.Engine.
func (e *Engine) Watch(ctx context.Context, since engine.Version, ranges ...engine.Range) (engine.Version, error) {
	w := &waiter{ranges: ranges, woken: make(chan uint64, 1)}
	v, err := e.enlist(ctx, w, since)
	if err != nil || v != "" {
		e.watch.remove(w)
		return v, err
	}
	select {
	case n, open := <-w.woken:
		if !open {
			return "", engine.ErrClosed
		}
		e.counts.wakeups.Add(1)
		return encode(n), nil
	case <-ctx.Done():
		e.watch.remove(w)
		return "", ctx.Err()
	}
}

// enlist adds a waiter. If what it waits for has happened, it returns a version.
func (e *Engine) enlist(ctx context.Context, w *waiter, since engine.Version) (engine.Version, error) {
	if err := e.enter(); err != nil {
		return "", err
	}
	defer e.leave()
	r, err := e.reader(ctx, since) // checks the version
	if err != nil {
		return "", err
	}
	w.since = r.at
	if e.watch.add(w) <= r.at {
		return "", nil
	}
	now, err := e.reader(ctx, "")
	if err != nil {
		return "", err
	}
	found, err := now.changedSince(r.Version(), w.ranges)
	if err != nil || !found {
		return "", err
	}
	return now.Version(), nil
}

// add lists a waiter, and returns the version up to which others were woken.
func (h *hub) add(w *waiter) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(w.woken)
	} else {
		h.waiters[w] = struct{}{}
	}
	return h.seen
}

func (h *hub) remove(w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiters, w)
}

func (h *hub) count() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(len(h.waiters))
}

// close ends all waits, and those to come.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.waiters {
		close(w.woken)
	}
	clear(h.waiters)
}

// run listens until ctx ends, over as many connections as it takes. Of failures
// in a row it tells the first.
func (h *hub) run(ctx context.Context) {
	told := h.state()
	for failures := 0; ctx.Err() == nil; {
		err := h.listen(ctx)
		if now := h.state(); err == nil || now != told {
			told, failures = now, 0
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if failures++; failures == 1 {
			h.log("listening for commits: %v", err)
		}
		h.pause(ctx, reconnectAfter)
	}
}

// state is the version up to which waiters have been woken.
func (h *hub) state() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

func (h *hub) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// listen is one connection's life. Whatever was committed before it listened is
// looked for first.
func (h *hub) listen(ctx context.Context) (err error) {
	if h.e.dialect.notify == "" {
		h.pause(ctx, lookEvery)
		return h.look(ctx)
	}
	conn, err := pgx.ConnectConfig(ctx, h.config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it is of no more use, whatever it says
	if _, err := conn.Exec(ctx, `listen `+pgx.Identifier{h.e.schema}.Sanitize()); err != nil {
		return err
	}
	for {
		if err := h.look(ctx); err != nil {
			return err
		}
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

// look wakes those who wait for what was committed since the last look.
func (h *hub) look(ctx context.Context) error {
	since := h.state()
	s, err := h.e.refresh(ctx, h.e)
	if err != nil || s.newest <= since {
		return err
	}
	h.mu.Lock()
	if len(h.waiters) == 0 {
		h.seen = s.newest // who comes later looks for himself
		h.mu.Unlock()
		return nil
	}
	h.mu.Unlock()
	keys, err := h.changes(ctx, since, s.newest)
	if err != nil {
		return err
	}
	r := reader{restores: s.restores}
	h.wake(s.newest, func(w *waiter) bool {
		return len(keys) > mostChanges || slices.ContainsFunc(w.ranges, func(rng engine.Range) bool {
			return anyIn(keys, rng) || len(r.restoresOf(rng, since)) > 0
		})
	})
	return nil
}

// wake ends the waits for which affects says so, and makes v seen.
func (h *hub) wake(v uint64, affects func(*waiter) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = v
	for w := range h.waiters {
		if w.since < v && affects(w) {
			w.woken <- v
			delete(h.waiters, w)
		}
	}
}

// changes returns the keys that were changed after a version, sorted; more than
// mostChanges only if there are.
func (h *hub) changes(ctx context.Context, since, upTo uint64) (keys []string, err error) {
	err = h.e.ask(ctx, h.e, question{
		sql: `select key from versions where xid > $1 and xid <= $2 limit $3`, args: []any{since, upTo, mostChanges + 1},
		row: func(rows pgx.Rows) error {
			var key []byte
			err := rows.Scan(&key)
			keys = append(keys, string(key))
			return err
		},
	})
	slices.Sort(keys)
	return keys, err
}

// anyIn reports whether a key of the sorted list is in r.
func anyIn(keys []string, r engine.Range) bool {
	i, _ := slices.BinarySearch(keys, string(r.Low))
	return i < len(keys) && (r.High == nil || keys[i] < string(r.High))
}
