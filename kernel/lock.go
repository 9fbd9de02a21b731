package kernel

import "sync/atomic"

// spinLock keeps other processors out. Its holder has interrupts off, so
// waiting is short; the waiter goes on answering TLB flushes, or a holder
// that waits for the answer would wait for ever.
type spinLock struct{ held atomic.Uint32 }

func (l *spinLock) lock() {
	for !l.held.CompareAndSwap(0, 1) {
		answerFlush()
		pause()
	}
}

func (l *spinLock) unlock() { l.held.Store(0) }

// The kernel's locks, in the order in which they may be taken (doc.go).
var (
	sched spinLock
	mem   spinLock
)
