// This file is added to package runtime when an image is built: what TamaGo's
// packages ask of their runtime beyond the stock one (see runtime/goos). The
// runtime itself uses none of it.

package runtime

import (
	"internal/cpu"
	"unsafe"
)

// MemRegion returns the first address of the image and the one past its last:
// code, constants and variables. TamaGo's package dma refuses regions for
// devices that overlap it. Goroutine stacks and the heap are elsewhere, in
// pieces.
func MemRegion() (start, end uint64) {
	return uint64(firstmoduledata.text), uint64(firstmoduledata.end)
}

// TextRegion returns the first address of the image's code and the one past its
// last.
func TextRegion() (start, end uint64) {
	return uint64(firstmoduledata.text), uint64(firstmoduledata.etext)
}

// CPU returns the processor's name for itself, "" if it has none.
func CPU() string { return cpu.Name() }

// GetG returns the address of the calling goroutine's descriptor.
func GetG() unsafe.Pointer { return unsafe.Pointer(getg()) }

// signalWaiting tells whether the goroutine of os/signal sleeps until a signal
// comes.
//
//go:linkname signalWaiting os/signal.Waiting
func signalWaiting() bool { return sig.state.Load() == sigReceiving }

// signalRelay queues a signal for the goroutine of os/signal, as if the process
// had got it.
//
//go:linkname signalRelay os/signal.relay
func signalRelay(s uint32) bool { return sigsend(s) }
