package virtio

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync"
	"syscall"
)

// ErrFull says that a queue has no room for a chain now; chains that come back
// make room.
var ErrFull = errors.New("virtio: queue is full")

// ErrTooLong says that a chain has more pieces than the queue can ever take.
var ErrTooLong = fmt.Errorf("virtio: request has too many pieces: %w", syscall.EMSGSIZE)

// Queue is a virtqueue. Each chain carries a token of type T, which comes back
// with it and keeps the chain's memory referenced meanwhile. Safe for
// concurrent use. No method blocks.
//
// Invariants, under mu:
//   - len(free) plus the count of all busy slots is the size of the ring;
//   - nothing is read back from memory that the device can write but the used
//     ring: lengths and links of chains live in slots and link;
//   - err is set once, and nothing is submitted or popped after.
type Queue[T any] struct {
	dev    *Device
	index  int
	notify func()
	event  bool // VIRTIO_F_RING_EVENT_IDX

	mu       sync.Mutex
	ring     ring
	slots    []slot[T] // by head descriptor
	link     []uint16  // by descriptor: the next of its chain
	free     []uint16  // unused descriptors
	tables   tables
	inflight int
	avail    uint16 // next available index
	used     uint16 // next used index to look at
	notified uint16 // available index at the last notification
	err      error
}

// slot is what is known of a chain in flight.
type slot[T any] struct {
	busy     bool
	count    uint16 // descriptors of the ring
	table    int    // indirect table, or -1
	writable uint64 // bytes that the device may write
	token    T
}

// QueueConfig chooses the size of a queue.
type QueueConfig struct {
	Size     int // most descriptors; the device may allow fewer
	Indirect int // descriptors of an indirect table; 0: chain in the ring only
}

// NewQueue sets up queue index of d, between Open and Start.
func NewQueue[T any](d *Device, index int, c QueueConfig) (*Queue[T], error) {
	size, err := queueSize(d, index, c.Size)
	if err != nil {
		return nil, err
	}
	r, err := newRing(d.machine, size)
	if err != nil {
		return nil, fmt.Errorf("virtio: memory of queue %d: %w", index, err)
	}
	q := &Queue[T]{
		dev:   d,
		index: index,
		event: d.Has(FeatureEventIndex),
		ring:  r,
		slots: make([]slot[T], size),
		link:  make([]uint16, size),
		free:  make([]uint16, size),
	}
	for i := range q.free {
		q.free[i] = size - 1 - uint16(i)
	}
	if d.Has(FeatureIndirect) {
		q.tables = tables{mem: d.machine, entries: min(c.Indirect, int(size)), max: int(size)}
	}
	q.notify, err = d.addQueue(index, r.addr)
	return q, err
}

func queueSize(d *Device, index, want int) (uint16, error) {
	most := min(d.transport.QueueMax(index), want, maxQueueSize)
	if most < 2 {
		return 0, fmt.Errorf("virtio: device offers no usable queue %d", index)
	}
	return 1 << (bits.Len(uint(most)) - 1), nil
}

// Size returns the number of descriptors of the ring.
func (q *Queue[T]) Size() int { return int(q.ring.size) }

// Free returns how many more one-piece chains the queue takes now.
func (q *Queue[T]) Free() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.free)
}

// MaxChain returns the number of pieces that a chain can always have.
func (q *Queue[T]) MaxChain() int { return int(q.ring.size) }

// Submit gives a chain to the device; Kick tells the device of it. It returns
// ErrFull, ErrTooLong or the reason for which the device has failed; the chain
// is then still the caller's.
func (q *Queue[T]) Submit(c *Chain, token T) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	n := c.Len()
	if n == 0 || n > int(q.ring.size) {
		return ErrTooLong
	}
	s := slot[T]{busy: true, table: -1, writable: c.writable, token: token}
	head, err := q.place(c, n, &s)
	if err != nil {
		return err
	}
	q.slots[head] = s
	q.inflight++
	q.ring.setAvail(q.avail, head)
	q.avail++
	q.ring.publish(q.avail)
	return nil
}

// place writes the descriptors of a chain, in an indirect table if there is one
// to be had, and returns the head.
func (q *Queue[T]) place(c *Chain, n int, s *slot[T]) (uint16, error) {
	if len(q.free) == 0 {
		return 0, ErrFull
	}
	if n > 1 && n <= q.tables.entries {
		if s.table = q.tables.get(); s.table >= 0 {
			t := &q.tables.list[s.table]
			c.write(t.desc, func(k int) uint16 { return uint16(k) })
			head := q.take(1)
			s.count = 1
			q.ring.desc[head] = descriptor{addr: t.phys, len: uint32(n * descSize), flags: descIndirect}
			return head, nil
		}
	}
	if n > len(q.free) {
		return 0, ErrFull
	}
	ids := q.free[len(q.free)-n:]
	c.write(q.ring.desc, func(k int) uint16 { return ids[n-1-k] })
	s.count = uint16(n)
	return q.take(n), nil
}

// take removes n descriptors from the free list, the last being the head, and
// links them.
func (q *Queue[T]) take(n int) uint16 {
	ids := q.free[len(q.free)-n:]
	for k := n - 1; k > 0; k-- {
		q.link[ids[k]] = ids[k-1]
	}
	q.free = q.free[:len(q.free)-n]
	return ids[n-1]
}

