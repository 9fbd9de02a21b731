package virtio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"unsafe"

	"github.com/tuplix/tuplix/drivers/mmio"
)

// bench is a machine and a device without a will of its own: the test writes
// the used ring itself. Physical addresses are virtual ones.
type bench struct {
	features uint64
	max      int
	status   uint8
	kicks    int
	ring     QueueAddress
	memory   [][]byte
}

func (b *bench) AllocDMA(n int) ([]byte, uint64, error) {
	words := make([]uint64, (n+7)/8+512)
	at := unsafe.Pointer(&words[0])
	mem := unsafe.Slice((*byte)(at), 8*len(words))
	skip := -int(uintptr(at)) & (pageSize - 1)
	mem = mem[skip : skip+n]
	b.memory = append(b.memory, mem)
	return mem, uint64(uintptr(unsafe.Pointer(&mem[0]))), nil
}

func (b *bench) PhysicalAddress(p unsafe.Pointer) uint64       { return uint64(uintptr(p)) }
func (b *bench) MapDevice(uint64, int) (mmio.Registers, error) { return nil, syscall.ENODEV }
func (b *bench) NewInterrupt() (Interrupt, error)              { return silent{}, nil }
func (b *bench) ID() uint32                                    { return IDBlock }
func (b *bench) Features() uint64                              { return b.features }
func (b *bench) SetFeatures(uint64)                            {}
func (b *bench) Status() uint8                                 { return b.status }
func (b *bench) SetStatus(s uint8)                             { b.status = s }
func (b *bench) QueueMax(int) int                              { return b.max }
func (b *bench) Vectors() int                                  { return 2 }
func (b *bench) Bind(int, Interrupt) error                     { return nil }
func (b *bench) SetConfigVector(int) error                     { return nil }
func (b *bench) Ack()                                          {}
func (b *bench) Config() mmio.Registers                        { return nil }
func (b *bench) Generation() uint32                            { return 0 }
func (b *bench) EnableQueue(_ int, a QueueAddress, _ int) (func(), error) {
	b.ring = a
	return func() { b.kicks++ }, nil
}

type silent struct{}

func (silent) Message() (uint64, uint32)      { return 0, 0 }
func (silent) Route(uint32, bool, bool) error { return nil }
func (silent) Wait(ready func() bool) error   { return nil }
func (silent) Wake()                          {}

const ringFeatures = FeatureVersion1 | FeatureIndirect | FeatureEventIndex

func newBench(t testing.TB, features uint64, size, indirect int) (*bench, *Device, *Queue[int]) {
	t.Helper()
	b := &bench{features: features, max: size}
	d, err := Open(b, b, Options{Type: IDBlock, Queues: 1})
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewQueue[int](d, 0, QueueConfig{Size: size, Indirect: indirect})
	if err != nil {
		t.Fatal(err)
	}
	d.Start()
	return b, d, q
}

// used writes used entry idx and moves the index behind it.
func (b *bench) used(q *Queue[int], idx uint16, id, n uint32) {
	off := 4 + 8*int(idx%b.ring.Size)
	binary.LittleEndian.PutUint32(q.ring.used[off:], id)
	binary.LittleEndian.PutUint32(q.ring.used[off+4:], n)
	binary.LittleEndian.PutUint16(q.ring.used[2:], idx+1)
}

func chainOf(m Memory, out, in int) *Chain {
	c := NewChain(m, 1)
	c.Out(make([]byte, out))
	c.In(make([]byte, in))
	return c
}

func TestCrossed(t *testing.T) {
	for _, c := range []struct {
		event, idx, old uint16
		want            bool
	}{
		{0, 1, 0, true}, {1, 1, 0, false}, {5, 10, 5, true}, {4, 10, 5, false}, {9, 10, 5, true}, {10, 10, 5, false},
		{0xffff, 0, 0xffff, true}, {0, 2, 0xfffe, true}, {0xfffd, 2, 0xfffe, false}, {3, 3, 3, false},
	} {
		if got := crossed(c.event, c.idx, c.old); got != c.want {
			t.Errorf("event %d, from %d to %d: %v", c.event, c.old, c.idx, got)
		}
	}
}

