// Package embedded is the engine of the seam on Pebble: versioned keys in a
// directory of any vfs.FS, be it blockfs on a disk, a directory of the host, or
// memory.
//
// It owns that directory: the keys in Pebble (layout.go), the versions, the
// restores, the provenance and the retention. It imports Pebble and package
// engine.
//
// # How it works
//
// The present lies at plain keys, each row with its version in front; a read of
// the newest state is one Get. What is replaced or deleted moves to history, where
// it lies by key and the version at which it ended; a read of the past is a seek
// there, and only for keys that have changed since (read.go, kept.go, past.go). It gets
// there in tables of many rows; until then it is in bundles, and in memory (bundles.go,
// unpack.go).
// Where many rows were deleted, scans know what is empty (empty.go).
// Transactions run one after another on their callers' goroutines (update.go), go to
// Pebble several at a time, and share flushes (group.go). A restore is one record,
// and background work makes it true of the rows (hide.go, restore.go, repair.go).
// Large rows that nobody knows of yet become a table of Pebble at once (load.go).
// Provenance rides on the rows and is gathered in blocks (commit.go, block.go,
// commitlog.go). Who keeps in memory what follows from rows is told of each transaction
// before the next one runs (observe.go), others wait for changes (watch.go).
//
//	Update ──► tx: Get, Put, Delete, Restore ──► batch ──► group ──► Pebble ──► flush
//	               │                               │
//	               └ recall: rows read             └ present row, bundle of past rows, record
//
//	View ──► reader ──► present row, if it is old enough
//	                    history, if not
//	                    restores not yet repaired, if there are any
//
//	background: bundles ──► history, in tables
//	            repair ──► collect, in short steps
//	            make room on a device that fills up (policy.go, maker.go, pass.go)
//	            empty the log once nothing has been written for a while (calm.go)
//
// # Guarantees
//
// Those of package engine. A view never makes a transaction wait, but for the moment
// that it looks into tables in memory. It waits itself for what has been committed
// and is not applied yet, when it begins, and when it scans the near past; what it costs does not depend on how many there are. A failed device ends
// all transactions until the store is opened anew (engine.ErrFatal), and reading
// goes on. Bytes that were stored are checked when they are read: what does not
// decode gives engine.ErrCorrupt, which names the key.
//
// # What it refuses
//
// A store of another format, a directory with something else in it, what is above
// the limits of package engine, and more than maxBatch of old and new rows in one
// transaction. There is no limit on how long a transaction's function runs, and
// all others wait for it: it must be short, and must not call the engine.
package embedded
