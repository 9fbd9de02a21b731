// Command linuxinit is the first process of the Linux guest that Tuplix is
// measured against: it makes the machine ready with as little as can be, runs
// the program /app and ends the machine with its status.
//
// # Owns
//
// The order of the peer's start: modules, disk (ext4, mounted at /data, the
// program's working directory), network (the fixed address that QEMU's
// user-mode network gives its first guest), program, end.
//
// # May import
//
// The standard library, golang.org/x/sys/unix, and kernel/cmdline, whose
// format carries the program's arguments, as it does for Tuplix.
//
// # Guarantees
//
// Nothing is started that the measured program does not need.
//
// # Refuses
//
// To go on after an error: a peer that is only half there would be measured
// wrongly.
package main
