// Package postgres is an engine over a PostgreSQL server, reached by its wire
// protocol. It shows that the seam does not leak: what lies above it does not
// know that its state is elsewhere, shared by many machines.
//
// It owns one schema of the server's database, in which nobody else may write,
// and imports engine and pgx. It guarantees what engine promises, under the
// server's settings: with fsync off there, nothing is durable.
//
// # How it works
//
// Each version of a key is a row; the version is the id of the transaction that
// wrote it (xid8). A state of the store is all rows up to a version, so reading
// needs no transaction of the server, and a View holds nothing there between its
// calls.
//
// A transaction reads a version, notes what it has read, and commits in one round
// trip: begin serializable; lock the gate; if nothing that was read has a newer
// version, write; commit. The lock is needed although the server is serializable:
// PostgreSQL's transactions are equivalent to some order, the seam wants that
// order to be the one in which they become visible, because a View shows every
// prefix of it (docs/decisions/0012 has the example). It is held for the server's work
// only, not while a client thinks, and not while the log is flushed. Who loses
// the race often takes the lock first, reads under it, and so always wins.
//
// A restore is a row, too. The versions that it hides are left out by the ranges
// of versions in which a reader looks, see plan.go.
//
// # Outcomes
//
// What the server answers decides. If the connection is lost before it answers,
// the transaction is run again under the same operation id, of which only one can
// be committed; if that is not possible either, the outcome is engine.ErrUnknown.
// Serialization failures and deadlocks (40001, 40P01) are run again.
//
// # What it refuses
//
// Versions of one cluster mean nothing in another: a dump that is loaded
// elsewhere starts a new store (export the newest state instead). A version that
// was not yet durable when the server crashed (Op.NoWait) may be given out again.
//
// CockroachDB and YugabyteDB speak the same protocol. What they do differently is
// in cockroach.go and yugabyte.go. They are tested only where COCKROACH_URL or
// YUGABYTE_URL is set, which it never was so far: treat them as a first draft.
package postgres
