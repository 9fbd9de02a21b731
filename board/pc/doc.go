// Package pc composes the system for PC-like machines with amd64 processors:
// QEMU's q35 and microvm, Firecracker, Cloud Hypervisor, cloud machines.
//
// Importing it, even by the blank name, makes a program such a system. Its init
// function does nothing in a Linux process; on the bare machine it finds the
// devices, opens the disk, starts the network, mounts the files, and opens the gate
// for system calls, all before the program's own packages are initialised (the image's
// build sees to that order).
//
// It owns the choice: which disk is the store, which network the outside, how
// memory is divided, and what HOME and PATH are unless the command line says. It
// may import everything below; only images import it. It guarantees that a disk
// that is neither blank nor ours is left as it is, and that whatever is missing
// is named on the console. It refuses to go on without files: the machine ends
// with the reason and what can be done about it.
package pc
