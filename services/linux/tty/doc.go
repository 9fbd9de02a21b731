// Package tty is the line discipline of a terminal: what lies between a
// serial line (or any stream of bytes both ways) and the programs that read
// and write it.
//
// What it owns: editing of a line before it is read (erase, word erase,
// kill, reprint, end of file), echo, the translation of line ends both ways,
// the characters that interrupt, the window size, and the settings of termios.
//
// What it may import: x/sys/unix for the numbers.
//
// What it guarantees: nothing that arrives is lost for want of a reader:
// Serve stops taking input while 64 KiB wait to be read. Each Open gives a
// description of its own with its own readiness, all on the one terminal.
//
// With a store (SetStore), what programs write waits until all that it may tell of is durable.
//
// What it refuses: job control (there is one process), modem lines, speeds,
// VTIME (a read that asks for no byte at all returns at once), VLNEXT.
//
// Locks: Terminal.mu guards the state, Terminal.output keeps the bytes of one
// write together. They are never held at once. Callbacks of Notify run with
// mu held.
package tty