func TestChainCuts(t *testing.T) {
	b := &bench{}
	mem, phys, _ := b.AllocDMA(5 * pageSize)
	c := NewChain(b, 0)
	c.Out(mem[100 : 3*pageSize])
	if len(c.out) != 1 || c.out[0] != (segment{phys + 100, 3*pageSize - 100}) {
		t.Errorf("adjacent pages are not joined: %v", c.out)
	}
	c = NewChain(b, 1000)
	c.In(mem[:pageSize])
	c.InAt(phys+pageSize, 3000)
	total := uint32(0)
	for _, s := range c.in {
		if s.len > 1000 || s.phys != phys+uint64(total) {
			t.Errorf("piece %v at %d", s, total)
		}
		total += s.len
	}
	if total != pageSize+3000 || c.writable != uint64(total) {
		t.Errorf("%d bytes in pieces, %d writable", total, c.writable)
	}
}

func TestFillAndDrainRing(t *testing.T) {
	for indirect, fit := range map[int]int{0: 4, 8: 8} {
		b, _, q := newBench(t, ringFeatures, 8, indirect)
		c := chainOf(b, 1, 1)
		n := 0
		for ; q.Submit(c, n) == nil; n++ {
		}
		if n != fit {
			t.Errorf("indirect %d: %d chains fit", indirect, n)
		}
		if err := q.Submit(c, 0); !errors.Is(err, ErrFull) {
			t.Error(err)
		}
		if err := q.Submit(chainOf(b, 9, 0), 0); !errors.Is(err, ErrTooLong) {
			t.Error(err)
		}
		for i := range n { // returned in the order of submission
			head := binary.LittleEndian.Uint16(q.ring.avail[4+2*i:])
			b.used(q, uint16(i), uint32(head), 1)
			if token, written, ok := q.Pop(); !ok || token != i || written != 1 {
				t.Errorf("popped %d, %d, %v, want %d", token, written, ok, i)
			}
		}
		if q.Free() != 8 || q.InFlight() != 0 {
			t.Errorf("%d free, %d in flight", q.Free(), q.InFlight())
		}
	}
}

// TestKicks counts notifications, with the device's wish at each value.
func TestKicks(t *testing.T) {
	b, _, q := newBench(t, ringFeatures, 8, 8)
	c := chainOf(b, 1, 1)
	want := 0
	for i, event := range []uint16{0, 1, 5, 3, 4} {
		binary.LittleEndian.PutUint16(q.ring.used[4+8*8:], event)
		q.Submit(c, i)
		q.Kick()
		q.Kick()
		if event == uint16(i) {
			want++
		}
		if b.kicks != want {
			t.Errorf("after %d: %d kicks, want %d", i, b.kicks, want)
		}
	}
	b, _, q = newBench(t, FeatureVersion1, 8, 0)
	q.Submit(chainOf(b, 1, 0), 0)
	q.Kick()
	q.ring.used[0] = usedNoNotify
	q.Submit(chainOf(b, 1, 0), 0)
	q.Kick()
	if b.kicks != 1 {
		t.Errorf("without event index: %d kicks", b.kicks)
	}
}

func TestArm(t *testing.T) {
	b, _, q := newBench(t, ringFeatures, 8, 8)
	event := func() uint16 { return binary.LittleEndian.Uint16(q.ring.avail[4+2*8:]) }
	for i := range 6 {
		q.Submit(chainOf(b, 1, 1), i)
	}
	for n, want := range map[int]uint16{1: 0, 4: 3, 6: 5, 100: 5} {
		if q.ArmMost(n) || event() != want {
			t.Errorf("armed for %d: event %d", n, event())
		}
	}
	if q.ArmAfter(100) || event() != 99 {
		t.Errorf("armed for 100 whatever is in flight: event %d", event())
	}
	if q.Arm() || event() != 0 {
		t.Errorf("armed: event %d", event())
	}
	b.used(q, 0, uint32(binary.LittleEndian.Uint16(q.ring.avail[4:])), 0)
	if !q.Arm() {
		t.Error("armed to wait although a chain is back")
	}
}

