// Package backup writes a consistent copy of a store to a stream while the
// store is running, and loads it into an empty one. It owns the format of that
// stream (format.go) and nothing else.
//
// There are two kinds:
//
//   - A full backup holds every key as of one version.
//   - An incremental backup holds what the transactions between two versions
//     did, in their order. It continues a full one, or another incremental one
//     that ends where it begins.
//
// It guarantees that a backup is of one moment: both kinds are read from
// snapshots, and transactions go on meanwhile and are not held
// up. A backup works on every engine, and may be loaded into another one than
// it came from: it holds keys and values, not the engine's files. It does not
// carry the past (older versions and provenance) of the store: that stays in the
// store it was made of.
//
// Load refuses a stream that is damaged, cut off or of an unknown format, and a
// store that is not empty, or, for an increment, not in the state where the
// increment begins. All that was read is checked before it is applied. A load
// that was interrupted leaves a mark, and Interrupted tells it from a whole
// store; empty the device and load again.
//
// Loading runs in many transactions. Nobody else should write meanwhile.
//
// The package imports engine, and a library for compression.
package backup
