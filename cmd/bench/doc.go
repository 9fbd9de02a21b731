// Command bench measures Tuplix against its peers, side by side in one run.
//
//	go run ./cmd/bench [-rounds N] [-only REGEXP] [PART]
//
// PART is machine, store, services or all. In a part, ours and the peer are measured in
// turns and the medians compared. The result is a table on standard output and
// build/bench.json: a list of {name, unit, ours, peer, ratio, bound, holds}, where
// a bound of 0 is that of a figure which is only for the record.
//
// Part machine compares with a Linux guest: the same Go programs, the same QEMU,
// CPU model, memory (-m) and devices. Part store compares the tables of the store,
// on this host, with the Pebble below them and with PostgreSQL and SQLite: the
// same rows, the same disk. -restored sets the most rows of which restores are
// measured, -profiles a directory for CPU profiles of our side. Part services
// compares what the services do, in this process, with gRPC over loopback.
//
// # Owns
//
// The figures, their bounds and the load generators; the Linux guest: Debian's
// cloud kernel with an initramfs that holds cmd/bench/linuxinit and the program;
// and the databases of the store's peers, each in a directory that is removed at
// the end.
//
// # May import
//
// The host-side packages qemu and cmd/tuplix/image, dbms, services and what they are
// measured against: Pebble, gRPC, pgx and go-sqlite3, which needs cgo. Without cgo the figures
// that need SQLite say so.
//
// # Guarantees
//
// A figure behind its bound is shown as such, and one that could not be
// measured is shown with the reason; none is left out.
//
// # Refuses
//
// To compare machines that differ in anything but the system, and stores that
// differ in what they hold or in when they flush the disk.
package main
