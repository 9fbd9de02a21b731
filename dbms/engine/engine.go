package engine

import (
	"context"
	"iter"
	"time"
)

// Engine keeps versioned keys. All methods may be called concurrently.
type Engine interface {
	// Update runs fn as one serializable transaction and returns its version.
	// If fn returns an error, nothing happens and Update returns that error.
	// fn may be run several times, of which one counts: it must have no effects
	// but those by its Tx, and must not call the engine. A nil op is an empty one.
	// A panic of fn passes through, and nothing happens. A transaction that
	// writes nothing is one, too: it has a version and a Commit.
	//
	// Update returns when the transaction is durable, or with op.NoWait when it
	// has taken effect. Errors: ErrConflict only if the engine gave up after
	// many attempts, ErrUnknown, ErrFatal, ErrFull, a LimitError, ctx's error
	// (before the commit: nothing happened), and what fn returned.
	Update(ctx context.Context, op *Op, fn func(Tx) error) (Version, error)

	// View runs fn on the state at a version, or the newest if at is zero.
	// The Reader is of no use after fn has returned, and is used by one
	// goroutine at a time.
	View(ctx context.Context, at Version, fn func(Reader) error) error

	// Watch waits until a transaction later than since has changed a key in one
	// of the ranges, and returns a version that includes the change. If that has
	// happened already it returns at once: no change is ever missed by a caller
	// that passes the version it has read; zero is the newest. It may return
	// without a change (when the engine can no longer tell), so callers look
	// again.
	Watch(ctx context.Context, since Version, ranges ...Range) (Version, error)

	// Sync waits until everything up to v is durable; zero means all so far.
	Sync(ctx context.Context, v Version) error

	// Owed returns a version that is not durable yet and that somebody may tell the
	// outside of: of a transaction that did not wait for it (Op.NoWait) and is not
	// Op.Untold, or one that a View has shown while its own caller still waits. It is
	// zero if there is none. Whatever carries words out of the machine asks first, and
	// if there is one waits for Sync of it: what the outside hears survives a loss of
	// power. It is cheap, and never blocks. A store that has failed owes for ever.
	Owed() Version

	// Resolve tells whether the operation of this ID has taken effect, and as
	// which version. After it has said no, the operation may still take effect
	// if an Update of it is under way. IDs are kept as long as versions are.
	Resolve(ctx context.Context, id string) (v Version, done bool, err error)

	// At returns the newest version that was committed not after t: for any time
	// from a commit on, a version that includes it and nothing later than t. At a
	// time before the first commit the store was empty: that version, or
	// ErrTooOld, as for times before everything that is kept.
	At(ctx context.Context, t time.Time) (Version, error)

	// Horizon returns the oldest version at which all of r can be read; older
	// reads of keys in r may fail with ErrTooOld. Where restores reach back before
	// it, what they show stays readable.
	Horizon(ctx context.Context, r Range) (Version, error)

	// Retain sets for how long superseded versions of keys in r are kept, at
	// least MinRetention. Later calls win where ranges overlap. It is itself a
	// transaction.
	Retain(ctx context.Context, op *Op, r Range, keep time.Duration) error

	// Collect removes what is beyond retention now, instead of in its time.
	Collect(ctx context.Context) (Collected, error)

	// Check reads everything and proves the engine's own invariants: checksums,
	// formats, order and overlap of versions, counts. Each violation is
	// reported; the error is only about not being able to go on.
	Check(ctx context.Context, report func(Problem)) error

	// MaxValue is how many bytes a value may have that is written: DefaultMaxValue, or
	// what the engine was opened to take. Longer ones that are there can be read.
	MaxValue() int

	// Metrics returns the counters of the engine since it was opened.
	Metrics() Metrics

	// Close waits for what is under way, makes all durable and lets go of the
	// device. Later calls fail with ErrClosed.
	Close() error
}

