package model

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Engine implements engine.Engine in memory.
type Engine struct {
	turn sync.Mutex // held by the Update under way; before mu
	now  func() time.Time

	mu       sync.Mutex
	closed   bool
	keys     []string           // sorted, also those deleted
	entries  map[string][]entry // in the order of versions
	commits  []commit           // in the order of versions
	ops      map[string]engine.Version
	rules    []rule
	cuts     map[string]engine.Version // by key: versions before it cannot be read any more
	last     uint64                    // newest version
	waiters  map[*waiter]struct{}
	metrics  engine.Metrics
	released engine.Collected
}

// entry is what a key became by one transaction.
type entry struct {
	version  engine.Version
	value    string
	deleted  bool
	restored bool // by a restore, not by a write
}

// commit is a transaction and what it touched.
type commit struct {
	engine.Commit
	writes   []string // sorted
	restores []restore
}

type restore struct {
	rng engine.Range
	to  engine.Version
}

// New returns an empty engine that reads the time from now; nil is the clock of
// the machine.
func New(now func() time.Time) *Engine {
	if now == nil {
		now = time.Now
	}
	return &Engine{
		now:     now,
		entries: map[string][]entry{},
		ops:     map[string]engine.Version{},
		cuts:    map[string]engine.Version{},
		waiters: map[*waiter]struct{}{},
	}
}

// encode makes a version of a number: 8 bytes, the most significant first.
func encode(n uint64) engine.Version {
	return engine.Version(binary.BigEndian.AppendUint64(nil, n))
}

// checkVersion refuses what is not a version of this engine, or of its future.
func (e *Engine) checkVersion(v engine.Version) error {
	if len(v) != 8 || v > encode(e.last) {
		return engine.ErrVersion
	}
	return nil
}

// Update implements engine.Engine.
func (e *Engine) Update(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
	own := engine.Op{}
	if op != nil {
		own = *op
	}
	if err := engine.CheckOp(&own); err != nil {
		return "", err
	}
	e.turn.Lock()
	defer e.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	base, done, err := e.begin(own.ID)
	if err != nil || done {
		return base, err
	}
	t := &tx{reader: reader{e: e, at: base}, trace: own.Trace, writes: map[string]entry{}}
	if err := fn(t); err != nil {
		if errors.Is(err, engine.ErrConflict) {
			e.mu.Lock()
			e.metrics.Conflicts++
			e.mu.Unlock()
		}
		return "", err
	}
	return e.commit(own, t), nil
}

// begin returns the version to build on, or the one that the operation made
// when it was done before.
func (e *Engine) begin(id string) (v engine.Version, done bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return "", false, engine.ErrClosed
	}
	if v, done = e.ops[id]; done && id != "" {
		e.metrics.Replays++
		return v, true, nil
	}
	return encode(e.last), false, nil
}

// commit makes the writes of t happen.
func (e *Engine) commit(op engine.Op, t *tx) engine.Version {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	v := encode(e.last)
	if op.ID == "" {
		op.ID = "model-" + strconv.FormatUint(e.last, 10)
	}
	op.NoWait = false
	c := commit{Commit: engine.Commit{
		Version: v, Time: e.time(), Op: op, RowsRead: t.read, RowsWritten: t.written, Keys: t.traced,
	}}
	for _, r := range t.restores {
		e.restore(v, r)
	}
	for key, w := range t.writes {
		if e.write(key, v, w) {
			c.writes = append(c.writes, key)
		}
	}
	slices.Sort(c.writes)
	c.restores = t.restores
	e.rules = append(e.rules, t.rules...)
	e.commits = append(e.commits, c)
	e.ops[op.ID] = v
	e.metrics.Commits++
	e.metrics.KeysWritten += int64(len(c.writes))
	e.wake(&c)
	return v
}

// time is the clock, made to go forward only.
func (e *Engine) time() time.Time {
	now := e.now().Truncate(time.Microsecond)
	if n := len(e.commits); n > 0 && now.Before(e.commits[n-1].Time) {
		now = e.commits[n-1].Time
	}
	return now
}

// write appends an entry, unless it deletes what is not there.
func (e *Engine) write(key string, v engine.Version, w entry) bool {
	if _, there := e.get(key, v); !there && w.deleted {
		return false
	}
	if _, known := e.entries[key]; !known {
		i, _ := slices.BinarySearch(e.keys, key)
		e.keys = slices.Insert(e.keys, i, key)
	}
	w.version = v
	e.entries[key] = append(e.entries[key], w)
	return true
}

// restore writes anew what r had at its version.
func (e *Engine) restore(v engine.Version, r restore) {
	for _, key := range e.within(r.rng) {
		now, then := e.find(key, v), e.find(key, r.to)
		if now == then {
			continue
		}
		w := entry{version: v, deleted: true, restored: true}
		if then >= 0 {
			w.value, w.deleted = e.entries[key][then].value, e.entries[key][then].deleted
		}
		e.entries[key] = append(e.entries[key], w)
	}
}

// within returns the keys of r that ever were.
func (e *Engine) within(r engine.Range) []string {
	if r.Empty() {
		return nil
	}
	low, _ := slices.BinarySearch(e.keys, string(r.Low))
	high := len(e.keys)
	if r.High != nil {
		high, _ = slices.BinarySearch(e.keys, string(r.High))
	}
	return e.keys[low:high]
}

// find returns the index of the entry of key in effect at v, or -1.
func (e *Engine) find(key string, v engine.Version) int {
	i, _ := slices.BinarySearchFunc(e.entries[key], v, func(x entry, v engine.Version) int {
		if x.version <= v {
			return -1
		}
		return 1
	})
	return i - 1
}

func (e *Engine) get(key string, v engine.Version) (value string, found bool) {
	i := e.find(key, v)
	if i < 0 || e.entries[key][i].deleted {
		return "", false
	}
	return e.entries[key][i].value, true
}

// after returns the commits later than v.
func (e *Engine) after(v engine.Version) []commit {
	i, found := slices.BinarySearchFunc(e.commits, v, func(c commit, v engine.Version) int {
		return cmp.Compare(c.Version, v)
	})
	if found {
		i++
	}
	return e.commits[i:]
}

// View implements engine.Engine.
func (e *Engine) View(ctx context.Context, at engine.Version, fn func(engine.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	if at == "" {
		at = encode(e.last)
	}
	err := e.checkVersion(at)
	if e.closed {
		err = engine.ErrClosed
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	return fn(&reader{e: e, at: at})
}
