package model

import (
	"encoding/binary"
	"fmt"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/pci"
	"github.com/tuplix/tuplix/drivers/virtio"
)

// A device on PCI has one BAR, at barBase:
//
//	0000 common   1000 doorbells, 4 bytes each   2000 configuration   3000 MSI-X
const (
	barBase   = 0xfe000000
	barSize   = 0x4000
	barNotify = 0x1000
	barConfig = 0x2000
	barMSIX   = 0x3000
)

// Card is a device's configuration space, the only function on its bus. Space
// may be changed before the driver looks.
type Card struct {
	d     *Device
	Space [256]byte
	bar   bar
}

// Card puts the device into a PCI slot.
func (d *Device) Card() *Card {
	c := &Card{d: d, bar: bar{d: d}}
	put := func(off int, v uint32) { binary.LittleEndian.PutUint32(c.Space[off:], v) }
	put(0x00, (0x1040+d.Type)<<16|virtio.VendorPCI)
	put(0x04, 1<<20)
	put(0x10, barBase)
	c.Space[0x34] = 0x40
	structure := func(at, next, kind int, off, n, extra uint32) {
		copy(c.Space[at:], []byte{9, byte(next), 20, byte(kind), 0})
		put(at+8, off)
		put(at+12, n)
		put(at+16, extra)
	}
	structure(0x40, 0x54, 1, 0, 56, 0)
	structure(0x54, 0x68, 2, barNotify, 64, 4)
	structure(0x68, 0x7c, 4, barConfig, uint32(len(d.Space)), 0)
	put(0x7c, uint32(d.Vectors()-1)<<16|0x11)
	put(0x80, barMSIX)
	d.Machine.Windows = map[uint64]mmio.Registers{barBase: &c.bar}
	return c
}

// Size returns 256.
func (c *Card) Size() int { return len(c.Space) }

// Read32 reads a word of configuration space.
func (c *Card) Read32(a pci.Address, off int) uint32 {
	if a != (pci.Address{}) || off+4 > len(c.Space) {
		return ^uint32(0)
	}
	return binary.LittleEndian.Uint32(c.Space[off:])
}

// Write32 writes a word of configuration space; of BAR 0 the bits that are
// address.
func (c *Card) Write32(a pci.Address, off int, v uint32) {
	if a != (pci.Address{}) || off+4 > len(c.Space) {
		return
	}
	switch {
	case off == 0x10:
		v &^= barSize - 1
	case off > 0x10 && off < 0x28:
		return
	case off == 4:
		v = v&0xffff | 1<<20
	}
	binary.LittleEndian.PutUint32(c.Space[off:], v)
}

// bar is the registers behind BAR 0.
type bar struct {
	d        *Device
	features [2]uint32 // selects
	accepted uint64
	queue    uint16
	regs     [8][64]byte // of each queue, as written
	config   uint16
	table    [256]byte // MSI-X
}

func (b *bar) Len() int { return barSize }

func (b *bar) Read8(off int) uint8 {
	switch {
	case off == 20:
		return b.d.Status()
	case off == 21:
		return uint8(b.d.Generation())
	case off >= barConfig && off < barMSIX:
		return space{b.d}.Read8(off - barConfig)
	}
	panic(fmt.Sprintf("model: read of byte %#x", off))
}

func (b *bar) Read16(off int) uint16 {
	switch off {
	case 16:
		return b.config
	case 18:
		return uint16(len(b.regs))
	case 24:
		return uint16(b.d.QueueMax(int(b.queue)))
	case 26, 28:
		return binary.LittleEndian.Uint16(b.regs[b.queue][off:])
	case 30:
		return b.queue
	}
	if off >= barConfig && off < barMSIX {
		return space{b.d}.Read16(off - barConfig)
	}
	panic(fmt.Sprintf("model: read of word %#x", off))
}

func (b *bar) Read32(off int) uint32 {
	switch {
	case off == 4:
		return uint32(b.d.Offered >> (32 * b.features[0]))
	case off >= barMSIX:
		return binary.LittleEndian.Uint32(b.table[off-barMSIX:])
	case off >= barConfig:
		return space{b.d}.Read32(off - barConfig)
	}
	panic(fmt.Sprintf("model: read of double word %#x", off))
}

func (b *bar) Write8(off int, v uint8) {
	if off != 20 {
		panic(fmt.Sprintf("model: write of byte %#x", off))
	}
	b.d.SetStatus(v)
}

func (b *bar) Write16(off int, v uint16) {
	switch {
	case off == 16:
		b.config = v
		b.d.SetConfigVector(int(v))
	case off == 22:
		b.queue = v
	case off >= barNotify && off < barConfig:
		if q := b.d.Queue((off - barNotify) / 4); q != nil && int(v) == q.index {
			q.Notify()
		}
	case off == 28 && v == 1:
		binary.LittleEndian.PutUint16(b.regs[b.queue][off:], v)
		b.enable()
	case off == 24 || off == 26:
		binary.LittleEndian.PutUint16(b.regs[b.queue][off:], v)
	default:
		panic(fmt.Sprintf("model: write of word %#x", off))
	}
}

func (b *bar) Write32(off int, v uint32) {
	switch {
	case off == 0:
		b.features[0] = v
	case off == 8:
		b.features[1] = v
	case off == 12:
		b.accepted |= uint64(v) << (32 * b.features[1])
		if b.features[1] == 1 {
			b.d.SetFeatures(b.accepted)
		}
	case off >= 32 && off < 56:
		binary.LittleEndian.PutUint32(b.regs[b.queue][off:], v)
	case off >= barMSIX:
		binary.LittleEndian.PutUint32(b.table[off-barMSIX:], v)
		b.d.vectors[(off-barMSIX)/16] = int(binary.LittleEndian.Uint32(b.table[(off-barMSIX)&^15+8:]))
	default:
		panic(fmt.Sprintf("model: write of double word %#x", off))
	}
}

func (b *bar) enable() {
	r := b.regs[b.queue][:]
	b.d.EnableQueue(int(b.queue), virtio.QueueAddress{
		Size:  binary.LittleEndian.Uint16(r[24:]),
		Desc:  binary.LittleEndian.Uint64(r[32:]),
		Avail: binary.LittleEndian.Uint64(r[40:]),
		Used:  binary.LittleEndian.Uint64(r[48:]),
	}, int(binary.LittleEndian.Uint16(r[26:])))
}
