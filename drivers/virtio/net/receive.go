package net

import (
	"fmt"

	"github.com/tuplix/tuplix/drivers/virtio"
)

const pageSize = 4096

// receiver is the receiving half of a device. After open it is all Receive's
// goroutine's.
//
// A page is in one of three places: in free, in the ring, or in a frame that is
// delivered or being put together.
type receiver struct {
	device *Device
	queue  *virtio.Queue[*page]

	free      []*page
	allocated int
	limit     int // most pages

	partial *Frame   // the frame of which pages are missing
	missing int      // how many
	lent    []*Frame // delivered in this batch
	spare   []*Frame // without pages, for reuse
	load    load
}

// page is a receive buffer.
type page struct {
	mem   []byte
	chain *virtio.Chain
}

// pagesAtOnce is how many pages are allocated together.
const pagesAtOnce = 16

// batch is the most pages taken out of the ring before they are put back: a
// quarter of it, so that the device does not run out of them meanwhile, and
// enough for TCP segments that make up 64 KiB.
const batch = queueSize / 4

// Frame is one received Ethernet frame, without its checksum: Parts in order.
type Frame struct {
	Header Header
	Parts  [][]byte
	pages  []*page
}

func (r *receiver) open(d *Device) error {
	q, err := virtio.NewQueue[*page](d.dev, queueRx, virtio.QueueConfig{Size: queueSize})
	if err != nil {
		return err
	}
	r.device, r.queue, r.limit = d, q, 2*q.Size()
	d.dev.OnFail(func(err error) { q.Drain(err) })
	return nil
}

// refill gives the device all the pages that it takes.
func (r *receiver) refill() {
	for r.queue.Free() > 0 && (len(r.free) > 0 || r.grow()) {
		k := len(r.free) - 1
		if r.queue.Submit(r.free[k].chain, r.free[k]) != nil {
			break // the device has failed: Receive returns the reason
		}
		r.free = r.free[:k]
	}
	r.queue.Kick()
}

// grow allocates more pages, within the limit and the machine's memory.
func (r *receiver) grow() bool {
	if r.allocated >= r.limit {
		return false
	}
	memory := r.device.dev.Memory()
	mem, phys, err := memory.AllocDMA(pagesAtOnce * pageSize)
	if err != nil {
		r.limit = r.allocated
		return false
	}
	for ; len(mem) > 0; mem, phys = mem[pageSize:], phys+pageSize {
		p := &page{mem: mem[:pageSize:pageSize], chain: virtio.NewChain(memory, 0)}
		p.chain.InAt(phys, pageSize)
		r.free = append(r.free, p)
		r.allocated++
	}
	return true
}

// Receive calls deliver with each frame that comes and, when there are no more
// or many have come, flush; both on the calling goroutine, until the device
// fails, and returns the reason. Frames and their memory are lent until flush
// returns. One goroutine may receive.
func (d *Device) Receive(deliver func(*Frame), flush func()) error {
	w := d.dev.QueueWaiter(queueRx)
	take := func(p *page, n int) { d.rx.take(p, n, deliver) }
	ready := func() bool {
		if d.rx.queue.Arm() {
			return true
		}
		d.rx.load.rest()
		return false
	}
	for {
		if err := w.Wait(ready); err != nil {
			d.dev.Fail(err)
			return err
		}
		d.rx.queue.PopMost(batch, take)
		flush()
		d.rx.reclaim()
		d.rx.refill()
		d.tx.reap()
	}
}

// take adds a page with n bytes to the frame being put together, and delivers
// the frame if it is the last.
func (r *receiver) take(p *page, n int, deliver func(*Frame)) {
	if r.partial == nil {
		r.begin(p, n)
	} else {
		r.partial.add(p, p.mem[:n])
		r.missing--
	}
	if r.partial == nil || r.missing > 0 {
		return
	}
	f := r.partial
	r.partial = nil
	if err := r.check(f); err != nil {
		r.device.dropped.Add(1)
		r.recycle(f)
		return
	}
	r.lent = append(r.lent, f)
	r.load.add()
	deliver(f)
}

// begin starts a frame with its first page.
func (r *receiver) begin(p *page, n int) {
	if n < headerSize {
		r.free = append(r.free, p)
		r.device.dev.Fail(fmt.Errorf("receive buffer with %d bytes, less than a header", n))
		return
	}
	h, buffers := parseHeader(p.mem)
	if !r.device.dev.Has(featureMergeable) {
		buffers = 1
	}
	if buffers < 1 || buffers > r.queue.Size() {
		r.free = append(r.free, p)
		r.device.dev.Fail(fmt.Errorf("received frame of %d buffers", buffers))
		return
	}
	f := r.newFrame()
	f.Header = h
	f.add(p, p.mem[headerSize:n])
	r.partial, r.missing = f, buffers-1
}

func (f *Frame) add(p *page, b []byte) {
	f.pages = append(f.pages, p)
	f.Parts = append(f.Parts, b)
}

func (r *receiver) check(f *Frame) error {
	size := 0
	for _, p := range f.Parts {
		size += len(p)
	}
	if size < ethernet || size > maxFrame {
		return fmt.Errorf("virtio-net: frame of %d bytes", size)
	}
	dev := r.device.dev
	return f.Header.check(size, dev.Has(featureGuestChecksum), dev.Has(featureGuestTSO4), dev.Has(featureGuestTSO6))
}

func (r *receiver) newFrame() *Frame {
	k := len(r.spare) - 1
	if k < 0 {
		return &Frame{}
	}
	f := r.spare[k]
	r.spare = r.spare[:k]
	return f
}

// recycle takes a frame's pages back.
func (r *receiver) recycle(f *Frame) {
	r.free = append(r.free, f.pages...)
	f.Parts, f.pages = f.Parts[:0], f.pages[:0]
	r.spare = append(r.spare, f)
}

// reclaim takes back what was lent for a batch.
func (r *receiver) reclaim() {
	for _, f := range r.lent {
		r.recycle(f)
	}
	r.lent = r.lent[:0]
}
