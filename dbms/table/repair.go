package table

import (
	"bytes"
	"errors"
	"slices"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
)

// repairStep brings the entries of some restored rows to what the rows are now.
//
// The index may have, of a row, entries of the row as it is, and of the row as
// it was just before each restore of it that is not repaired. So for each row
// those of before are removed, unless they are also those of now, and those of
// now are written.
func (b *binding) repairStep(tx *Tx, j *jobRow) (done bool, err error) {
	if len(j.Before) == 0 {
		return b.sweepStep(tx, j)
	}
	past, err := tx.At(engine.Version(j.Before))
	if err == nil {
		done, err = b.repairFrom(tx, past, j)
	}
	if errors.Is(err, engine.ErrTooOld) {
		j.Before, j.Position = nil, nil
		return false, nil
	}
	return done, err
}

// repairFrom is a step in which the rows of before can be read.
func (b *binding) repairFrom(tx, past *Tx, j *jobRow) (done bool, err error) {
	var was, is []keep
	from := slices.Clone(j.Position)
	n, err := b.some(tx, j, repairRows*tx.db.stepRows, func(row unsafe.Pointer, k []byte) error { return b.keepAll(&is, row, k) })
	if err != nil {
		return false, err
	}
	r := j.span()
	if len(from) > 0 {
		r.Low = from
	}
	if done = n < repairRows*tx.db.stepRows; !done {
		r.High = j.Position
	}
	gone := 0
	err = b.each(past, r, func(row unsafe.Pointer, k, _ []byte) error {
		if gone++; gone > 4*repairRows*tx.db.stepRows { // many that are no more: go on from here
			j.Position, done = slices.Clone(k), false
			return errEnough
		}
		return b.keepAll(&was, row, k)
	})
	if errors.Is(err, errEnough) {
		err = nil
		is = slices.DeleteFunc(is, func(f keep) bool { return bytes.Compare(f.row, j.Position) >= 0 })
	}
	if err != nil {
		return false, err
	}
	j.Done += uint64(n)
	return done, b.repair(tx, was, is)
}

// keepAll appends all entries of a row.
func (b *binding) keepAll(list *[]keep, row unsafe.Pointer, k []byte) error {
	for _, x := range b.indexes {
		e, err := b.entryOf(nil, x, row, k)
		if err != nil {
			return err
		}
		if e != nil {
			*list = append(*list, keep{x, e, slices.Clone(k)})
		}
	}
	return nil
}

func (b *binding) repair(tx *Tx, was, is []keep) error {
	now := make(map[string]bool, len(is))
	for _, f := range is {
		now[string(f.entry)+string(f.row)] = true
	}
	for _, f := range was {
		if now[string(f.entry)+string(f.row)] {
			continue
		}
		if err := b.dropEntry(tx, f.x, f.entry, f.row); err != nil {
			return err
		}
	}
	for _, f := range is {
		if err := b.addEntry(tx, f); err != nil {
			return err
		}
	}
	return nil
}

// sweepStep is repairStep where the rows of before are no longer kept: first the
// entries of all rows of the range are written, then all entries of the table are
// looked at, and those removed that point to rows of the range that do not have
// them. The keys of entries come after those of rows, and so the position tells
// how far it has come.
func (b *binding) sweepStep(tx *Tx, j *jobRow) (done bool, err error) {
	all := engine.Range{Low: indexPrefix(b.id, rowsIndex+1), High: b.everything().High}
	if bytes.Compare(j.Position, all.Low) < 0 {
		var is []keep
		n, err := b.some(tx, j, repairRows*tx.db.stepRows, func(row unsafe.Pointer, k []byte) error { return b.keepAll(&is, row, k) })
		if err == nil {
			err = b.repair(tx, nil, is)
		}
		if n < repairRows*tx.db.stepRows {
			j.Position = all.Low
		}
		j.Done += uint64(n)
		return false, err
	}
	found, done, err := b.someEntries(tx, j, all)
	for i := 0; i < len(found) && err == nil; i++ {
		err = b.sweep(tx, found[i])
	}
	return done, err
}

// someEntries returns those of the next entries that point to rows of a job.
func (b *binding) someEntries(tx *Tx, j *jobRow, all engine.Range) (found []keep, done bool, err error) {
	c := tx.raw.Scan(j.rest(all), engine.ScanOptions{Limit: stepClear})
	n := 0
	for ; n < stepClear && c.Next(); n++ {
		k := slices.Clone(c.Key())
		j.Position = append(slices.Clone(k), 0)
		i := slices.IndexFunc(b.indexes, func(x *index) bool { return bytes.HasPrefix(k, x.prefix) })
		if i < 0 {
			continue // of an index that was dropped
		}
		pk, err := b.indexes[i].pkOf(k, c.Value())
		if err != nil {
			return nil, false, errors.Join(err, c.Close())
		}
		row := append(slices.Clone(b.prefix), pk...)
		if j.span().Contains(row) {
			found = append(found, keep{b.indexes[i], k, row})
		}
	}
	return found, n < stepClear, errors.Join(c.Err(), c.Close())
}

// sweep removes an entry if its row does not have it.
func (b *binding) sweep(tx *Tx, f keep) error {
	row := dynamicRow(make([]Value, len(b.cols)))
	found, err := b.read(tx, row, f.row)
	var e []byte
	if err == nil && found {
		e, err = b.entryOf(nil, f.x, row, f.row)
	}
	if err != nil || bytes.Equal(e, f.entry) {
		return err
	}
	return tx.raw.Delete(f.entry)
}
