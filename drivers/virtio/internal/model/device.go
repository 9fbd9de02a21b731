package model

import (
	"fmt"
	"sync"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/virtio"
)

// Device is a virtio device in software. The fields are set before a driver
// opens it.
type Device struct {
	Machine *Machine
	Type    uint32
	Offered uint64 // features
	Refuse  bool   // FEATURES_OK
	Vector  int    // how many vectors it has; 0 is 1
	Max     int    // queue size; 0 is 64
	Space   []byte // configuration

	// Handle is called with each chain of a queue, in order, on a goroutine
	// of the queue, and returns how many bytes it wrote; with keep the chain
	// is not returned but by a later call of Queue.Return.
	Handle func(queue int, c *Chain) (written int, keep bool)

	mu         sync.Mutex
	status     uint8
	accepted   uint64
	queues     [8]*Queue
	vectors    [16]int // interrupt by vector
	config     int     // vector of the configuration
	generation uint32
	reason     uint32 // interrupt status, for MMIO
	line       func() // raises the MMIO line
	mmio       mmioState
}

// ID returns Type.
func (d *Device) ID() uint32 { return d.Type }

// Features returns Offered.
func (d *Device) Features() uint64 { return d.Offered }

// SetFeatures takes what the driver accepts.
func (d *Device) SetFeatures(f uint64) {
	if f&^d.Offered != 0 {
		panic(fmt.Sprintf("model: driver accepts %#x of %#x", f, d.Offered))
	}
	d.accepted = f
}

// Accepted returns the features that the driver took.
func (d *Device) Accepted() uint64 { return d.accepted }

// Status returns the status.
func (d *Device) Status() uint8 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

// SetStatus changes the status; 0 resets: when it returns, the device touches
// no memory any more.
func (d *Device) SetStatus(s uint8) {
	d.mu.Lock()
	if s&8 != 0 && d.Refuse {
		s &^= 8
	}
	d.status = s
	if s != 0 {
		d.mu.Unlock()
		return
	}
	queues := d.queues
	d.queues = [8]*Queue{}
	d.mu.Unlock()
	for _, q := range queues {
		if q != nil {
			q.stop()
		}
	}
}

// QueueMax returns Max.
func (d *Device) QueueMax(index int) int {
	switch {
	case index >= len(d.queues):
		return 0
	case d.Max == 0:
		return 64
	}
	return d.Max
}

// EnableQueue starts a queue.
func (d *Device) EnableQueue(index int, a virtio.QueueAddress, vector int) (func(), error) {
	q := newQueue(d, index, a, vector)
	d.mu.Lock()
	d.queues[index] = q
	d.mu.Unlock()
	return q.Notify, nil
}

// Queue returns a queue that the driver has set up, or nil.
func (d *Device) Queue(index int) *Queue {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queues[index]
}

// Vectors returns Vector.
func (d *Device) Vectors() int { return max(d.Vector, 1) }

// Bind takes the interrupt of a vector from its message.
func (d *Device) Bind(vector int, i virtio.Interrupt) error {
	_, data := i.Message()
	d.vectors[vector] = int(data)
	return nil
}

// SetConfigVector chooses a vector.
func (d *Device) SetConfigVector(v int) error {
	d.config = v
	return nil
}

// Ack does nothing.
func (d *Device) Ack() {}

// Config returns the configuration.
func (d *Device) Config() mmio.Registers { return space{d} }

// Generation returns how often the configuration changed.
func (d *Device) Generation() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.generation
}

// ChangeConfig changes the configuration and interrupts.
func (d *Device) ChangeConfig(change func(space []byte)) {
	d.mu.Lock()
	change(d.Space)
	d.generation++
	d.mu.Unlock()
	d.interrupt(d.config, 2)
}

func (d *Device) interrupt(vector int, reason uint32) {
	if d.line == nil {
		d.Machine.Raise(d.vectors[vector])
		return
	}
	d.mu.Lock()
	edge := d.reason == 0
	d.reason |= reason
	d.mu.Unlock()
	if edge {
		d.line()
	}
}
