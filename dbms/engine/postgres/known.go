package postgres

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

// restore says that from version on, rng is as it was at target.
type restore struct {
	version uint64
	rng     engine.Range
	target  uint64
}

// state is what this process knows of the store: a version, and all restores up
// to it. It is never changed, only replaced.
type state struct {
	newest   uint64
	restores []restore // in the order of versions
}

// upTo returns the restores that are in effect at a version.
func (s *state) upTo(version uint64) []restore {
	n := len(s.restores)
	for n > 0 && s.restores[n-1].version > version {
		n--
	}
	return s.restores[:n:n]
}

// known holds the newest state that was seen.
type known struct {
	mu     sync.Mutex
	now    *state
	newest uint64 // a version that is known to exist, maybe later than now
}

func (k *known) state() *state {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now == nil {
		k.now = new(state)
	}
	return k.now
}

// advance takes a state that follows from an earlier one, unless a newer one is
// known already, and returns the newest.
func (k *known) advance(s *state) *state {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now == nil || s.newest > k.now.newest {
		k.now = s
	}
	return k.now
}

// committed notes a version of our own, before which the newest was previous. If
// that is the state known, the next one follows.
func (k *known) committed(v, previous uint64, restores []restore) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.newest = max(k.newest, v)
	if k.now.newest == previous {
		k.now = &state{newest: v, restores: append(k.now.upTo(v), restores...)}
	}
}

// fresh returns the state known, if this process has committed nothing since.
func (k *known) fresh() (*state, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now, k.now.newest >= k.newest
}

// newestVersion is the version of the newest commit.
const newestVersion = `coalesce((select version from commits order by version desc limit 1), (select born from store))`

// refresh asks for the newest version, and questions of the caller besides.
// Restores are asked for after the version, so none up to it is missing.
func (e *Engine) refresh(ctx context.Context, db server, more ...question) (*state, error) {
	old := e.known.state()
	s := &state{restores: old.restores}
	questions := append([]question{{
		sql: `select ` + newestVersion,
		row: func(rows pgx.Rows) error { return rows.Scan(&s.newest) },
	}, {
		sql:  `select version, low, high, target from restores where version > $1 order by version`,
		args: []any{old.newest},
		row:  func(rows pgx.Rows) error { return s.addRestore(rows) },
	}}, more...)
	if err := e.ask(ctx, db, questions...); err != nil {
		return nil, err
	}
	s.restores = s.upTo(s.newest)
	return e.known.advance(s), nil
}

func (s *state) addRestore(rows pgx.Rows) error {
	var r restore
	if err := rows.Scan(&r.version, &r.rng.Low, &r.rng.High, &r.target); err != nil {
		return err
	}
	s.restores = append(s.restores[:len(s.restores):len(s.restores)], r)
	return nil
}
