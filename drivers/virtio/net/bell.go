package net

import (
	"sync/atomic"

	"github.com/tuplix/tuplix/drivers/virtio"
)

// lateBell lets the frames of several senders share one notification. Each is a
// write to a register of the device, which costs an exit to the hypervisor; under
// QEMU it also waits for a lock that is held while the other frames are sent: a
// server that answers small requests spent a tenth of its time there.
//
// What is postponed is left to the goroutine that serves the queue. It is woken by
// way of the network poller, which the Go scheduler asks when it has run all
// goroutines that were ready, so that their frames have come together. If that
// takes long, because one calculates, the kernel sees to it as for any other
// event.
type lateBell struct {
	frames atomic.Int32 // queued since the bell was rung, about
	called atomic.Bool  // the goroutine has been woken
}

// lateFrames is how many frames wait at most. More would have the device idle
// until then, which could work at the same time.
const lateFrames = 8

// postpone tells whether the bell may wait. Whoever rings it later does so after
// this call, or has seen what was queued before.
func (b *lateBell) postpone(serve virtio.Waiter) bool {
	if b.frames.Load() >= lateFrames {
		return false
	}
	if !b.called.Swap(true) {
		serve.Wake()
	}
	return true
}

// due tells whether there is a bell to ring.
func (b *lateBell) due() bool { return b.called.Load() }

// rung comes before the bell is rung: who postpones thereafter calls anew.
func (b *lateBell) rung() {
	b.frames.Store(0)
	b.called.Store(false)
}

// load tells from received frames whether there is so much to do that a frame to
// be sent will soon have company. One frame at a time is somebody who waits for
// its answer.
type load struct {
	now  atomic.Int32 // frames since the receiver last slept
	last atomic.Int32 // frames between the two times before that
}

// loadFrames without a pause are much to do.
const loadFrames = 4

func (l *load) add() { l.now.Add(1) }

// rest notes that the receiver goes to sleep. It may do so twice for nothing.
func (l *load) rest() {
	if n := l.now.Swap(0); n > 0 {
		l.last.Store(n)
	}
}

func (l *load) high() bool { return max(l.now.Load(), l.last.Load()) >= loadFrames }
