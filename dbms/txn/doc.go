// Package txn gives transactions the comforts that an engine does not: reading
// one's own writes, savepoints, and transactions that stay open while somebody
// thinks.
//
// There are two kinds, with one type, Tx, for the code inside:
//
//   - A procedure (DB.Update) is a Go function. Procedures run one after another
//     at the commit point, the newest state before their eyes, and so never fail
//     because of each other. They should be short: everybody waits. A procedure
//     may be run more than once and must have no effect but by its Tx.
//   - An interactive transaction (DB.Begin) reads a snapshot for as long as it
//     likes, keeps its writes to itself, and is validated when it commits: if
//     anything it has read, keys or ranges, has been changed since, Commit fails
//     with engine.ErrConflict and nothing has happened. It holds nobody up.
//
// It owns the writes that a transaction has not yet committed, and what it has
// read. It guarantees that both kinds are serializable, and so is any mix of them.
//
//	   Tx.Get/Scan                       Tx.Put/Delete
//	       |                                  |
//	own writes (writeset) <-------------------+
//	       |  not there
//	ranges restored by this Tx ---> the engine's reader at that version
//	       |  not in one
//	the engine's reader ---> read set (interactive only), validated at Commit
//
// A Tx belongs to one goroutine at a time. What it returns as bytes stays valid
// until its next call. Savepoints nest; rolling back to one forgets the writes
// after it, not the reads: what was seen may have decided what came later.
//
// The package imports engine, and google/btree for what a transaction has written. It
// refuses more than the engine's limits, and misuse: writes in a
// read-only Tx, any use after the end, writes in a range that the same Tx has
// restored.
package txn
