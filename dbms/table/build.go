package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
)

// An index is built beside those who commit, and they must not wait while rows are read
// and entries worked out. So a build reads ahead:
//
//	View     rows ──► entries                      of several steps; nobody waits for it
//	Update   written since? ──► Put the entries    one step, with the commit lock
//
// Rows that were written since are read again by the step itself, and so is what is left
// of the table when it is less than a step: each step gets on, whatever others do.

// aheadSteps is of how many steps the rows are read at once.
const aheadSteps = 8

// ahead is what was read ahead: all rows from a key on, up to the last that it has.
type ahead struct {
	since engine.Version
	from  []byte
	rows  []keep // entry is nil for those that the index leaves out
}

// keep is an entry of a row, copied.
type keep struct {
	x          *index
	entry, row []byte
}

// readAhead reads for the next steps of a job, if that is not done.
func (db *DB) readAhead(ctx context.Context, j *jobRow, a *ahead) error {
	if j.Kind != jobBuild || a.step(j.Position, db.stepRows) != nil {
		return nil
	}
	*a = ahead{}
	return db.View(ctx, func(tx *Tx) error {
		c, err := tx.catalog()
		if err != nil || c.tables[j.Table] == nil {
			return err
		}
		b := c.tables[j.Table].dynamic
		a.since, a.from = tx.Version(), j.rest(b.rows()).Low
		x := b.toBuild(j)
		if x == nil {
			return nil // it was dropped, and so the job is gone
		}
		next := *j
		a.rows, err = b.entries(tx, &next, x, aheadSteps*db.stepRows)
		return err
	})
}

// step is the part for a step of n rows from a key on, nil if it does not reach so far.
func (a *ahead) step(low []byte, n int) []keep {
	if bytes.Compare(low, a.from) < 0 {
		return nil
	}
	i, _ := slices.BinarySearchFunc(a.rows, low, func(f keep, key []byte) int { return bytes.Compare(f.row, key) })
	if len(a.rows)-i < n {
		return nil
	}
	return a.rows[i : i+n]
}

// valid is step, unless the table or these rows have changed since they were read.
func (a *ahead) valid(tx *Tx, x *index, low []byte, n int) ([]keep, error) {
	found := a.step(low, n)
	if found == nil || found[0].x != x { // a table that is changed has other indexes
		return nil, nil
	}
	changed, err := tx.raw.Changed(a.since, engine.Range{Low: low, High: after(found[n-1].row)})
	if changed || err != nil {
		return nil, err
	}
	return found, nil
}

// after is the first key behind a key, in memory of its own.
func after(key []byte) []byte { return append(slices.Clone(key), 0) }

// toBuild is the index that a job is to build, nil if there is none.
func (b *binding) toBuild(j *jobRow) *index {
	i := slices.IndexFunc(b.indexes, func(x *index) bool { return x.id == j.Index })
	if i < 0 {
		return nil
	}
	return b.indexes[i]
}

func (b *binding) buildStep(tx *Tx, j *jobRow, a *ahead) (done bool, err error) {
	x := b.toBuild(j)
	if x == nil {
		return false, corrupt("catalog.jobs", fmt.Sprintf("table %s has no index %d to build", b.name, j.Index))
	}
	found, err := a.valid(tx, x, j.rest(b.rows()).Low, tx.db.stepRows)
	switch {
	case err != nil:
	case found != nil:
		j.Position = after(found[len(found)-1].row)
	default:
		found, err = b.entries(tx, j, x, tx.db.stepRows)
	}
	for i := 0; i < len(found) && err == nil; i++ {
		if f := found[i]; f.entry != nil {
			err = b.addEntry(tx, f)
		}
	}
	j.Done += uint64(len(found))
	return len(found) < tx.db.stepRows, err
}

// entries works out those of the next rows of a job, and moves its position.
func (b *binding) entries(tx *Tx, j *jobRow, x *index, most int) (found []keep, err error) {
	_, err = b.some(tx, j, most, func(row unsafe.Pointer, k []byte) error {
		e, err := b.entryOf(nil, x, row, k)
		found = append(found, keep{x, e, slices.Clone(k)})
		return err
	})
	return found, err
}

var errEnough = errors.New("enough rows")

// some calls fn for the next rows of a job, and moves its position.
func (b *binding) some(tx *Tx, j *jobRow, most int, fn func(row unsafe.Pointer, k []byte) error) (n int, err error) {
	r := b.rows()
	if j.Kind == jobRepair {
		r = j.span()
	}
	err = b.each(tx, j.rest(r), func(row unsafe.Pointer, k, _ []byte) error {
		if n == most {
			return errEnough
		}
		n++
		j.Position = after(k)
		return fn(row, k)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return n, err
}

// addEntry writes the entry of a row that is there, unless another row has it.
func (b *binding) addEntry(tx *Tx, f keep) error {
	if f.x.Unique {
		v, found, err := tx.raw.Get(f.entry)
		if err != nil {
			return err
		}
		if found && !bytes.Equal(v, f.row[len(b.prefix):]) {
			return b.takenBy(tx, f, append(slices.Clone(b.prefix), v...))
		}
	}
	return tx.raw.Put(f.entry, b.entryValue(f.x, f.row))
}

// takenBy looks whether the row that an entry points to really has it, and
// writes the entry if not.
func (b *binding) takenBy(tx *Tx, f keep, other []byte) error {
	b = b.dynamic
	row := dynamicRow(make([]Value, len(b.cols)))
	found, err := b.read(tx, row, other)
	if err != nil {
		return err
	}
	if found {
		e, err := b.entryOf(nil, f.x, row, other)
		if err != nil {
			return err
		}
		if bytes.Equal(e, f.entry) {
			return &Error{Err: ErrUnique, Table: b.name, Constraint: f.x.Name, Key: b.values(row, f.x.parts)}
		}
	}
	return tx.raw.Put(f.entry, b.entryValue(f.x, f.row))
}
