// Package goos is added to the Go distribution when an image is built. It is
// the contract between TamaGo's packages and the runtime below them
// (github.com/usbarmory/tamago/goos describes it), kept by a runtime that needs
// no such help: the stock one, on the kernel of Tuplix.
//
// It owns the names that TamaGo's packages refer to or define by linkname. It
// may import the Go distribution only. It guarantees that none of the hooks is
// ever called from here or from the runtime: threads, time, memory, randomness
// and the end of the program are the kernel's. It refuses, at link time, two
// packages that define the same hook, as two TamaGo boards do.
package goos

import (
	"os"
	"runtime"
	"unsafe"
)

// The addresses that the program was linked at, in bytes. The heap is not
// among them: it is scattered over the address space, and the addresses of its
// pages say nothing of where they are in memory.
var (
	RamStart uint
	RamSize  uint

	// RamStackOffset is defined by TamaGo's package amd64, for an entry code of
	// its own that images do not have.
	RamStackOffset uint
)

func init() {
	start, end := runtime.MemRegion()
	RamStart, RamSize = uint(start), uint(end-start)
}

// What TamaGo's amd64.CPU.Init and boards set for a runtime that asks. The stock
// runtime does not: it schedules its threads on the kernel's processors, and
// idle ones are halted there. Only Exit has a value from the start.
var (
	// Bloc is where a heap would start; it is ignored.
	Bloc uintptr

	// Exit ends the program, and with it the machine, as os.Exit does.
	Exit = func(code int32) { os.Exit(int(code)) }

	// Idle, ProcID, Task and Wake are ignored.
	Idle   func(until int64)
	ProcID func() uint64
	Task   func(sp, mp, gp, fn unsafe.Pointer)
	Wake   func(procid uint64)
)

// CPUinit is no entry of an image: the kernel's is.
//
//go:linkname CPUinit
func CPUinit()

// Hwinit0 is package amd64's, which does nothing there.
//
//go:linkname Hwinit0
func Hwinit0()

// Hwinit1 is a board's. An image that calls it hands the board the machine: it
// is there to be linked, not called.
//
//go:linkname Hwinit1
func Hwinit1()

// InitRNG and GetRandomData are package amd64's: RDRAND. The program's random
// numbers do not come from there.
//
//go:linkname InitRNG
func InitRNG()

// GetRandomData fills b once InitRNG has been called.
//
//go:linkname GetRandomData
func GetRandomData(b []byte)

// Nanotime is a board's clock. It is not the program's.
//
//go:linkname Nanotime
func Nanotime() int64

// Printk writes a byte to the kernel's console.
func Printk(c byte) {
	b := [1]byte{c}
	print(string(b[:]))
}
