// This file is package syscall's way into the system of an image: it is added
// when the image is built, and takes the place of the functions of the same
// names, which keep a copy under the names that start with trap.

package syscall

import (
	"internal/runtime/exithook"
	"unsafe"
)

// kernelGate serves a system call on the caller's goroutine; taken is false
// for calls that the kernel itself serves, by trap. It is nil until the
// system is up.
//
//go:linkname kernelGate github.com/tuplix/tuplix/kernel.gate
var kernelGate func(nr, a1, a2, a3, a4, a5, a6 uintptr) (r uintptr, taken bool)

// kernelExit saves what must be saved before the program ends; nil if nothing.
//
//go:linkname kernelExit github.com/tuplix/tuplix/kernel.exit
var kernelExit func()

func init() {
	exithook.Add(exithook.Hook{F: runKernelExit, RunOnFailure: true})
}

func runKernelExit() {
	if kernelExit != nil {
		kernelExit()
	}
}

// stackBounds returns the bounds of the current goroutine's stack.
func stackBounds() (lo, hi uintptr)

// direct tells whether a call may run on this goroutine: the system is up, and
// no argument points into the stack, which may move while the call runs.
// Callers in Go have such objects on the heap, because of uintptrescapes;
// assembly functions of other packages may come with any.
//
//go:nosplit
func direct(a1, a2, a3, a4, a5, a6 uintptr) bool {
	if kernelGate == nil {
		return false
	}
	lo, hi := stackBounds()
	n := hi - lo
	return a1-lo >= n && a2-lo >= n && a3-lo >= n && a4-lo >= n && a5-lo >= n && a6-lo >= n
}

//go:nosplit
func gateResult(r uintptr) (r1, r2 uintptr, err Errno) {
	if e := -r; e-1 < 4095 {
		return ^uintptr(0), 0, Errno(e)
	}
	return r, 0, 0
}

//go:uintptrescapes
//go:nosplit
//go:linkname Syscall
func Syscall(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err Errno) {
	if direct(a1, a2, a3, 0, 0, 0) {
		if r, taken := kernelGate(trap, a1, a2, a3, 0, 0, 0); taken {
			return gateResult(r)
		}
	}
	return trapSyscall(trap, a1, a2, a3)
}

//go:uintptrescapes
//go:nosplit
//go:linkname Syscall6
func Syscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err Errno) {
	if direct(a1, a2, a3, a4, a5, a6) {
		if r, taken := kernelGate(trap, a1, a2, a3, a4, a5, a6); taken {
			return gateResult(r)
		}
	}
	return trapSyscall6(trap, a1, a2, a3, a4, a5, a6)
}

//go:uintptrescapes
//go:nosplit
//go:norace
//go:linkname RawSyscall
func RawSyscall(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err Errno) {
	if direct(a1, a2, a3, 0, 0, 0) {
		if r, taken := kernelGate(trap, a1, a2, a3, 0, 0, 0); taken {
			return gateResult(r)
		}
	}
	return trapRawSyscall(trap, a1, a2, a3)
}

//go:uintptrescapes
//go:nosplit
//go:norace
//go:linkname RawSyscall6
func RawSyscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err Errno) {
	if direct(a1, a2, a3, a4, a5, a6) {
		if r, taken := kernelGate(trap, a1, a2, a3, a4, a5, a6); taken {
			return gateResult(r)
		}
	}
	return trapRawSyscall6(trap, a1, a2, a3, a4, a5, a6)
}

// A call that is served on the caller's goroutine is one for all threads. The
// kernel's own calls are made by every thread.
//
//go:uintptrescapes
func AllThreadsSyscall(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err Errno) {
	return AllThreadsSyscall6(trap, a1, a2, a3, 0, 0, 0)
}

//go:uintptrescapes
func AllThreadsSyscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err Errno) {
	if kernelGate != nil {
		if r, taken := kernelGate(trap, a1, a2, a3, a4, a5, a6); taken {
			return gateResult(r)
		}
	}
	return trapAllThreadsSyscall6(trap, a1, a2, a3, a4, a5, a6)
}

//go:nosplit
func rawSyscallNoError(trap, a1, a2, a3 uintptr) (r1, r2 uintptr) {
	r1, r2, _ = RawSyscall(trap, a1, a2, a3)
	return
}

var _ unsafe.Pointer
