package engine

import (
	"errors"
	"fmt"
)

// The outcomes of an Update. No error: committed.
var (
	// ErrConflict: nothing happened, because of what another transaction did.
	// Running the whole transaction again may succeed.
	ErrConflict = errors.New("the transaction conflicts with another one; nothing was changed, run it again")

	// ErrUnknown: the transaction may or may not have taken effect. Resolve
	// with the operation's ID tells, as soon as the store can be reached.
	ErrUnknown = errors.New("it is not known whether the transaction took effect; ask for the outcome of its operation")

	// ErrFatal: the store has failed and takes no more transactions until it is
	// opened again; nothing of this one was acknowledged.
	ErrFatal = errors.New("the store has failed; it must be opened again")
)

var (
	// ErrTooOld: what is asked for is older than what is kept (Horizon).
	ErrTooOld = errors.New("that version is older than the store keeps")

	// ErrVersion: not a version of this store, or one of its future.
	ErrVersion = errors.New("not a version of this store")

	// ErrCorrupt: stored bytes do not decode, or fail their checksum. It is
	// wrapped by errors that name the place.
	ErrCorrupt = errors.New("stored data is damaged")

	// ErrFull: the device has no room for this transaction; nothing happened.
	ErrFull = errors.New("the store is full; nothing was changed")

	// ErrClosed: the engine has been closed.
	ErrClosed = errors.New("the store is closed")
)

// LimitError refuses what is above one of the limits. Nothing happened.
type LimitError struct {
	What  string // what is too large, as in "key" or "rows of a transaction"
	Size  int64
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: %d is more than the limit of %d", e.What, e.Size, e.Limit)
}

// CheckKey returns the LimitError of a key that is too large, or nil.
func CheckKey(key []byte) error { return CheckSize(key, nil, 0) }

// CheckSize returns the LimitError of a key or value that is too large, or nil. The limit
// of values is Engine.MaxValue's.
func CheckSize(key, value []byte, maxValue int) error {
	switch {
	case len(key) == 0:
		return errors.New("empty key")
	case len(key) > MaxKey:
		return &LimitError{What: "bytes of a key", Size: int64(len(key)), Limit: MaxKey}
	case len(value) > maxValue:
		return &LimitError{What: "bytes of a value", Size: int64(len(value)), Limit: int64(maxValue)}
	}
	return nil
}

// CheckWrites returns the LimitError of a transaction that writes n keys of
// together size bytes, keys and values, or nil.
func CheckWrites(n int, size int64) error {
	switch {
	case n > MaxWrites:
		return &LimitError{What: "keys written by a transaction", Size: int64(n), Limit: MaxWrites}
	case size > MaxTxBytes:
		return &LimitError{What: "bytes written by a transaction", Size: size, Limit: MaxTxBytes}
	}
	return nil
}

// CheckOp returns the LimitError of an Op with a text that is too long, or nil.
func CheckOp(op *Op) error {
	for _, text := range []string{op.ID, op.User, op.Program, op.Task, op.Name} {
		if len(text) > MaxOpField {
			return &LimitError{What: "bytes of a text of the operation", Size: int64(len(text)), Limit: MaxOpField}
		}
	}
	return nil
}
