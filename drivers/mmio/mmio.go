package mmio

import (
	"fmt"
	"unsafe"
)

// Registers are the registers of one device, or a window of them. Offsets are
// in bytes from the window's start and must be multiples of the access width
// within [0, Len()-width]; anything else is a bug of the driver and panics.
// Values are in the byte order of the machine (little-endian on all that this
// system runs on). Calls do not block and need no lock for memory's sake; a
// driver orders its own multi-register sequences.
type Registers interface {
	Len() int // bytes
	Read8(off int) uint8
	Read16(off int) uint16
	Read32(off int) uint32
	Write8(off int, v uint8)
	Write16(off int, v uint16)
	Write32(off int, v uint32)
}

// Region is Registers at a virtual address.
type Region struct {
	base unsafe.Pointer
	size int
}

// At makes the Region of size bytes at the virtual address addr, which must be
// mapped uncached and stay mapped.
func At(addr uintptr, size int) Region {
	return Region{base: *(*unsafe.Pointer)(unsafe.Pointer(&addr)), size: size}
}

// Len returns the size of the region in bytes.
func (r Region) Len() int { return r.size }

// Read8 reads one byte.
func (r Region) Read8(off int) uint8 { return load8(r.at(off, 1)) }

// Read16 reads two bytes.
func (r Region) Read16(off int) uint16 { return load16(r.at(off, 2)) }

// Read32 reads four bytes.
func (r Region) Read32(off int) uint32 { return load32(r.at(off, 4)) }

// Write8 writes one byte.
func (r Region) Write8(off int, v uint8) { store8(r.at(off, 1), v) }

// Write16 writes two bytes.
func (r Region) Write16(off int, v uint16) { store16(r.at(off, 2), v) }

// Write32 writes four bytes.
func (r Region) Write32(off int, v uint32) { store32(r.at(off, 4), v) }

func (r Region) at(off, width int) unsafe.Pointer {
	check(r.size, off, width)
	return unsafe.Add(r.base, off)
}

func check(size, off, width int) {
	if off < 0 || off > size-width || off%width != 0 {
		panic(fmt.Sprintf("mmio: access of %d bytes at %#x in a region of %#x", width, off, size))
	}
}

// The accesses are not inlined: the compiler may then neither merge two of
// them, nor drop one, nor widen it. Plain moves, not package sync/atomic: an
// atomic store is an XCHG on amd64, which would also read the register.

//go:noinline
func load8(p unsafe.Pointer) uint8 { return *(*uint8)(p) }

//go:noinline
func load16(p unsafe.Pointer) uint16 { return *(*uint16)(p) }

//go:noinline
func load32(p unsafe.Pointer) uint32 { return *(*uint32)(p) }

//go:noinline
func store8(p unsafe.Pointer, v uint8) { *(*uint8)(p) = v }

//go:noinline
func store16(p unsafe.Pointer, v uint16) { *(*uint16)(p) = v }

//go:noinline
func store32(p unsafe.Pointer, v uint32) { *(*uint32)(p) = v }
