// Package model is an engine for tests: the whole of the seam in a few hundred
// lines of maps and slices behind one mutex, in memory. It is the reference that
// real engines are compared with, and lets tests of what lies above the seam run
// without a disk or a server. It is no use for anything else: nothing is durable,
// and it is slow wherever plain code is.
//
// It owns the simplest reading of what package engine promises. Where a real
// engine does something clever, the model does what the words say: a restore, for
// example, writes anew every key that it changes.
//
// It imports package engine only, and guarantees all that engine does, but that
// what it keeps outlives the process. It refuses what engine says is refused, and
// a key that one transaction writes twice.
package model
