package table

import "github.com/tuplix/tuplix/dbms/engine"

// Range returns the keys of the rows of a span of the primary key, for what
// works on keys: Watch, Changes, Retain. The span's order and limit do not count.
// Secondary indexes lie elsewhere (Tx.Ranges).
func (r *Rows) Range(s Span) (engine.Range, error) { return r.b.bounds(r.b.primary(), s) }

// JobsTable is the table of the catalog that says what DB.Work has to do: it has
// no rows when all is done.
const JobsTable = "catalog.jobs"
