package acpi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Resources are what a device uses.
type Resources struct {
	Memory     []Range
	Ports      []Range // I/O
	Interrupts []Interrupt
}

// Range is a range of physical memory or of I/O ports.
type Range struct {
	Base, Size uint64
}

// Interrupt is an input of the I/O APIC and its trigger.
type Interrupt struct {
	GSI   uint32
	Level bool // else edge
	Low   bool // active low, else high
}

var errNoResources = errors.New("acpi: device has no _CRS, or a computed one")

// A resource template (ACPI 6.5, 6.4) is a list of items:
//
//	small: 0 tag: 0, type (4 bits), length (3 bits) | data
//	large: 0 tag: 1, type (7 bits)   1 length u16   | data
const (
	itemLarge = 0x80

	smallIRQ     = 0x04
	smallIO      = 0x08
	smallFixedIO = 0x09
	smallEnd     = 0x0f

	largeMemory32      = 0x05
	largeMemory32Fixed = 0x06
	largeDWord         = 0x07
	largeInterrupt     = 0x09
	largeQWord         = 0x0a
)

// ParseResources decodes a resource template. Items of other kinds are passed
// over.
func ParseResources(b []byte) (Resources, error) {
	var r Resources
	for len(b) > 0 {
		tag, data, rest, err := nextItem(b)
		if err != nil {
			return r, err
		}
		if tag == smallEnd {
			return r, nil
		}
		if err := r.item(tag, data); err != nil {
			return r, err
		}
		b = rest
	}
	return r, errors.New("acpi: resource template has no end")
}

func nextItem(b []byte) (tag uint8, data, rest []byte, err error) {
	tag, n, head := b[0]>>3, int(b[0]&7), 1
	if b[0]&itemLarge != 0 {
		if len(b) < 3 {
			return 0, nil, nil, fmt.Errorf("acpi: resource item %#x is cut off", b[0])
		}
		tag, n, head = b[0], int(binary.LittleEndian.Uint16(b[1:])), 3
	}
	if n > len(b)-head {
		return 0, nil, nil, fmt.Errorf("acpi: resource item %#x of %d bytes is cut off", b[0], n)
	}
	return tag, b[head : head+n], b[head+n:], nil
}

func (r *Resources) item(tag uint8, b []byte) error {
	need := map[uint8]int{
		smallIRQ:                       2,
		smallIO:                        7,
		smallFixedIO:                   3,
		itemLarge | largeMemory32:      17,
		itemLarge | largeMemory32Fixed: 9,
		itemLarge | largeDWord:         23,
		itemLarge | largeQWord:         43,
		itemLarge | largeInterrupt:     2,
	}[tag]
	if len(b) < need {
		return fmt.Errorf("acpi: resource item %#x has only %d bytes", tag, len(b))
	}
	f := fields(b)
	switch tag {
	case smallIRQ:
		r.irq(b)
	case smallIO: // flags, lowest u16, highest u16, alignment, size
		r.Ports = append(r.Ports, Range{uint64(binary.LittleEndian.Uint16(b[1:])), uint64(b[6])})
	case smallFixedIO: // base u16, size
		r.Ports = append(r.Ports, Range{uint64(binary.LittleEndian.Uint16(b)), uint64(b[2])})
	case itemLarge | largeMemory32: // flags, lowest, highest base, alignment, size
		return r.memory(uint64(f.u32(1)), uint64(f.u32(13)))
	case itemLarge | largeMemory32Fixed: // flags, base, size
		return r.memory(uint64(f.u32(1)), uint64(f.u32(5)))
	case itemLarge | largeDWord: // type, flags (2), granularity, lowest, highest, translation, size
		if b[0] == uint8(Memory) {
			return r.memory(uint64(f.u32(7)+f.u32(15)), uint64(f.u32(19)))
		}
	case itemLarge | largeQWord: // the same with 8 bytes each
		if b[0] == uint8(Memory) {
			return r.memory(f.u64(11)+f.u64(27), f.u64(35))
		}
	case itemLarge | largeInterrupt:
		return r.extended(b)
	}
	return nil
}

func (r *Resources) memory(base, size uint64) error {
	if size == 0 || base+size < base {
		return fmt.Errorf("acpi: memory resource of %#x bytes at %#x", size, base)
	}
	r.Memory = append(r.Memory, Range{base, size})
	return nil
}

// irq reads the old interrupt item: a mask of 16 lines and, optionally, flags
// (bit 0 edge, bit 3 active low); without them edge and active high.
func (r *Resources) irq(b []byte) {
	flags := uint8(1)
	if len(b) > 2 {
		flags = b[2]
	}
	for i, mask := 0, binary.LittleEndian.Uint16(b); i < 16; i++ {
		if mask>>i&1 != 0 {
			r.Interrupts = append(r.Interrupts, Interrupt{uint32(i), flags&1 == 0, flags&8 != 0})
		}
	}
}

// extended reads the extended interrupt item: flags (bit 1 edge, bit 2 active
// low), a count, and that many u32.
func (r *Resources) extended(b []byte) error {
	n := int(b[1])
	if len(b) < 2+4*n {
		return fmt.Errorf("acpi: interrupt resource with %d of %d lines", (len(b)-2)/4, n)
	}
	for i := range n {
		gsi := binary.LittleEndian.Uint32(b[2+4*i:])
		r.Interrupts = append(r.Interrupts, Interrupt{gsi, b[0]&2 == 0, b[0]&4 != 0})
	}
	return nil
}
