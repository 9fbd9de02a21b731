package table

import "github.com/tuplix/tuplix/dbms/engine"

// Range returns the keys of the rows of a span of the primary key, for what
// works on keys: Watch, Changes, Retain. The span's order and limit do not count.
// Secondary indexes lie elsewhere (Tx.Ranges).
func (r *Rows) Range(s Span) (engine.Range, error) { return r.b.bounds(r.b.primary(), s) }

// JobsTable is the table of the catalog that says what DB.Work has to do: it has
// no rows when all is done.
const JobsTable = "catalog.jobs"

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
