// Package kernel makes the machine usable: it boots, and gives the unmodified
// Go runtime what Linux would give it. It owns the processors, physical
// memory and the address space, threads and their scheduling, signals, the
// clock, entropy, descriptors' numbers and readiness (epoll, eventfd), and the
// gate that system calls enter by.
//
// System calls are trapped in ring 0 (SYSCALL through LSTAR). Those that the
// runtime lives on are served here, in trap context. Those about state
// (files, sockets, processes, users) are not the kernel's: Serve names the
// function that takes them, in ordinary Go.
//
// # Two kinds of code
//
// Trap context: everything reached from onSyscall, onInterrupt,
// onKernelFault, boot and apMain. It runs with interrupts off, on a stack of
// the processor, with a g that belongs to no M. So it allocates nothing, starts
// no goroutine, stores no Go pointer in memory (a write barrier would look for
// the M), takes no lock of package sync, and keeps its tables in pages of its
// own, linked by index. A test reads the machine code and refuses calls of the
// allocator and of write barriers from it.
//
// Go context: what api.go exports. It is ordinary code, called by drivers and
// services, and reaches the kernel by private system calls.
//
// # Locks
//
// Two spin locks, taken in this order: sched (threads, futexes, timers,
// descriptors, signals), then mem (the address space, page tables, free
// pages). A page fault takes only mem, so memory of the program may be touched
// under sched and never under mem. Whoever spins answers other processors'
// requests to flush the TLB.
//
// # May import
//
// The packages below kernel/, runtime and unsafe. Never drivers or anything
// above.
//
// # Guarantees
//
// W^X from the first Go instruction on: text is not writable, data is not
// executable, page 0 is not mapped, and kernel stacks end in guard pages. A
// wake-up is never lost. A processor with nothing to do sleeps. Memory that
// the program gives back is free at once. A signal that ends the program waits
// until what OnExit was given is done. A panic of the kernel is reported
// with the stacks of all goroutines and ends the machine as panic= on the
// command line says.
//
// # Refuses
//
// fork, exec, more than one address space, rings other than 0, and 32-bit
// programs.
//
// On a Linux host the package compiles and is inert: Booted reports false.
package kernel