// FuzzHostileRing lets the device write what it likes into everything that is
// shared. Tokens come back at most once and only those that are in flight,
// descriptors are never lost, and after a failure the rest comes from Drain.
func FuzzHostileRing(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 2, 0, 0, 1, 0, 1, 0, 0}, true)
	f.Add([]byte{0, 0, 0, 2, 9, 9, 1, 0, 200, 3, 7, 7}, false)
	f.Fuzz(func(t *testing.T, ops []byte, indirect bool) {
		tables := 0
		if indirect {
			tables = 4
		}
		b, d, q := newBench(t, ringFeatures, 8, tables)
		h := hostile{t: t, b: b, d: d, q: q, out: map[int]bool{}}
		d.OnFail(func(err error) { h.drained(q.Drain(err)) })
		for len(ops) >= 3 {
			h.step(ops[0], ops[1], ops[2])
			ops = ops[3:]
		}
		h.finish()
	})
}

type hostile struct {
	t    *testing.T
	b    *bench
	d    *Device
	q    *Queue[int]
	next int
	idx  uint16
	out  map[int]bool // tokens in flight
}

func (h *hostile) step(op, x, y byte) {
	switch op % 6 {
	case 0:
		if h.q.Submit(chainOf(h.b, int(x%5), int(y%5)), h.next) == nil {
			h.out[h.next] = true
			h.next++
		}
		h.q.Kick()
	case 1:
		h.b.used(h.q, h.idx, uint32(x%10), uint32(y%6))
		h.idx++
	case 2:
		h.b.used(h.q, h.idx+uint16(y%3), uint32(x)<<(y%25), uint32(y))
		h.idx += uint16(y % 5)
	case 3:
		h.q.ring.used[int(x)%len(h.q.ring.used)] = y
	case 4: // descriptors and the available ring are memory of the driver
		mem := h.b.memory[int(x)%len(h.b.memory)]
		mem[int(y)*37%len(mem)] = x
	case 5:
		h.pop()
	}
	h.check()
}

func (h *hostile) pop() {
	for {
		token, written, ok := h.q.Pop()
		if !ok {
			return
		}
		h.back(token)
		if written > 4 {
			h.t.Fatalf("%d bytes written of at most 4", written)
		}
	}
}

func (h *hostile) back(token int) {
	if !h.out[token] {
		h.t.Fatalf("token %d comes back and is not in flight", token)
	}
	delete(h.out, token)
}

func (h *hostile) drained(tokens []int) {
	if h.b.status != 0 {
		h.t.Fatal("chains are given back before the device is reset")
	}
	for _, token := range tokens {
		h.back(token)
	}
}

func (h *hostile) check() {
	if h.d.Err() != nil {
		return
	}
	if n := h.q.InFlight(); n != len(h.out) {
		h.t.Fatalf("%d chains in flight, %d tokens out", n, len(h.out))
	}
	held := 0
	for i := range h.q.slots {
		if h.q.slots[i].busy {
			held += int(h.q.slots[i].count)
		}
	}
	if held+h.q.Free() != 8 {
		h.t.Fatalf("%d descriptors held and %d free", held, h.q.Free())
	}
}

func (h *hostile) finish() {
	h.pop()
	h.d.Fail(fmt.Errorf("end of test"))
	if len(h.out) != 0 {
		h.t.Fatalf("tokens %v never came back", h.out)
	}
	if err := h.q.Submit(chainOf(h.b, 1, 1), 0); !errors.Is(err, syscall.EIO) {
		h.t.Fatalf("submit after failure: %v", err)
	}
	if !h.q.Arm() {
		h.t.Fatal("waiting on a failed device")
	}
}
