// Package qemu starts machines: for people, through cmd/tuplix, and for tests,
// which drive the console by scripts.
//
// # Between the guest and this package
//
// The console is the first serial port. The command line (package
// kernel/cmdline) tells the guest of two more ports, which QEMU's devices
// isa-debugcon and isa-debug-exit answer:
//
//	status=0xe9       the guest writes "exit N\n", N in decimal from 0 to 255, a
//	                  byte at a time, before it ends: N is the exit status of the
//	                  program, or what a kernel panic has in its place
//	debugexit=0x501   a byte V written here ends QEMU at once with exit status
//	                  2V+1; it is for ends that are not in order
//
// The key of an encrypted disk is the file opt/org.tuplix/key of QEMU's device
// fw_cfg (fwcfg.DiskKey).
//
// A machine that powers off without a word has status 0. The guest's working
// directory and files for tests come with the option cwd=DIR and a boot module,
// a tar archive whose names are relative to the root directory.
//
// # Owns
//
// QEMU's command line, its life and death, the choice of an accelerator, the
// bridge between the console and a terminal, and the format of test scripts.
//
// # May import
//
// The standard library, golang.org/x/term, and what it shares with the guest:
// kernel/cmdline, the format in which it talks to it, and names. It is host-side
// code.
//
// # Guarantees
//
// QEMU ends when the context ends, when the machine is killed, and when the
// process that started it dies, however it dies. Input is handed to the guest
// as fast as it takes it and no faster; nothing is dropped. KVM is used only
// after a guest has been seen to run on it.
//
// # Refuses
//
// To run a machine with a disk that another machine has open, and to guess
// what a status line means that is not of the form above.
package qemu
