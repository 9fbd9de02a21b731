package net

import (
	"fmt"
	"sync"

	"github.com/tuplix/tuplix/drivers/virtio"
)

const pageSize = 4096

// receiver is the receiving half of a device.
//
// A page is in one of three places: in free, in the ring, or lent with a Frame
// (or with the frame being put together). Locks: mu guards free and allocated,
// and is held around Submit.
type receiver struct {
	device *Device
	queue  *virtio.Queue[*page]

	mu        sync.Mutex
	free      []*page
	allocated int
	limit     int // most pages

	partial *Frame // of Receive's goroutine: a frame of which pages are missing
	missing int
}

// page is a receive buffer.
type page struct {
	mem   []byte
	chain *virtio.Chain
}

// pagesAtOnce is how many pages are allocated together.
const pagesAtOnce = 16

// Frame is one received Ethernet frame, without its checksum: Parts in order.
// Its memory is lent until Release.
type Frame struct {
	Header Header
	Parts  [][]byte

	owner *receiver
	pages []*page
	part  [1][]byte // backing of Parts and pages of the usual, short frame
	one   [1]*page
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
	r.mu.Lock()
	for r.queue.Free() > 0 && (len(r.free) > 0 || r.grow()) {
		k := len(r.free) - 1
		if r.queue.Submit(r.free[k].chain, r.free[k]) != nil {
			break // the device has failed: Receive returns the reason
		}
		r.free = r.free[:k]
	}
	r.mu.Unlock()
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

// Receive calls deliver with each frame that comes, on the calling goroutine,
// until the device fails, and returns the reason. deliver owns the frame and
// releases it, now or later. One goroutine may receive.
func (d *Device) Receive(deliver func(*Frame)) error {
	w := d.dev.QueueWaiter(queueRx)
	take := func(p *page, n int) { d.rx.take(p, n, deliver) }
	for {
		if err := w.Wait(d.rx.queue.Arm); err != nil {
			d.dev.Fail(err)
			return err
		}
		d.rx.queue.PopAll(take)
		d.rx.refill()
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
		f.Release()
		return
	}
	deliver(f)
}

// begin starts a frame with its first page.
func (r *receiver) begin(p *page, n int) {
	if n < headerSize {
		r.put(p)
		r.device.dev.Fail(fmt.Errorf("receive buffer with %d bytes, less than a header", n))
		return
	}
	h, buffers := parseHeader(p.mem)
	if !r.device.dev.Has(featureMergeable) {
		buffers = 1
	}
	if buffers < 1 || buffers > r.queue.Size() {
		r.put(p)
		r.device.dev.Fail(fmt.Errorf("received frame of %d buffers", buffers))
		return
	}
	f := &Frame{Header: h, owner: r}
	f.Parts, f.pages = f.part[:0], f.one[:0]
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

// Release gives the frame's memory back. Neither it nor its Parts may be used
// after. From any goroutine; once.
func (f *Frame) Release() {
	r := f.owner
	if r == nil {
		panic("virtio-net: frame released twice")
	}
	f.owner = nil
	r.put(f.pages...)
	f.Parts, f.pages = nil, nil
	// Receive refills after each batch. But it sleeps if the ring is empty,
	// and only a release can end that.
	if r.queue.InFlight() < r.queue.Size()/2 {
		r.refill()
	}
}

func (r *receiver) put(pages ...*page) {
	r.mu.Lock()
	r.free = append(r.free, pages...)
	r.mu.Unlock()
}
