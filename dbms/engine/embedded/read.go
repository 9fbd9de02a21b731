package embedded

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// How a key is read at version t, while others write:
//
//   - The present row is from t or before: that is it. No transaction up to t can
//     come any more, so nothing could replace it at t.
//   - The present row is later: what was there at t ended later than t and is in
//     history, since it went there in the same step in which the later row came.
//   - There is no present row, and no key has been deleted since t: there was none.
//   - Otherwise history has it, or there was none.
//
// A row that was found to be later before is looked for in history first (guess.go).
//
// So no snapshot of Pebble is needed. The list of restores that are not yet
// repaired is taken before the first row is read (hide.go). Whether t is still
// kept is seen after reading: the horizon moves before anything is removed.

// reader reads the state at a version. It satisfies engine.Reader.
type reader struct {
	e       *Engine
	at      version
	active  []*hide // restores that are not repaired, oldest first
	key     []byte  // a key in Pebble
	limit   []byte  // another
	row     []byte  // a row from the cache
	held    io.Closer
	recalls *recall       // of the transaction that runs, whose reader this is: it reads the newest state
	past    []*reader     // made by At
	begun   atomic.Int64  // when the view began, nanoseconds since 1970; 0: not in use
	pin     atomicVersion // the oldest version that the view reads; 0: not in use
}

var _ engine.Reader = (*reader)(nil)

// readerPool keeps readers for the next views, and finds those in use.
type readerPool struct {
	idle sync.Pool
	mu   sync.Mutex
	all  []weak.Pointer[reader]
	full int // length of all at which those that are gone are dropped
}

// add takes a new reader in.
func (p *readerPool) add(r *reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) >= p.full {
		p.all = slices.DeleteFunc(p.all, func(w weak.Pointer[reader]) bool { return w.Value() == nil })
		p.full = max(2*len(p.all), leastReaders)
	}
	p.all = append(p.all, weak.Make(r))
}

// leastReaders is how many readers are kept track of before any is looked at.
const leastReaders = 64

// oldest is when the oldest view under way began, 0 if there is none.
func (p *readerPool) oldest() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := int64(0)
	for _, w := range p.all {
		r := w.Value()
		if r == nil {
			continue
		}
		if b := r.begun.Load(); b != 0 && (oldest == 0 || b < oldest) {
			oldest = b
		}
	}
	return oldest
}

// claim says that history up to v is about to go, and returns up to which version it
// may: a view that has begun within viewTime finds what it reads. One that begins
// now sees the claim, and begins with a newer version, or is seen here.
func (e *Engine) claim(v version) version {
	e.claimed.Store(v)
	asked := v
	young := time.Now().Add(-viewTime).UnixNano()
	p := &e.readers
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.all {
		r := w.Value()
		if r == nil {
			continue
		}
		if begun := r.begun.Load(); begun != 0 && begun < young {
			continue
		}
		if pin := r.pin.Load(); pin != 0 {
			v = min(v, pin)
		}
	}
	e.claimed.Store(v)
	e.maker.held.Store(v < asked)
	return v
}

// newReader makes a reader at a version.
func (e *Engine) newReader(at version) *reader {
	r, _ := e.readers.idle.Get().(*reader)
	if r == nil {
		r = &reader{e: e}
		e.readers.add(r)
	}
	r.at = at
	r.active = e.hides.unrepaired()
	return r
}

func (e *Engine) freeReader(r *reader) {
	r.end()
	r.begun.Store(0)
	r.pin.Store(0)
	r.active = nil
	e.readers.idle.Put(r)
}

