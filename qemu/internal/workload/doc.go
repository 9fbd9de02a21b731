// Package workload is what a guest does to its files while a test pulls the plug,
// and the model that says what may be found afterwards.
//
// It owns the operations, which follow from a seed, and the order of the atomic
// changes that each of them is made of. It imports the standard library only: the
// guest runs the operations, the host has the model.
//
// It guarantees that the same seed gives guest and host the same operations. A
// crash may leave a worker's files as they were between any two of the changes,
// from the last acknowledged operation on, and in no other state: that is what
// the file service promises, and what Timeline.Match demands.
//
// It refuses nothing: the operations of one worker are always possible, on an
// empty directory that nobody else uses.
package workload
