package txn

import (
	"context"
	"sync"

	"github.com/tuplix/tuplix/dbms/engine"
)

// DB runs transactions on an engine. All methods may be called concurrently.
type DB struct {
	engine   engine.Engine
	maxValue int       // bytes; the engine's
	idle     sync.Pool // of *Tx
}

// New returns a DB on e. Closing e remains the caller's.
func New(e engine.Engine) *DB {
	db := &DB{engine: e, maxValue: e.MaxValue()}
	db.idle.New = func() any { return newProcedure(db.maxValue) }
	return db
}

// Engine returns the engine that was given to New.
func (db *DB) Engine() engine.Engine { return db.engine }

// Update runs fn as a procedure; see engine.Engine.Update for what it returns
// and when. An error of fn, or a panic, undoes everything.
func (db *DB) Update(ctx context.Context, op *engine.Op, fn func(*Tx) error) (engine.Version, error) {
	t := db.take()
	defer db.give(t)
	t.fn = fn
	return db.engine.Update(ctx, op, t.run)
}

// View runs fn on the newest state. Writes fail.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.ViewAt(ctx, "", fn)
}

// ViewAt runs fn on the state at a version, zero being the newest. Writes fail.
func (db *DB) ViewAt(ctx context.Context, at engine.Version, fn func(*Tx) error) error {
	t := db.take()
	defer db.give(t)
	return db.engine.View(ctx, at, func(r engine.Reader) error {
		t.reset()
		t.reader = r
		defer t.end()
		return fn(t)
	})
}

func (db *DB) take() *Tx { return db.idle.Get().(*Tx) }

// give keeps t for the next transaction, unless it has become large.
func (db *DB) give(t *Tx) {
	t.fn = nil
	if cap(t.writes.arena) > 1<<20 {
		return
	}
	db.idle.Put(t)
}
