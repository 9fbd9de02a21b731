package net

import (
	"time"
	"unsafe"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// clock is the stack's clock with a monotonic time that is cheap to read: the
// stack reads it ten to twenty times for a request and its answer, and its own
// takes several calls of package time for each.
type clock struct {
	tcpip.Clock // wall clock and timers
	monotonic   func() time.Duration
}

// newClock returns the stack's clock; monotonic is nil for package time's.
func newClock(monotonic func() time.Duration) tcpip.Clock {
	std := tcpip.NewStdClock()
	if monotonic == nil {
		return std
	}
	return &clock{std, monotonic}
}

// NowMonotonic implements tcpip.Clock.
func (c *clock) NowMonotonic() tcpip.MonotonicTime { return monotonicTime(c.monotonic()) }

// monotonicTime is the reading d after the zero of the clock. The type has no
// constructor; its Add goes by way of package time's calendar. A reading is its
// nanoseconds, which a test holds against Add.
func monotonicTime(d time.Duration) tcpip.MonotonicTime {
	return *(*tcpip.MonotonicTime)(unsafe.Pointer(&d))
}

// A reading has the size of a duration.
const _ = -(unsafe.Sizeof(tcpip.MonotonicTime{}) ^ unsafe.Sizeof(time.Duration(0)))
