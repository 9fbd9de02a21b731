package kernel

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// AllocFD takes the lowest free descriptor number that is at least min for a
// service. pollable tells whether epoll takes it (files: no, EPERM as on
// Linux). ok is false when all maxFD are taken.
func AllocFD(min int, pollable bool) (fd int, ok bool) {
	var p uintptr
	if pollable {
		p = 1
	}
	r, err := result(trap(callAllocFD, uintptr(min), p, 0, 0, 0))
	return int(r), err == nil
}

// FreeFD gives a number back. Whoever polls it hears of it no more.
func FreeFD(fd int) { trap(callFreeFD, uintptr(fd), 0, 0, 0, 0) }

// SetReady tells that fd became ready for the events (EPOLLIN and so on). It
// wakes epoll's waiters on the rising edge of each event; while an event
// stands, saying it again costs one atomic load.
func SetReady(fd int, events uint32) {
	d := lookFD(fd)
	if d == nil {
		return
	}
	if news := d.raise(events); news != 0 {
		trap(callPostFD, uintptr(fd), uintptr(news), 0, 0, 0)
	}
}

// raise makes events stand, and returns those that are new to somebody who
// watches.
func (d *descriptor) raise(events uint32) (news uint32) {
	for {
		old := d.ready.Load()
		if old&events == events {
			return 0
		}
		if d.ready.CompareAndSwap(old, old|events) {
			if old&fdWatched == 0 {
				return 0
			}
			return events &^ old
		}
	}
}

// ClearReady takes events back, when a call found that it would block. The
// caller must look at its condition once more afterwards: what became ready
// in between was announced before the clearing.
func ClearReady(fd int, events uint32) {
	if d := lookFD(fd); d != nil {
		d.ready.And(^events)
	}
}

// Serve names the function that takes the system calls which are not the
// kernel's own, and starts the goroutines that serve calls of programs which
// came through the gate: a result, or -errno. A call waits in its thread until
// then; calls made before Serve get ENOSYS.
func Serve(call func(nr uintptr, args *[6]uintptr) uintptr) {
	service = call
	if !booted {
		return
	}
	for range serviceWorkers {
		go serveCalls()
	}
	trap(callServing, 0, 0, 0, 0, 0)
	gate = passGate
}

// Service is the function that Serve named, for the direct path.
func Service() func(nr uintptr, args *[6]uintptr) uintptr { return service }

// Bounds of the pool of goroutines that serve calls from the gate.
const (
	serviceWorkers = 2    // started at first, and kept
	maxWorkers     = 1024 // more calls than this blocked at once wait in their threads
)

var service func(nr uintptr, args *[6]uintptr) uintptr

// request is one call on its way through callNext: the kernel fills it in,
// the worker puts the result there and asks for the next.
type request struct {
	thread uintptr // who waits for the result, plus one; 0 at first
	nr     uintptr
	args   [6]uintptr
	result uintptr
	idle   uintptr // workers that wait for calls now
}

const requestSize = unsafe.Sizeof(request{})

var workers atomic.Int32

// serveCalls takes one call after another. It waits in the kernel, in a
// blocking system call that the Go scheduler knows of. A call may block for
// long, so whoever takes the last idle worker's place first starts another.
func serveCalls() {
	workers.Add(1)
	defer workers.Add(-1)
	r := new(request)
	for {
		_, _, e := syscall.Syscall(callNext, uintptr(unsafe.Pointer(r)), 0, 0)
		if e == syscall.EINTR {
			continue
		}
		if e != 0 {
			panic("kernel: waiting for calls: " + e.Error())
		}
		if r.idle == 0 && workers.Load() < maxWorkers {
			go serveCalls()
		}
		r.result = service(r.nr, &r.args)
	}
}
