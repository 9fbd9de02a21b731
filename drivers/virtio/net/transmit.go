package net

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/tuplix/tuplix/drivers/virtio"
)

// transmitter is the sending half of a device.
//
// Locks: mu is held around Submit, never while done or the doorbell is called.
type transmitter struct {
	device *Device
	queue  *virtio.Queue[*outgoing]
	waiter virtio.Waiter // of serve
	bell   lateBell

	mu      sync.Mutex
	room    sync.Cond   // a frame came back or the device failed
	free    []*outgoing // not in flight
	prompt  int         // frames in flight whose done is wanted soon
	waiting int         // senders that wait for room
}

// outgoing is one frame in flight. The queue's reference to it keeps the parts.
type outgoing struct {
	header []byte // headerSize bytes of DMA memory
	phys   uint64 // its address
	chain  *virtio.Chain
	parts  [][]byte
	done   func()
	prompt bool
}

// maxParts is the size of an indirect table: a GSO packet of 64 KiB in single
// pages, its headers, and room for parts that are cut unluckily.
const maxParts = 64

// headerStride is the distance of headers.
const headerStride = 16

func (t *transmitter) open(d *Device) error {
	q, err := virtio.NewQueue[*outgoing](d.dev, queueTx, virtio.QueueConfig{Size: queueSize, Indirect: maxParts})
	if err != nil {
		return err
	}
	headers, phys, err := d.dev.Memory().AllocDMA(q.Size() * headerStride)
	if err != nil {
		return fmt.Errorf("virtio-net: headers: %w", err)
	}
	t.device, t.queue, t.waiter = d, q, d.dev.QueueWaiter(queueTx)
	t.room.L = &t.mu
	for i := range q.Size() {
		at := i * headerStride
		t.free = append(t.free, &outgoing{
			header: headers[at : at+headerSize],
			phys:   phys + uint64(at),
			chain:  virtio.NewChain(d.dev.Memory(), 0),
		})
	}
	d.dev.OnFail(t.fail)
	return nil
}

// Transmit queues the frame that parts make up, an Ethernet frame without its
// checksum; Flush sends it. It blocks while the ring is full, and then sends
// what is queued. If it returns nil, done will run once the device is done with
// parts, which must not change before; it runs on any goroutine, maybe within a
// call of Transmit or Flush, and must not block or transmit. If prompt is set
// it runs soon after the device is done, which costs an interrupt; else when a
// later frame is sent or received, or half a ring of frames is done. EINVAL: h
// does not fit the frame or the offloads. EMSGSIZE: more than 64 KiB or too many
// parts. Else the device has failed.
func (d *Device) Transmit(h Header, parts [][]byte, prompt bool, done func()) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size < ethernet || size > maxFrame {
		return fmt.Errorf("virtio-net: frame of %d bytes: %w", size, syscall.EMSGSIZE)
	}
	if err := h.check(size, d.offloads.TxChecksum, d.offloads.TSO4, d.offloads.TSO6); err != nil {
		return fmt.Errorf("virtio-net: %w", err)
	}
	return d.tx.submit(h, parts, prompt, done)
}

// Flush tells the device of all queued frames, with one notification or, if it
// is looking anyway, none: at once, or soon if there is much to do (lateBell).
// Whoever has called Transmit calls it before long.
func (d *Device) Flush() {
	if d.rx.load.high() && d.tx.bell.postpone(d.tx.waiter) {
		return
	}
	d.tx.flush()
}

func (t *transmitter) flush() {
	t.ring()
	t.reap()
}

func (t *transmitter) ring() {
	t.bell.rung()
	t.queue.Kick()
}

func (t *transmitter) submit(h Header, parts [][]byte, prompt bool, done func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for flushed := false; ; flushed = true {
		err := t.try(h, parts, prompt, done)
		if !errors.Is(err, virtio.ErrFull) {
			return err
		}
		if flushed {
			t.room.Wait()
			continue
		}
		// Room comes from the device, which must know of what it has, and
		// of somebody waiting.
		t.waiting++
		defer func() { t.waiting-- }()
		t.mu.Unlock()
		t.flush()
		t.mu.Lock()
	}
}

// try puts a frame into the ring. ErrFull: there is no room.
func (t *transmitter) try(h Header, parts [][]byte, prompt bool, done func()) error {
	k := len(t.free) - 1
	if k < 0 {
		if err := t.device.dev.Err(); err != nil {
			return err
		}
		return virtio.ErrFull
	}
	o := t.free[k]
	t.free = t.free[:k]
	o.fill(h, parts, done)
	err := t.queue.Submit(o.chain, o)
	if err != nil {
		t.put(o)
		return err
	}
	if o.prompt = prompt; prompt {
		t.prompt++
	}
	t.bell.frames.Add(1)
	return nil
}

func (t *transmitter) put(o *outgoing) {
	if o.prompt {
		t.prompt--
	}
	o.parts, o.done, o.prompt = nil, nil, false
	t.free = append(t.free, o)
}

func (o *outgoing) fill(h Header, parts [][]byte, done func()) {
	o.parts, o.done = parts, done
	h.put(o.header)
	o.chain.Reset()
	o.chain.OutAt(o.phys, headerSize)
	for _, p := range parts {
		o.chain.Out(p)
	}
}

// reap moves the completion event on to half a ring from the last frame that
// came back, or to the last in flight if somebody wants to know of that, and
// takes back what has come meanwhile and so raises no interrupt any more.
func (t *transmitter) reap() {
	for t.arm() && t.queue.PopAll(t.complete) > 0 {
		t.signal()
	}
}

// serve rings the bell where that was postponed, and takes frames back that nobody
// has reaped, until the device fails.
func (t *transmitter) serve() {
	ready := func() bool {
		if t.bell.due() {
			t.ring()
		}
		return t.arm()
	}
	for {
		if err := t.waiter.Wait(ready); err != nil {
			t.device.dev.Fail(err)
			return
		}
		t.queue.PopAll(t.complete)
		t.signal()
	}
}

// arm asks for the interrupt, and tells whether there is something to do
// already.
func (t *transmitter) arm() bool {
	t.mu.Lock()
	wanted := t.prompt > 0 || t.waiting > 0
	t.mu.Unlock()
	if wanted {
		return t.queue.ArmMost(t.queue.Size() / 2)
	}
	return t.queue.ArmAfter(t.queue.Size() / 2)
}

// complete runs when the device is done with o.
func (t *transmitter) complete(o *outgoing, _ int) {
	done := o.done
	t.mu.Lock()
	t.put(o)
	t.mu.Unlock()
	if done != nil {
		done()
	}
}

// signal lets whoever waits for room look again.
func (t *transmitter) signal() {
	t.mu.Lock()
	t.room.Broadcast()
	t.mu.Unlock()
}

func (t *transmitter) fail(err error) {
	for _, o := range t.queue.Drain(err) {
		t.complete(o, 0)
	}
	t.signal()
}
