package table

import (
	"errors"
)

// autoSequence is the sequence of a table's column that is auto.
const autoSequence = "auto"

// Next returns the next number of a sequence of the store, which begins with 1
// and is made by its first use. Numbers of transactions that were undone are
// given again; a transaction that takes one conflicts with others that do.
func (t *Tx) Next(name string) (uint64, error) {
	if _, err := t.catalog(); err != nil {
		return 0, err
	}
	return t.sequence(0, name, 0)
}

// sequence takes the next number, or if n is not 0 sees that the next one is
// larger than n.
func (t *Tx) sequence(table uint32, name string, n uint64) (uint64, error) {
	row, err := catSequences.Get(t, table, name)
	if errors.Is(err, ErrNotFound) {
		row, err = sequenceRow{Table: table, Name: name, Next: 1}, nil
	}
	if err != nil || n != 0 && n < row.Next {
		return n, err
	}
	if n == 0 {
		n = row.Next
	}
	row.Next = n + 1
	return n, catSequences.Put(t, &row)
}

// newTable returns an id, and newVersion a version of a schema, that no table has
// ever had.
func (t *Tx) newTable() (uint32, error) {
	return t.fromStore(func(row *storeRow) *uint32 { return &row.Table })
}

func (t *Tx) newVersion() (uint32, error) {
	return t.fromStore(func(row *storeRow) *uint32 { return &row.Schema })
}

func (t *Tx) fromStore(counter func(*storeRow) *uint32) (uint32, error) {
	row, err := catStore.Get(t, 0)
	if err != nil {
		return 0, err
	}
	n := counter(&row)
	*n++
	return *n, catStore.Update(t, &row)
}
