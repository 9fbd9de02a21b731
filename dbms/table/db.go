package table

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/txn"
)

// DB is the tables of a store. All methods may be called concurrently.
type DB struct {
	txn       *txn.DB
	exclusive bool
	changing  atomic.Int64            // transactions under way that change the catalog
	current   atomic.Pointer[catalog] // exclusive only: the newest, unless changing
	idle      sync.Pool               // of *Tx
	commits   atomic.Int64            // of this DB, so that jobs know whether others are at work
	stepRows  int                     // that a step of a job builds or repairs; tests make it small

	mu       sync.Mutex
	known    map[string]*catalog // by epoch
	restored []func([]engine.Range)
}

// Exclusive may be implemented by an engine. If it says true, no other process
// changes the store, and procedures run one after another. The catalog is then
// read once, and not again by every transaction.
type Exclusive interface{ Exclusive() bool }

// Open returns the tables of a store, and sees that the given ones are there as
// they were declared: those that are missing are created, and indexes dropped that they
// are declared to have had (Table.Had), in one transaction. It
// fails with a DifferenceError for those that are different; changing them is
// the caller's (Tx.AddColumn and so on).
func Open(ctx context.Context, store *txn.DB, op *engine.Op, tables ...Declared) (*DB, error) {
	db := &DB{txn: store, known: make(map[string]*catalog), stepRows: usualStepRows}
	db.idle.New = func() any {
		t := &Tx{db: db}
		t.run = t.procedure
		return t
	}
	if x, ok := store.Engine().(Exclusive); ok {
		db.exclusive = x.Exclusive()
	}
	there := false
	err := db.View(ctx, func(tx *Tx) (err error) {
		_, there, err = tx.epoch()
		return err
	})
	if err == nil && !there {
		_, err = db.Update(ctx, named(op, "create the catalog"), (*Tx).bootstrap)
	}
	if err == nil {
		err = db.View(ctx, (*Tx).openCatalog)
	}
	if err == nil {
		err = db.Create(ctx, op, tables...)
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// openCatalog reads the catalog while nobody else has the DB.
func (t *Tx) openCatalog() error {
	_, err := t.catalog()
	if err == nil && t.db.exclusive {
		err = t.settle()
	}
	return err
}

// Create sees that tables are there as they were declared, as Open does.
func (db *DB) Create(ctx context.Context, op *engine.Op, tables ...Declared) error {
	missing := false
	err := db.View(ctx, func(tx *Tx) error {
		c, err := tx.catalog()
		if err != nil {
			return err
		}
		for _, t := range tables {
			if len(t.declared().outdated(c)) > 0 {
				missing = true
				continue
			}
			_, err := tx.bind(t.declared())
			if errors.Is(err, ErrNoTable) {
				missing, err = true, nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || !missing {
		return err
	}
	_, err = db.Update(ctx, named(op, "create tables"), func(tx *Tx) error { return tx.Create(tables...) })
	return err
}

// Update runs fn as one serializable transaction, one after another with all
// others, and returns its version. fn may be run again and must have no effect
// but by its Tx. If it returns an error, nothing happens. More is said at
// engine.Engine.Update, which also lists the errors.
func (db *DB) Update(ctx context.Context, op *engine.Op, fn func(*Tx) error) (v engine.Version, err error) {
	t := db.take()
	err = errPanic
	defer func() {
		t.finish(v, err)
		db.give(t)
	}()
	t.fn, t.op = fn, op
	v, err = db.txn.Update(ctx, op, t.run)
	if err == nil {
		db.commits.Add(1)
		db.tell(t.restored)
	}
	return v, err
}

// OnRestore has fn called after each transaction of this DB that has restored
// something, with the ranges of keys: for those who keep in memory what is stored.
func (db *DB) OnRestore(fn func([]engine.Range)) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.restored = append(db.restored, fn)
}

func (db *DB) tell(ranges []engine.Range) {
	if len(ranges) == 0 {
		return
	}
	db.mu.Lock()
	listeners := db.restored
	db.mu.Unlock()
	for _, fn := range listeners {
		fn(ranges)
	}
}

// errPanic is what became of an Update that did not return.
var errPanic = errors.New("the procedure panicked")

// View runs fn on the newest state. Writes fail.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error { return db.ViewAt(ctx, "", fn) }

// ViewAt runs fn on the state at a version. The tables are as they were then:
// those declared differently since cannot be read by their declarations, but by
// Tx.Rows.
func (db *DB) ViewAt(ctx context.Context, at engine.Version, fn func(*Tx) error) error {
	t := db.take()
	err := db.txn.ViewAt(ctx, at, func(x *txn.Tx) error {
		t.start(x, nil)
		return fn(t)
	})
	db.give(t)
	return err
}

// Provenance returns who made a version, when, and by what. Errors: ErrNotFound where no
// transaction made it, engine.ErrTooOld where it is kept no longer.
func (db *DB) Provenance(ctx context.Context, v engine.Version) (found engine.Commit, err error) {
	err = db.ViewAt(ctx, v, func(tx *Tx) error {
		for c, err := range tx.Raw().Commits("", true) { // the newest first
			if err == nil && c.Version == v {
				found = c
				return nil
			}
			if err != nil {
				return err
			}
			break
		}
		return fmt.Errorf("a transaction of version %x: %w", v, ErrNotFound)
	})
	return found, err
}

// Begin starts an interactive transaction: it reads a snapshot, and its Commit
// fails with engine.ErrConflict if what it has read was changed in between. It
// must end by Commit or Rollback.
func (db *DB) Begin(ctx context.Context, op *engine.Op) (*Tx, error) {
	x, err := db.txn.Begin(ctx, op)
	if err != nil {
		return nil, err
	}
	t := &Tx{db: db, interactive: true}
	t.start(x, op)
	return t, nil
}

// Engine returns the engine below.
func (db *DB) Engine() engine.Engine { return db.txn.Engine() }

func (db *DB) take() *Tx { return db.idle.Get().(*Tx) }

func (db *DB) give(t *Tx) {
	t.raw, t.op, t.cat, t.fn, t.restored = nil, nil, nil, nil, nil
	if cap(t.row.row)+cap(t.old)+cap(t.key) < 1<<20 {
		db.idle.Put(t)
	}
}

// named is op with a name, if it has none.
func named(op *engine.Op, name string) *engine.Op {
	o := engine.Op{}
	if op != nil {
		o = *op
	}
	if o.Name == "" {
		o.Name = name
	}
	return &o
}

// publish makes a changed catalog that of transactions to come.
func (db *DB) publish(c *catalog) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if now := db.current.Load(); now == nil || now.since < c.since {
		db.current.Store(c)
	}
	db.remember(c)
}

const mostKnown = 64 // catalogs of other epochs that are kept

func (db *DB) remember(c *catalog) {
	if len(db.known) >= mostKnown {
		clear(db.known)
	}
	db.known[c.epoch] = c
}

// forget has the next transactions read the catalog.
func (db *DB) forget() { db.current.Store(nil) }

func (db *DB) knownCatalog(epoch string) *catalog {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.known[epoch]
}
