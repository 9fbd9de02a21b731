// Package isolation proves by experiment that an engine, and the transactions
// that package txn makes on it, are serializable. It owns the workloads: many
// goroutines run procedures, interactive transactions, views of the present and of
// the past, all mixed, and record what they read and wrote; package history then
// looks for what no serial order explains. Registers are also checked for
// linearizability, by porcupine, with restores and without, and a bank's money is
// counted at thousands of past versions while it moves.
//
// It imports engine, txn and history. It guarantees that what it reports has
// happened; that nothing was found proves nothing, so a test of this package
// runs it on engines with faults and expects them to be found. It refuses to go
// on after an error that a healthy engine does not give.
//
// A run prints its seed, and ISOLATION_SEED=n repeats what the goroutines do, not
// how they interleave.
package isolation
