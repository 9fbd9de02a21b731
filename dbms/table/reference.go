package table

import (
	"bytes"
	"fmt"
	"slices"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
)

// checkReferences sees that the rows exist that a new row refers to. What the
// old row referred to already is not looked at again.
func (b *binding) checkReferences(tx *Tx, row, was unsafe.Pointer, k []byte) error {
	for _, r := range b.refs {
		if err := b.checkReference(tx, r, row, was, k); err != nil {
			return err
		}
	}
	return nil
}

func (b *binding) checkReference(tx *Tx, r *reference, row, was unsafe.Pointer, k []byte) error {
	values, null := b.referred(r, row)
	if null {
		return nil
	}
	if was != nil {
		if old, _ := b.dynamic.referred(r, was); slices.Equal(old, values) {
			return nil
		}
	}
	parent, err := tx.cat.tables[r.parent].keyFrom(values)
	if err != nil || bytes.Equal(parent, k) { // to itself
		return err
	}
	_, found, err := tx.raw.Get(parent)
	if err == nil && !found {
		err = &Error{Err: ErrReference, Table: b.name, Constraint: r.Name, Key: values}
	}
	return err
}

// referred reads the columns of a reference.
func (b *binding) referred(r *reference, row unsafe.Pointer) (values []Value, null bool) {
	parts := make([]part, len(r.cols))
	for i, c := range r.cols {
		parts[i].col = c
		null = null || b.slots[c].null(row)
	}
	return b.values(row, parts), null
}

// keyFrom makes the key of a row.
func (s *schema) keyFrom(values []Value) (k []byte, err error) {
	k = append(k, s.prefix...)
	for i := range s.parts {
		if k, err = appendValue(k, &s.parts[i], values[i]); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// removeReferring deals with the rows that refer to one that has just been
// deleted, whose key is given: it deletes them, or refuses.
func (b *binding) removeReferring(tx *Tx, r *reference, key []Value) error {
	child := tx.cat.tables[r.child].dynamic
	limit := 0
	if !r.Cascade {
		limit = 1
	}
	rows, err := child.referring(tx, r, key, limit)
	if err != nil || len(rows) == 0 {
		return err
	}
	if !r.Cascade {
		return &Error{Err: ErrReferenced, Table: b.name, Constraint: child.name + "." + r.Name, Key: key}
	}
	for _, k := range rows {
		if _, err := child.remove(tx, k); err != nil {
			return err
		}
	}
	return nil
}

// referring returns the keys of the rows that refer to a key.
func (b *binding) referring(tx *Tx, r *reference, key []Value, limit int) (rows [][]byte, err error) {
	x := b.indexFor(r)
	if x == nil {
		return nil, fmt.Errorf("table %s, reference %s: %w", b.name, r.Name, ErrNotReady)
	}
	low := slices.Clone(x.prefix)
	for i, v := range key {
		if low, err = appendValue(low, &x.parts[i], v); err != nil {
			return nil, err
		}
	}
	row := dynamicRow(make([]Value, len(b.cols)))
	each := func() bool {
		var k []byte
		k, err = b.appendParts(slices.Clone(b.prefix), row, b.parts)
		rows = append(rows, k)
		return err == nil
	}
	span := Span{limit: limit}
	var failed error
	if x.id == rowsIndex {
		failed = b.scanRows(tx, engine.PrefixRange(low), span, row, each)
	} else {
		failed = b.scanIndex(tx, x, engine.PrefixRange(low), span, row, each)
	}
	return rows, firstError(failed, err)
}

// indexFor returns the index by which referring rows are found, nil if it is
// not ready.
func (s *schema) indexFor(r *reference) *index {
	if startsWith(s.definition().Key, r.Columns) {
		return s.primary()
	}
	for _, x := range s.indexes {
		if x.Where == "" && x.ready && startsWith(x.Parts, r.Columns) {
			return x
		}
	}
	return nil
}
