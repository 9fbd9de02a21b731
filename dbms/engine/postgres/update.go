package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

const (
	// optimistic attempts are made without the commit lock. Later ones hold it
	// while the function runs, and so do not lose to others.
	optimistic = 3

	// attempts are how many there are, against failing connections.
	attempts = 8

	// pause is before a new attempt after a lost connection; it doubles.
	pause = 10 * time.Millisecond
)

// update is an Update under way, over its attempts.
type update struct {
	e     *Engine
	op    engine.Op
	known bool // the caller knows the operation by its ID
	fn    func(engine.Tx) error
	extra *retention // is part of the transaction
	maybe bool       // an attempt may have been committed
}

// Update implements engine.Engine.
func (e *Engine) Update(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
	u := &update{e: e, fn: fn}
	if op != nil {
		u.op = *op
	}
	return u.run(ctx)
}

func (u *update) run(ctx context.Context) (engine.Version, error) {
	if err := engine.CheckOp(&u.op); err != nil {
		return "", err
	}
	if err := u.e.enter(); err != nil {
		return "", err
	}
	defer u.e.leave()
	if u.known = u.op.ID != ""; !u.known {
		u.op.ID = "pg-" + rand.Text()
	}
	v, err := u.attempts(ctx)
	if err == nil && !u.op.NoWait {
		v, err = u.flush(ctx, v)
	}
	if err != nil {
		return "", err
	}
	if u.op.NoWait && !u.op.Untold {
		raise(&u.e.shown, v)
	}
	return encode(v), nil
}

// flush makes the transaction durable, which was committed. A connection that is lost
// under the flush may be the end of the server, and of the transaction with it: that is
// asked for again, and run again if it is gone.
func (u *update) flush(ctx context.Context, v uint64) (uint64, error) {
	err := u.e.flush(ctx)
	for n := 1; n < attempts && errors.Is(err, errLost) && ctx.Err() == nil; n++ {
		u.maybe = true
		if v, err = u.attempts(ctx); err != nil {
			return 0, err
		}
		err = u.e.flush(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: it did, but may not be durable: %w", engine.ErrUnknown, err)
	}
	return v, nil
}

// errAgain: another transaction has changed what this one has read.
var errAgain = fmt.Errorf("%w (what it has read was changed)", engine.ErrConflict)

// attempts runs the transaction until there is an outcome.
func (u *update) attempts(ctx context.Context) (v uint64, err error) {
	for n := 0; n < attempts; n++ {
		if ctx.Err() != nil {
			return 0, u.outcome(errors.Join(ctx.Err(), err))
		}
		if errors.Is(err, errLost) {
			select {
			case <-ctx.Done():
				continue
			case <-time.After(pause << n):
			}
		}
		var final bool
		if v, final, err = u.attempt(ctx, n); err == nil {
			return v, nil
		}
		if !final || errors.Is(err, engine.ErrConflict) {
			u.e.counts.conflicts.Add(1)
		}
		if final {
			return 0, u.outcome(err)
		}
	}
	return 0, u.outcome(err)
}

// outcome adds to an error that an earlier attempt may have succeeded.
func (u *update) outcome(err error) error {
	if u.maybe {
		return fmt.Errorf("%w: %w", engine.ErrUnknown, err)
	}
	return err
}

// attempt runs the transaction once. An error that is not final is worth
// another attempt.
func (u *update) attempt(ctx context.Context, n int) (v uint64, final bool, err error) {
	db := server(u.e)
	locked := n >= optimistic
	if locked {
		conn, err := u.e.pool.Acquire(ctx)
		if err != nil {
			return 0, false, u.e.explain(ctx, err)
		}
		// A connection that is left in a transaction is closed by the pool.
		defer conn.Release()
		if err := u.e.ask(ctx, conn, u.e.opening()...); err != nil {
			return 0, false, err
		}
		db = conn
	}
	s, cached, done, err := u.base(ctx, db, n)
	if err != nil {
		return 0, false, err
	}
	if done != 0 {
		return done, true, nil
	}
	r := &reader{e: u.e, ctx: ctx, db: db, at: s.newest, restores: s.upTo(s.newest)}
	t := &tx{reader: r, trace: u.op.Trace, retain: u.extra}
	if err := u.call(t); err != nil {
		return 0, u.isFinal(ctx, err, s, cached), err
	}
	if err := ctx.Err(); err != nil {
		return 0, true, err
	}
	v, err = u.commit(ctx, db, t, locked)
	return v, err != nil && !errors.Is(err, errLost) && !errors.Is(err, engine.ErrConflict), err
}

// call runs the function, and finds out what its deletions delete.
func (u *update) call(t *tx) error {
	if err := u.fn(t); err != nil {
		raise(&u.e.shown, t.reader.at)
		return err
	}
	return t.dropAbsent()
}

// isFinal tells whether the function's error is the outcome. It is not if a
// connection was lost under it, or if it read a state that may be outdated.
func (u *update) isFinal(ctx context.Context, err error, s *state, cached bool) bool {
	if ctx.Err() != nil {
		return true
	}
	if errors.Is(err, errLost) {
		return false
	}
	if !cached {
		return true
	}
	now, refreshed := u.e.refresh(ctx, u.e)
	return refreshed == nil && now.newest == s.newest
}

// base returns the state to build on, or the version of the operation if it was
// done before. The first attempt takes what is known, without asking.
func (u *update) base(ctx context.Context, db server, n int) (s *state, cached bool, done uint64, err error) {
	if s, fresh := u.e.known.fresh(); n == 0 && !u.known && !u.maybe && fresh {
		return s, true, 0, nil
	}
	s, err = u.e.refresh(ctx, db, question{
		sql: `select version from commits where op = $1`, args: []any{[]byte(u.op.ID)},
		row: func(rows pgx.Rows) error { return rows.Scan(&done) },
	})
	if done != 0 && !u.maybe {
		u.e.counts.replays.Add(1)
	}
	return s, false, done, err
}

// commit makes the transaction happen, unless it must be run again.
func (u *update) commit(ctx context.Context, db server, t *tx, locked bool) (uint64, error) {
	a, err := u.e.commit(ctx, db, &u.op, t, locked)
	switch {
	case errors.Is(err, errLost):
		u.maybe = true
		return 0, err
	case err != nil:
		return 0, err
	case a.done != nil:
		if !u.maybe {
			u.e.counts.replays.Add(1)
		}
		return *a.done, nil
	case a.made == nil:
		return 0, errAgain
	}
	v := *a.made
	for i := range t.restores {
		t.restores[i].version = v
	}
	u.e.known.committed(v, a.previous, t.restores)
	u.e.counts.commits.Add(1)
	u.e.counts.written.Add(int64(len(t.keys)))
	return v, nil
}
