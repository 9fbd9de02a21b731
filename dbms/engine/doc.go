// Package engine is the seam between the tables of Tuplix and whatever keeps
// their bytes: versioned keys, changed by serializable transactions.
//
// It owns the words both sides use (Version, Range, Op, Commit), the interface
// that an engine implements, the errors by which it tells outcomes apart, and
// the limits. It holds no data itself. Nothing above it knows which engine is
// below; package enginetest says, as tests, what each of them must do.
//
//	table   rows, indexes, constraints, catalog
//	txn     own writes, savepoints, interactive transactions
//	engine  ---------------- this seam ----------------
//	        embedded (Pebble)      postgres (a server, by its wire protocol)
//
// What an engine guarantees:
//
//   - Order. Every committed Update has a version; versions are totally ordered
//     in the order in which the transactions took effect, which agrees with real
//     time: an Update that starts after another has returned gets a later one.
//   - Serializability. The outcome of all Updates is that of running them one
//     after another in the order of their versions. Ranges that were read count,
//     also where they were empty.
//   - Snapshots. A View sees all of the transactions up to its version and
//     nothing of later ones. It takes no lock and never makes an Update wait.
//   - Durability. When Update returns without Op.NoWait, what it wrote and what it
//     has read survive a loss of power. With NoWait, Sync waits for that, and Owed
//     tells what leaves the machine to wait for it. That
//     there was a transaction which wrote nothing may be forgotten, if it has no
//     Op.ID.
//   - Exactly once. Updates with the same Op.ID take effect once; the second
//     returns the version of the first and does not run its function.
//
// An engine refuses keys, values and transactions above Limits, versions older
// than the horizon, and versions of another engine.
//
// The package imports nothing of Tuplix.
package engine
