package model

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/virtio"
)

const pageSize = 4096

// scramble is its own inverse: it swaps pages pairwise and marks physical
// addresses, so that a virtual one taken for physical is far off.
const scramble = pageSize | 1<<60

// Machine is a machine in software.
type Machine struct {
	mu         sync.Mutex
	interrupts []*Interrupt
	limit      int // bytes of DMA memory left, if limited
	limited    bool
	Windows    map[uint64]mmio.Registers // what MapDevice finds
}

// Limit lets AllocDMA fail after n more bytes.
func (m *Machine) Limit(n int) { m.limit, m.limited = n, true }

// AllocDMA returns memory that is not scrambled.
func (m *Machine) AllocDMA(n int) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limited {
		if m.limit -= n; m.limit < 0 {
			return nil, 0, errNoMemory
		}
	}
	size := (n + pageSize - 1) &^ (pageSize - 1)
	raw := make([]byte, size+pageSize)
	at := -int(uintptr(unsafe.Pointer(&raw[0]))) & (pageSize - 1)
	mem := raw[at : at+size]
	dma.add(mem)
	return mem[:n], dmaBit | uint64(uintptr(unsafe.Pointer(&mem[0]))), nil
}

// PhysicalAddress returns the scrambled address of p.
func (m *Machine) PhysicalAddress(p unsafe.Pointer) uint64 {
	if dma.contains(uintptr(p)) {
		panic("model: PhysicalAddress of memory from AllocDMA")
	}
	return uint64(uintptr(p)) ^ scramble
}

// dmaBit marks physical addresses of DMA memory, which is contiguous.
const dmaBit = 1 << 61

// bytes views n bytes at a physical address, within one page unless it is DMA
// memory. Neighbouring objects may lie in one piece, which checkptr would take
// for a mistake.
//
//go:nocheckptr
func bytes(phys uint64, n int) []byte {
	at := uintptr(phys ^ scramble)
	if phys&dmaBit != 0 {
		at = uintptr(phys &^ dmaBit)
	} else if phys&(1<<60) == 0 {
		panic("model: device was given an address that is not physical")
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), n)
}

// pieces calls f with the memory at phys, page by page.
func pieces(phys uint64, n int, f func([]byte)) {
	for n > 0 {
		k := min(n, pageSize-int(phys%pageSize))
		f(bytes(phys, k))
		phys, n = phys+uint64(k), n-k
	}
}

// MapDevice returns the registers in Windows.
func (m *Machine) MapDevice(phys uint64, n int) (mmio.Registers, error) {
	for base, r := range m.Windows {
		if phys >= base && phys-base+uint64(n) <= uint64(r.Len()) {
			return mmio.Window(r, int(phys-base), n)
		}
	}
	return nil, errNoDevice
}

// NewInterrupt returns an interrupt whose message data is its number.
func (m *Machine) NewInterrupt() (virtio.Interrupt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := &Interrupt{number: len(m.interrupts), fired: make(chan struct{}, 1)}
	m.interrupts = append(m.interrupts, i)
	return i, nil
}

// Raise raises the interrupt with a number.
func (m *Machine) Raise(number int) {
	m.mu.Lock()
	i := m.interrupts[number]
	m.mu.Unlock()
	i.Count.Add(1)
	i.Wake()
}

// Interrupts returns how many interrupts were raised so far.
func (m *Machine) Interrupts() (n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range m.interrupts {
		n += i.Count.Load()
	}
	return n
}

// Routed returns the number of the interrupt that gsi goes to, or -1.
func (m *Machine) Routed(gsi uint32) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range m.interrupts {
		if g := i.gsi.Load(); g == int64(gsi)+1 {
			return i.number
		}
	}
	return -1
}

// Interrupt is an interrupt in software.
type Interrupt struct {
	Count  atomic.Int64
	number int
	gsi    atomic.Int64 // plus 1; 0 is none
	fired  chan struct{}
}

// Message returns the interrupt's number as data.
func (i *Interrupt) Message() (uint64, uint32) { return 0xfee00000, uint32(i.number) }

// Route connects an input line.
func (i *Interrupt) Route(gsi uint32, _, _ bool) error {
	i.gsi.Store(int64(gsi) + 1)
	return nil
}

// Wait waits.
func (i *Interrupt) Wait(ready func() bool) error {
	for !ready() {
		<-i.fired
	}
	return nil
}

// Wake makes Wait ask again.
func (i *Interrupt) Wake() {
	select {
	case i.fired <- struct{}{}:
	default:
	}
}
