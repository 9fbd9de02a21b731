package linux

// Kernel is what the system calls need from below. Package kernel satisfies
// it on the metal, a fake in the tests. The number space of descriptors and
// their epoll readiness belong to the kernel, because epoll and eventfd
// descriptors live there; this package only marks what is ready.
//
// All methods may be called from any goroutine and must not block, nor call
// back into this package.
type Kernel interface {
	// AllocFD takes the lowest free descriptor number at or above min.
	// A descriptor that is not pollable is refused by epoll_ctl with EPERM.
	// ok is false when the numbers are exhausted.
	AllocFD(min int, pollable bool) (fd int, ok bool)

	// FreeFD gives the number back and drops it from every epoll set.
	FreeFD(fd int)

	// SetReady marks events (EPOLLIN and so on) as ready on the descriptor
	// and wakes epoll waiters on the rising edge.
	SetReady(fd int, events uint32)

	// ClearReady takes the marks back. The caller must look at its condition
	// again afterwards: an event in between would otherwise be lost.
	ClearReady(fd int, events uint32)
}