// Reader reads the state at one version. Bytes that it returns stay valid only
// until the next call of the same Reader or Cursor.
type Reader interface {
	// Version is the version that is read. In an Update it is the version the
	// transaction builds on.
	Version() Version

	// Get returns the value of a key, and whether there is one.
	Get(key []byte) (value []byte, found bool, err error)

	// GetBatch reads several keys in one go and calls each, in the order of
	// keys, for those that exist.
	GetBatch(keys [][]byte, each func(i int, value []byte) error) error

	// Scan returns the keys of r in order, or in reverse order. The cursor must
	// be closed.
	Scan(r Range, o ScanOptions) Cursor

	// At reads the same store at an older version, or the same one. It is
	// ErrVersion for a later one. The new Reader ends with this one, and takes
	// turns with it: they are used by one goroutine at a time.
	At(v Version) (Reader, error)

	// History returns the versions of a key up to the reader's, newest first,
	// those that a restore has hidden included. What a restore brought back may
	// appear once more, as a version made by the restore.
	History(key []byte) iter.Seq2[Row, error]

	// Changes returns what became of the keys of r by transactions later than
	// from, up to the reader's version, in the order of versions and then keys.
	// A restore that overlaps r appears as one Row with its Restore set, whole,
	// before the keys of its transaction. A zero from is the beginning of what is
	// kept; one before the horizon of r is ErrTooOld.
	Changes(r Range, from Version) iter.Seq2[Row, error]

	// Commits returns the transactions later than from, up to the reader's
	// version, oldest first, or newest first if reverse.
	Commits(from Version, reverse bool) iter.Seq2[Commit, error]
}

// ScanOptions say how a range is read.
type ScanOptions struct {
	Reverse bool
	Limit   int // the most keys that will be asked for; 0: unknown. A hint for fetching ahead.
}

// Cursor walks over keys in order. A typical loop:
//
//	for c.Next() { use(c.Key(), c.Value()) }
//	return errors.Join(c.Err(), c.Close())
type Cursor interface {
	Next() bool    // goes to the first or next key; false at the end or on an error
	Key() []byte   // valid until Next
	Value() []byte // valid until Next
	Err() error
	Close() error
}

// Tx is an Update under way. Its reads show the state that the transaction
// builds on, without its own writes: package txn lays those over. Each key is
// written at most once.
type Tx interface {
	Reader

	// Put gives a key a value, whether or not it has one. Bytes are copied.
	Put(key, value []byte) error

	// Delete removes a key, if it is there; otherwise it leaves no trace.
	Delete(key []byte) error

	// Restore makes the keys of r as they were at an earlier version, in
	// constant time, whatever their number. What is hidden by it stays in
	// History and can be read At. The keys of r must not be written, or restored
	// once more, by the same transaction. A zero version is the time before the
	// first transaction: it removes all keys of r. Errors: ErrVersion, ErrTooOld.
	Restore(r Range, to Version) error

	// Changed reports whether a transaction later than since has written, or
	// restored, a key in one of the ranges. It may err on the side of true, but
	// not where there was no transaction later than since.
	Changed(since Version, ranges []Range) (bool, error)

	// Count adds to the numbers of rows that the provenance of this transaction
	// shows, and records keys if the operation is traced. Nothing else adds to
	// them: what is one row above the seam may be several keys below.
	Count(read, written int, keys ...[]byte)
}

// Forgetter may be implemented by a Tx. Where it is not, Delete does instead.
type Forgetter interface {
	// Forget is Delete of a key that nobody will read in the past: its value, of
	// about size bytes, is gone for good, and does not become history. A read or a
	// restore at an older version finds no such key, nor may a View that has begun
	// before. What refers to it must be beyond
	// the horizon already; that is the caller's to see.
	Forget(key []byte, size int) error
}

// Expirer may be implemented by an Engine.
type Expirer interface {
	// Expire ends the retention of what the ranges were before a version, which from
	// then on is the oldest at which they can be read, unless a restore under way
	// still needs an older one. It is itself a transaction.
	Expire(ctx context.Context, op *Op, before Version, ranges ...Range) error
}

// Separator may be implemented by an Engine.
type Separator interface {
	// Separate tells that the rows of a range are long and come in the order of their
	// keys, so that they had better be stored apart from others. It is about speed
	// only, and holds until the engine is closed.
	Separate(r Range)
}

// Observable may be implemented by an Engine.
type Observable interface {
	// Observe has o told of each transaction that changes a key of the ranges, until
	// stop is called: of those that are committed when it returns it is not told, of
	// all later ones it is. Stop returns when o will not be told any more; neither may
	// be called by o, or in a transaction.
	Observe(o Observer, ranges ...Range) (stop func())
}

// Observer keeps in memory what follows from keys in the store. For an Update under
// way it is up to date: it has been told of each transaction that this one builds on,
// and of no later one. A View that begins when it has been told of a transaction sees
// that; it may see one more, of which it is told in a moment.
//
// Changed and Restored are called between transactions: they must be quick, take no lock
// that is held while the engine is called, and not call it.
type Observer interface {
	// Changed tells that a key was put, or deleted. Key is valid during the call.
	Changed(key []byte, deleted bool)

	// Restored tells that keys of r were restored. It overlaps one of the ranges.
	Restored(r Range)

	// Committed is called after the others, by whoever has run the transaction, when
	// others may run. Calls for several transactions come in any order, and at the
	// same time.
	Committed()
}
