package linux

import (
	"slices"
	"sync"
)

// fakeKernel keeps descriptor numbers and readiness as the kernel does.
type fakeKernel struct {
	mu    sync.Mutex
	used  map[int]bool // number -> pollable
	ready map[int]uint32
	edges []int // descriptors in the order of their rising edges
}

func newFakeKernel() *fakeKernel {
	return &fakeKernel{used: map[int]bool{}, ready: map[int]uint32{}}
}

func (k *fakeKernel) AllocFD(min int, pollable bool) (int, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for fd := min; ; fd++ {
		if _, taken := k.used[fd]; !taken {
			k.used[fd] = pollable
			return fd, true
		}
	}
}

func (k *fakeKernel) FreeFD(fd int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, taken := k.used[fd]; !taken {
		panic("FreeFD of a number that is not in use")
	}
	delete(k.used, fd)
	delete(k.ready, fd)
	k.edges = slices.DeleteFunc(k.edges, func(n int) bool { return n == fd })
}

func (k *fakeKernel) SetReady(fd int, events uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if events&^k.ready[fd] != 0 {
		k.edges = append(k.edges, fd)
	}
	k.ready[fd] |= events
}

func (k *fakeKernel) ClearReady(fd int, events uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ready[fd] &^= events
}

func (k *fakeKernel) isReady(fd int, events uint32) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ready[fd]&events == events
}
