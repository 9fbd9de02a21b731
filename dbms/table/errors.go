package table

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tuplix/tuplix/dbms/engine"
)

// What an Error is about; test for it with errors.Is.
var (
	ErrNotFound   = errors.New("there is no such row")
	ErrExists     = errors.New("there is a row with this key already")
	ErrUnique     = errors.New("another row has these values of a unique index")
	ErrReference  = errors.New("there is no row to refer to")
	ErrReferenced = errors.New("other rows refer to this one")
	ErrCheck      = errors.New("the check is false")
)

var (
	// ErrNoTable: the table has not been created, or has been dropped.
	ErrNoTable = errors.New("there is no such table")

	// ErrNoCatalog: the store, or what it was at that version, has no tables at all.
	ErrNoCatalog = errors.New("the store has no catalog; open it with table.Open")

	// ErrNotReady: the index is still being built.
	ErrNotReady = errors.New("the index is still being built")
)

// Error is a failure that concerns one row. The transaction can go on: nothing
// was changed by the call that failed.
type Error struct {
	Err        error   // one of ErrNotFound to ErrCheck
	Table      string  // where the row is or would be
	Constraint string  // the index, check or reference; "" is the primary key
	Key        []Value // of the row; of the index for ErrUnique, of the other row for ErrReference
}

func (e *Error) Error() string {
	where := e.Table
	if e.Constraint != "" {
		where += ", " + e.Constraint
	}
	return fmt.Sprintf("%s (%s): %v", where, keyText(e.Key), e.Err)
}

// Unwrap makes errors.Is work.
func (e *Error) Unwrap() error { return e.Err }

func keyText(key []Value) string {
	var parts []string
	for _, v := range key {
		parts = append(parts, v.Literal())
	}
	return strings.Join(parts, ", ")
}

// DifferenceError says that a table in the store is not as it was declared.
type DifferenceError struct {
	Table string
	Lines []string // each names one column, index or constraint, and how it differs
}

func (e *DifferenceError) Error() string {
	return fmt.Sprintf("table %s is not as declared:\n\t%s", e.Table, strings.Join(e.Lines, "\n\t"))
}

// corrupt wraps engine.ErrCorrupt with the place.
func corrupt(where, what string) error {
	return fmt.Errorf("%w: %s: %s", engine.ErrCorrupt, where, what)
}
