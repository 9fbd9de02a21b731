package model

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tuplix/tuplix/drivers/virtio"
)

// Queue is the device's side of a virtqueue, written from the specification and
// not from the driver.
type Queue struct {
	device *Device
	index  int
	a      virtio.QueueAddress
	vector int
	doors  chan struct{}
	quit   chan struct{}
	wg     sync.WaitGroup

	Notified atomic.Int64

	mu      sync.Mutex // guards what follows, and the used ring
	stopped bool
	avail   uint16
	used    uint16
}

func newQueue(d *Device, index int, a virtio.QueueAddress, vector int) *Queue {
	q := &Queue{device: d, index: index, a: a, vector: vector, doors: make(chan struct{}, 1), quit: make(chan struct{})}
	q.wg.Add(1)
	go q.run()
	return q
}

// Notify is the doorbell.
func (q *Queue) Notify() {
	q.Notified.Add(1)
	select {
	case q.doors <- struct{}{}:
	default:
	}
}

func (q *Queue) stop() {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	close(q.quit)
	q.wg.Wait()
}

func (q *Queue) run() {
	defer q.wg.Done()
	for {
		select {
		case <-q.doors:
			q.drain()
		case <-q.quit:
			return
		}
	}
}

func (q *Queue) events() bool { return q.device.accepted&virtio.FeatureEventIndex != 0 }

// drain handles chains until there are none, and asks to be told of the next.
func (q *Queue) drain() {
	for {
		for c := q.next(); c != nil; c = q.next() {
			written, keep := q.device.Handle(q.index, c)
			if !keep {
				q.Return(c, written)
			}
		}
		if !q.events() || !q.more() {
			return
		}
	}
}

// more asks to be told of the next chain, and tells whether there is one already.
func (q *Queue) more() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return false
	}
	atomic.StoreUint32(q.word(q.a.Used+4+8*uint64(q.a.Size)), uint32(q.avail))
	return q.availIdx() != q.avail
}

func (q *Queue) word(phys uint64) *uint32 {
	return (*uint32)(unsafe.Pointer(&bytes(phys, 4)[0]))
}

func (q *Queue) availIdx() uint16 { return uint16(atomic.LoadUint32(q.word(q.a.Avail)) >> 16) }

// next returns the next chain that the driver made available.
func (q *Queue) next() *Chain {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped || q.availIdx() == q.avail {
		return nil
	}
	slot := q.a.Avail + 4 + 2*uint64(q.avail%q.a.Size)
	head := binary.LittleEndian.Uint16(bytes(slot, 2))
	q.avail++
	return q.walk(head)
}

func (q *Queue) walk(head uint16) *Chain {
	c := &Chain{Head: head, queue: q}
	table, size, at := q.a.Desc, uint32(q.a.Size), head
	for n := uint32(0); ; n++ {
		if n >= size || uint32(at) >= size {
			panic(fmt.Sprintf("model: chain %d leaves its table of %d", head, size))
		}
		d := bytes(table+16*uint64(at), 16)
		addr, length := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint32(d[8:])
		flags, next := binary.LittleEndian.Uint16(d[12:]), binary.LittleEndian.Uint16(d[14:])
		if flags&4 != 0 {
			if q.device.accepted&virtio.FeatureIndirect == 0 || flags&3 != 0 || length%16 != 0 {
				panic("model: bad indirect descriptor")
			}
			table, size, at, n = addr, length/16, 0, ^uint32(0)
			c.Indirect = true
			continue
		}
		c.add(piece{addr, int(length)}, flags&2 != 0)
		if flags&1 == 0 {
			return c
		}
		at = next
	}
}

// Return gives a chain back and interrupts if the driver wants it.
func (q *Queue) Return(c *Chain, written int) {
	q.mu.Lock()
	if q.stopped {
		q.mu.Unlock()
		return
	}
	q.put(uint32(c.Head), uint32(written))
	old := q.used
	q.publish(q.used + 1)
	wanted := q.wanted(old)
	q.mu.Unlock()
	if wanted {
		q.device.interrupt(q.vector, 1)
	}
}

func (q *Queue) put(id, n uint32) {
	at := q.a.Used + 4 + 8*uint64(q.used%q.a.Size)
	atomic.StoreUint32(q.word(at), id)
	atomic.StoreUint32(q.word(at+4), n)
}

func (q *Queue) publish(idx uint16) {
	q.used = idx
	atomic.StoreUint32(q.word(q.a.Used), uint32(idx)<<16)
}

func (q *Queue) wanted(old uint16) bool {
	if !q.events() {
		return atomic.LoadUint32(q.word(q.a.Avail))&1 == 0
	}
	event := uint16(atomic.LoadUint32(q.word(q.a.Avail + 4 + 2*uint64(q.a.Size))))
	return q.used-event-1 < q.used-old
}

// Lie puts an entry into the used ring, moves the index by jump, and
// interrupts: a device that breaks the rules. It takes first what it was given: a driver
// that believes a lie about a chain reuses the memory from which that is read.
func (q *Queue) Lie(id, n uint32, jump uint16) {
	q.drain()
	q.mu.Lock()
	q.put(id, n)
	q.publish(q.used + jump)
	q.mu.Unlock()
	q.device.interrupt(q.vector, 1)
}
