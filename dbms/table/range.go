package table

import (
	"context"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Range returns the keys of the rows of a span of the primary key, for what
// works on keys: Watch, Changes, Retain. The span's order and limit do not count.
// Secondary indexes lie elsewhere (Tx.KeysOf).
func (r *Rows) Range(s Span) (engine.Range, error) { return r.b.bounds(r.b.primary(), s) }

// JobsTable is the table of the catalog that says what DB.Work has to do: it has
// no rows when all is done.
const JobsTable = "catalog.jobs"

// StoreTable is the table of the catalog that changes whenever the definition of any
// table does.
const StoreTable = "catalog.store"

// Range returns the keys of a span of the index, for engine.Watch. Those of a
// secondary index change when a row comes into the span or leaves it, or moves
// within; not when other columns of a row change, and not by a restore of some rows
// (see JobsTable). The span's order and limit do not count.
func (x *reader[T]) Range(tx *Tx, s Span) (engine.Range, error) {
	b, err := tx.bind(x.decl)
	if err != nil {
		return engine.Range{}, err
	}
	i, err := b.readable(x.name)
	if err != nil {
		return engine.Range{}, err
	}
	return b.bounds(i, s)
}

// Current reports whether what an engine.Observer keeps of the keys of r is what this
// transaction sees: that is so in a procedure, which has the newest state to itself,
// until it writes there.
func (t *Tx) Current(r engine.Range) bool { return t.newest() && !t.raw.Touches(r) }

// CurrentBut is Current for a transaction that may have written: what an observer keeps
// is what it sees, but for what Table.Written returns. That is not so once it has
// restored anything.
func (t *Tx) CurrentBut() bool { return t.newest() && !t.raw.Restores() }

func (t *Tx) newest() bool { return t.db.exclusive && !t.interactive && t.raw.Writable() }

// KeysOf returns the keys of the rows and indexes of tables, a range for each, for what
// works on keys: Watch, Retain. What the catalog has of them lies elsewhere (Ranges).
func (t *Tx) KeysOf(tables ...Declared) ([]engine.Range, error) {
	ranges := make([]engine.Range, len(tables))
	for i, d := range tables {
		s, err := t.table(d.declared().def.Name)
		if err != nil {
			return nil, err
		}
		ranges[i] = s.everything()
	}
	return ranges, nil
}

// Retain has the engine keep what rows and index entries of tables were for so long (see
// engine.Retain). Their definitions are kept as long as others: the catalog can be read
// as of a moment only if nothing of it is missing, and without it no table can.
func (db *DB) Retain(ctx context.Context, op *engine.Op, keep time.Duration, tables ...Declared) error {
	var ranges []engine.Range
	err := db.View(ctx, func(tx *Tx) (err error) {
		ranges, err = tx.KeysOf(tables...)
		return err
	})
	for _, r := range ranges {
		if err == nil {
			err = db.Engine().Retain(ctx, op, r, keep)
		}
	}
	return err
}