// View runs fn on the state at a version.
func (e *Engine) View(ctx context.Context, at engine.Version, fn func(engine.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.enterSettled(); err != nil {
		return err
	}
	defer e.leave()
	v := e.last.Load()
	if at != "" {
		var err error
		if v, err = e.internal(at); err != nil {
			return err
		}
		if err := e.retention.checkAny(v); err != nil {
			return err
		}
	}
	r := e.newReader(v)
	defer e.freeReader(r)
	r.pin.Store(v)
	for at == "" && e.claimed.Load() > v { // history goes early, up to now
		v = e.last.Load()
		r.at = v
		r.pin.Store(v)
		r.active = e.hides.unrepaired()
	}
	r.begun.Store(time.Now().UnixNano())
	e.owed.shown(v, &e.durable)
	return fn(r)
}

// Version is the version that is read.
func (r *reader) Version() engine.Version { return r.at.external() }

// At reads the same store at an older version.
func (r *reader) At(v engine.Version) (engine.Reader, error) {
	at, err := r.e.internal(v)
	if err != nil {
		return nil, err
	}
	if at > r.at {
		return nil, engine.ErrVersion
	}
	if err := r.e.retention.checkAny(at); err != nil {
		return nil, err
	}
	if r.pin.Load() > at {
		r.pin.Store(at)
	}
	p := &reader{e: r.e, at: at, active: r.e.hides.unrepaired()}
	r.past = append(r.past, p)
	return p, nil
}

// end lets go of everything.
func (r *reader) end() {
	r.release()
	for _, p := range r.past {
		p.end()
	}
	r.past = nil
}

// release lets go of what the last read returned.
func (r *reader) release() {
	if r.held != nil {
		// Closing reports what the read already has.
		_ = r.held.Close()
		r.held = nil
	}
}

// Get returns the value of key.
func (r *reader) Get(key []byte) (value []byte, found bool, err error) {
	r.e.counters.keysRead.Add(1)
	if coveredBy(r.active, key) {
		return r.getHidden(key)
	}
	if r.at < r.e.last.Load() && r.e.guesses.some.Load() {
		s, decided, err := r.guessed(key)
		if err != nil {
			return nil, false, err
		}
		if decided {
			return s.value, s.present, r.e.retention.check(key, r.at)
		}
	}
	raw, err := r.present(key)
	if err != nil {
		return nil, false, err
	}
	if raw == nil && r.e.deleted.Load() <= r.at {
		return nil, false, nil
	}
	since := endVersion
	if raw != nil {
		row, err := parseRow(raw)
		if err != nil {
			return nil, false, corruptKey(key, err)
		}
		if row.since <= r.at {
			r.e.guesses.same()
			return row.value, true, nil
		}
		since = row.came()
		r.e.guesses.later(key, row.since)
	}
	s, err := r.pastAt(key, r.at, since, false)
	if err != nil {
		return nil, false, err
	}
	return s.value, s.present, r.e.retention.check(key, r.at)
}

// GetBatch reads several keys.
func (r *reader) GetBatch(keys [][]byte, each func(i int, value []byte) error) error {
	return getBatch(r, keys, each)
}

func getBatch(r engine.Reader, keys [][]byte, each func(i int, value []byte) error) error {
	for i, key := range keys {
		value, found, err := r.Get(key)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := each(i, value); err != nil {
			return err
		}
	}
	return nil
}

// present is stored by way of the cache. It is valid until the next read.
func (r *reader) present(key []byte) ([]byte, error) {
	if raw := r.fromCache(key, hash(key)); raw != nil && readVersion(raw) <= r.at {
		return raw, nil
	}
	return r.stored(key) // also if the row is of a group that is not applied
}

// fromCache is the row of key, which has that hash, in the cache, nil if it is not
// there. It is valid until the next read.
func (r *reader) fromCache(key []byte, hash uint64) []byte {
	raw := r.e.rows.get(r.row[:0], key, hash)
	if raw != nil {
		r.release()
		r.row = raw
	}
	return raw
}

// stored returns the present row of key as it is in Pebble, nil if there is none.
// It is valid until release.
func (r *reader) stored(key []byte) ([]byte, error) {
	r.release()
	r.key = appendData(r.key[:0], key)
	raw, closer, err := r.e.db.Get(r.key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, nil
		}
		return nil, storage(err)
	}
	r.held = closer
	return raw, nil
}

// state is what a key is at some moment: its row, or none, and since when.
type state struct {
	row     // since is also that of an absence; 0 if the key never was, as far as is kept
	present bool
}

// physical is the state of key at t by what is stored, without the restores that
// are not repaired. The row is valid until release.
func (r *reader) physical(key []byte, t version) (state, error) {
	raw, err := r.stored(key)
	if err != nil {
		return state{}, err
	}
	since := endVersion
	if raw != nil {
		row, err := parseRow(raw)
		if err != nil {
			return state{}, corruptKey(key, err)
		}
		if row.since <= t {
			return state{row: row, present: true}, nil
		}
		since = row.came()
	}
	return r.pastAt(key, t, since, true)
}
