package engine

import (
	"context"
	"errors"
)

// ErrNoLoad: rows cannot be loaded here and now, for want of room or since the device
// is too small for it. They go by Update.
var ErrNoLoad = errors.New("rows cannot be loaded now; write them by a transaction")

// Loader may be implemented by an Engine. Where it is not, rows go by Update.
type Loader interface {
	// Load begins to store large rows beside transactions, so that each is written once,
	// to where it stays. For rows of which nobody knows yet: a transaction that is begun
	// after Load.Commit writes what refers to them, and whoever has found that finds them.
	// Nobody is to read their keys before. There must never have been a row in the range,
	// at any version. ErrNoLoad, and those of Update.
	Load(ctx context.Context, op *Op, r Range) (Load, error)

	// Settled is the newest version up to which no row will come to be any more: that of
	// the store, or one before that of the rows that are being loaded. Who asks for the
	// changes from one version to the next, and the next time from there on, goes by it,
	// or would miss them. It waits for the transaction that runs.
	Settled() (Version, error)
}

// Load is rows that are being loaded, by one goroutine at a time. It ends with Commit or
// Abort. What a crash leaves of it before the transaction that refers to its rows is
// for whoever began it to find, by their keys, and to remove.
type Load interface {
	// Put adds a row, whose value is head and then tail. Keys ascend. Bytes are copied.
	// After an error only Abort is of use.
	Put(key, head, tail []byte) error

	// Left is about how many bytes of rows more should be put: at 0 it is time to
	// Commit.
	Left() int64

	// Commit makes the rows durable and then seen, at the version that the store had
	// when the load began: a restore to an older one hides them. Watch does not tell of
	// them. ErrNoLoad if there was such a restore while they were loaded.
	Commit(ctx context.Context) error

	// Abort forgets the rows.
	Abort()
}