// Kick tells the device of all chains submitted since the last Kick, unless the
// device has said that it looks by itself.
func (q *Queue[T]) Kick() {
	q.mu.Lock()
	old, idx := q.notified, q.avail
	q.notified = idx
	wanted := idx != old && q.err == nil
	if wanted && q.event {
		wanted = crossed(q.ring.availEvent(), idx, old)
	} else if wanted {
		wanted = q.ring.notifyWanted()
	}
	q.mu.Unlock()
	if wanted {
		q.notify()
	}
}

// Pop takes one chain back that the device has used: its token and how many
// bytes the device wrote (never more than the chain had). ok is false when
// there is none or the device has failed. A device found cheating is failed.
func (q *Queue[T]) Pop() (token T, written int, ok bool) {
	q.mu.Lock()
	token, written, ok, err := q.pop()
	q.mu.Unlock()
	if err != nil {
		q.dev.Fail(fmt.Errorf("queue %d: %w", q.index, err))
	}
	return token, written, ok
}

func (q *Queue[T]) pop() (token T, written int, ok bool, err error) {
	if q.err != nil {
		return token, 0, false, nil
	}
	pending := q.ring.usedIdx() - q.used
	if pending == 0 {
		return token, 0, false, nil
	}
	if int(pending) > q.inflight {
		return token, 0, false, fmt.Errorf("used index jumped by %d with %d chains in flight", pending, q.inflight)
	}
	id, n := q.ring.usedElem(q.used)
	if id >= uint32(len(q.slots)) || !q.slots[id].busy {
		return token, 0, false, fmt.Errorf("used entry names chain %d, which is not in flight", id)
	}
	if uint64(n) > q.slots[id].writable {
		return token, 0, false, fmt.Errorf("device claims to have written %d bytes of %d", n, q.slots[id].writable)
	}
	q.used++
	token = q.slots[id].token
	q.release(uint16(id))
	return token, int(n), true, nil
}

// release returns the descriptors of a chain to the free list.
func (q *Queue[T]) release(head uint16) {
	s := &q.slots[head]
	q.tables.put(s.table)
	for range s.count {
		q.free = append(q.free, head)
		head = q.link[head]
	}
	*s = slot[T]{}
	q.inflight--
}

// Arm asks for an interrupt when the next chain comes back, and reports whether
// there is a reason not to wait: a chain is back already or the device has
// failed. It is the condition to give to Waiter.Wait.
func (q *Queue[T]) Arm() bool { return q.arm(func() uint16 { return q.used }) }

// ArmMost is like Arm, but asks for one interrupt when n chains have come back,
// or all in flight if they are fewer. For queues whose completions are not
// urgent: whoever submits moves the event on by calling it again, and must take
// chains back for as long as it returns true.
func (q *Queue[T]) ArmMost(n int) bool {
	return q.arm(func() uint16 { return q.used + uint16(max(min(q.inflight, n), 1)) - 1 })
}

// ArmAfter is like ArmMost, but asks for no interrupt before n chains have come
// back, however few are in flight.
func (q *Queue[T]) ArmAfter(n int) bool {
	return q.arm(func() uint16 { return q.used + uint16(n) - 1 })
}

func (q *Queue[T]) arm(event func() uint16) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.event {
		q.ring.setUsedEvent(event())
	}
	return q.err != nil || q.ring.usedIdx() != q.used
}

// Disarm asks for no interrupt until the queue is armed again. It is a hint: a device
// may interrupt all the same.
func (q *Queue[T]) Disarm() {
	q.arm(func() uint16 { return q.used + math.MaxInt16 })
}

// InFlight returns how many chains the device has.
func (q *Queue[T]) InFlight() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inflight
}

// Drain closes the queue with err and returns the tokens of all chains in
// flight. Only for use once the device is reset, in a failure callback.
func (q *Queue[T]) Drain(err error) []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return nil
	}
	q.err = err
	var tokens []T
	for i := range q.slots {
		if s := &q.slots[i]; s.busy {
			tokens = append(tokens, s.token)
			q.release(uint16(i))
		}
	}
	return tokens
}

// Serve takes chains back as they come and hands each to done, until the device
// fails. done runs on the calling goroutine; after it has had all that came,
// idle runs once (nil: nothing) before the wait for more.
func (q *Queue[T]) Serve(done func(token T, written int), idle func()) error {
	w := q.dev.QueueWaiter(q.index)
	for {
		if err := w.Wait(q.Arm); err != nil {
			q.dev.Fail(err)
			return err
		}
		q.PopAll(done)
		if idle != nil {
			idle()
		}
	}
}

// PopAll takes back all chains that the device has used, and returns how many.
func (q *Queue[T]) PopAll(done func(token T, written int)) int {
	return q.PopMost(math.MaxInt, done)
}

// PopMost takes back up to most chains that the device has used, and returns
// how many.
func (q *Queue[T]) PopMost(most int, done func(token T, written int)) int {
	for n := range most {
		token, written, ok := q.Pop()
		if !ok {
			return n
		}
		done(token, written)
	}
	return most
}
