// Package history judges recorded histories of concurrent transactions: is there
// an order that explains what each of them has read? It owns the words for a
// history, the graph of what depends on what, and the search for cycles in it, in
// the manner of Elle (Kingsbury and Alvaro, VLDB 2020), by the names of Adya.
//
// A transaction is recorded as its reads and writes, in order, with its outcome.
// From the values that were read and the order of the values of each key follow
// edges between transactions that any explanation must respect:
//
//	ww   wrote the value before that of the other
//	wr   wrote what the other has read
//	rw   has read the value before that of the other (an anti-dependency)
//	prw  has read a range in which the other then made a key appear
//	rt   had returned before the other began
//
// A cycle is an anomaly, named by its edges:
//
//	G0        ww only: dirty writes
//	G1c       ww and wr: circular information flow
//	G-single  one rw: a lost update, or a read skew
//	G2-item   several rw: write skew
//	G2        with prw: phantoms
//	          any of these "in real time" if the cycle needs rt
//
// Besides: G1a (an aborted transaction's write was read), G1b (a value that its
// transaction replaced before the end was read), internal (a transaction does not
// see its own writes, or a read is not repeatable), lost (a committed write is
// nowhere), garbage (nobody wrote what was read), order (an edge goes against the
// versions that the engine gave).
//
// What it guarantees: every anomaly that it reports is one. It finds all that
// follow from the edges it can infer; a key that was read as absent counts only if
// it is clear which of its absences that was. It imports nothing of Tuplix, and
// refuses values that are written twice to one key, since then nothing follows.
package history
