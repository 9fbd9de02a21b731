package table

import (
	"context"
	"fmt"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/txn"
)

// Tx is a transaction under way. It belongs to one goroutine at a time.
type Tx struct {
	raw         *txn.Tx
	db          *DB
	op          *engine.Op
	interactive bool
	cat         *catalog // nil: not yet known
	changed     bool     // the catalog has been changed, and db.changing counts it
	writes      int      // to rows, so that open scans know

	read, written int
	restored      []engine.Range // by a procedure, when it has run
	scratch

	latest bound // what was bound last, perhaps by another
	oneRow any   // *T, see takeRow

	// Of an Update: its function, and what has the transaction below run it, which is
	// made once for all that use this memory one after another.
	fn  func(*Tx) error
	run func(*txn.Tx) error
}

// procedure runs the function of an Update.
func (t *Tx) procedure(x *txn.Tx) error {
	t.start(x, t.op)
	err := t.fn(t)
	t.count()
	t.restored = x.Restored()
	return err
}

// scratch is memory that calls use and nobody keeps.
type scratch struct {
	key, old []byte
	row      encoder
	mem      texts
	values   []Value
	entries  []entry
	arena    []byte
}

// Mark is a moment in a transaction.
type Mark struct {
	mark txn.Mark
	cat  *catalog
}

// Raw returns the transaction below, for code that knows no tables. Writing with
// it where tables are would go past their indexes.
func (t *Tx) Raw() *txn.Tx { return t.raw }

// Version is the version that is read: what the transaction builds on.
func (t *Tx) Version() engine.Version { return t.raw.Version() }

// Writable reports whether the transaction may write.
func (t *Tx) Writable() bool { return t.raw.Writable() }

// Savepoint returns a mark to which RollbackTo can go back.
func (t *Tx) Savepoint() Mark { return Mark{mark: t.raw.Savepoint(), cat: t.cat} }

// RollbackTo forgets all that was written since m, changes of tables included.
func (t *Tx) RollbackTo(m Mark) {
	t.raw.RollbackTo(m.mark)
	t.cat = m.cat
	t.writes++
}

// At returns a transaction that reads the store at an older version. It ends
// with t.
func (t *Tx) At(v engine.Version) (*Tx, error) {
	x, err := t.raw.At(v)
	if err != nil {
		return nil, err
	}
	return &Tx{raw: x, db: t.db, interactive: t.interactive}, nil
}

// Commit ends an interactive transaction; see txn.Tx.Commit.
func (t *Tx) Commit(ctx context.Context) (engine.Version, error) {
	t.count()
	restored := t.raw.Restored()
	v, err := t.raw.Commit(ctx)
	t.finish(v, err)
	if err == nil {
		t.db.commits.Add(1)
		t.db.tell(restored)
	}
	return v, err
}

// Rollback ends an interactive transaction without effect. After the end it does
// nothing.
func (t *Tx) Rollback() {
	t.raw.Rollback()
	t.finish("", errRolledBack)
}

var errRolledBack = fmt.Errorf("rolled back")

// start begins a run of the transaction's function, which may be the second.
func (t *Tx) start(x *txn.Tx, op *engine.Op) {
	t.raw, t.op, t.cat, t.restored = x, op, nil, nil
	t.read, t.written, t.writes = 0, 0, 0
}

// count hands over the numbers of rows for the transaction's provenance.
func (t *Tx) count() {
	if t.read != 0 || t.written != 0 {
		t.raw.Count(t.read, t.written)
		t.read, t.written = 0, 0
	}
}

// trace counts a row, and names its key if the operation is traced.
func (t *Tx) trace(read, written int, key []byte) {
	t.read += read
	t.written += written
	if t.op != nil && t.op.Trace {
		t.raw.Count(0, 0, key)
	}
}

// finish tells the DB how a change of the catalog has ended.
func (t *Tx) finish(v engine.Version, err error) {
	if !t.changed {
		return
	}
	t.changed = false
	if err == nil && t.cat != nil {
		c := *t.cat
		c.since = v
		t.db.publish(&c)
	} else if err != errRolledBack {
		// It may have happened: the next transactions look.
		t.db.forget()
	}
	t.db.changing.Add(-1)
}

// bind returns the binding of a declared table as this transaction sees it.
func (t *Tx) bind(d *declaration) (*binding, error) {
	c := t.cat
	if c == nil {
		var err error
		if c, err = t.catalog(); err != nil {
			return nil, err
		}
	}
	if l := &t.latest; l.cat == c && l.of == d {
		return l.binding, nil
	}
	s := c.names[d.def.Name]
	if s == nil {
		if _, err := d.definition(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s", ErrNoTable, d.def.Name)
	}
	b, err := s.bindingOf(d)
	if err == nil {
		t.latest = bound{c, d, b}
	}
	return b, err
}

// bound is a binding and what it is of: it follows from them, in any transaction.
type bound struct {
	cat     *catalog
	of      *declaration
	binding *binding
}

// table returns the schema of a table.
func (t *Tx) table(name string) (*schema, error) {
	c, err := t.catalog()
	if err != nil {
		return nil, err
	}
	if s := c.names[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNoTable, name)
}
