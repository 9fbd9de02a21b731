package model

import (
	"fmt"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/virtio"
)

// mmioState is what the MMIO registers hold between writes.
type mmioState struct {
	selected, accept, queue uint32
	accepted                uint64
	regs                    [8]map[int]uint32
}

// registers is the device behind the registers of the MMIO transport.
type registers struct {
	mmio.Registers
	d       *Device
	Version uint32
}

// MMIO returns the device's registers, with its interrupt on line gsi.
func (d *Device) MMIO(gsi uint32, version uint32) mmio.Registers {
	d.line = func() {
		if n := d.Machine.Routed(gsi); n >= 0 {
			d.Machine.Raise(n)
		}
	}
	return registers{d: d, Version: version}
}

func (r registers) Len() int { return 0x100 + (len(r.d.Space)+3)&^3 }

func (r registers) Read8(off int) uint8   { return space{r.d}.Read8(off - 0x100) }
func (r registers) Read16(off int) uint16 { return space{r.d}.Read16(off - 0x100) }

func (r registers) Read32(off int) uint32 {
	d, m := r.d, &r.d.mmio
	switch off {
	case 0x00:
		return 0x74726976
	case 0x04:
		return r.Version
	case 0x08:
		return d.Type
	case 0x10:
		return uint32(d.Offered >> (32 * m.selected))
	case 0x34:
		return uint32(d.QueueMax(int(m.queue)))
	case 0x44:
		return m.regs[m.queue][0x44]
	case 0x60:
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.reason
	case 0x70:
		return uint32(d.Status())
	case 0xfc:
		return d.Generation()
	}
	if off >= 0x100 {
		return space{d}.Read32(off - 0x100)
	}
	panic(fmt.Sprintf("model: read of register %#x", off))
}

func (r registers) Write32(off int, v uint32) {
	d, m := r.d, &r.d.mmio
	switch off {
	case 0x14:
		m.selected = v
	case 0x24:
		m.accept = v
	case 0x20:
		m.accepted |= uint64(v) << (32 * m.accept)
		if m.accept == 1 {
			d.SetFeatures(m.accepted)
		}
	case 0x30:
		m.queue = v
	case 0x50:
		if q := d.Queue(int(v)); q != nil {
			q.Notify()
		}
	case 0x64:
		d.mu.Lock()
		d.reason &^= v
		d.mu.Unlock()
	case 0x70:
		if d.SetStatus(uint8(v)); v == 0 {
			*m = mmioState{}
		}
	default:
		r.writeQueue(off, v)
	}
}

func (r registers) writeQueue(off int, v uint32) {
	m := &r.d.mmio
	if m.regs[m.queue] == nil {
		m.regs[m.queue] = map[int]uint32{}
	}
	q := m.regs[m.queue]
	q[off] = v
	if off == 0x44 && v == 1 {
		wide := func(at int) uint64 { return uint64(q[at+4])<<32 | uint64(q[at]) }
		r.d.EnableQueue(int(m.queue), virtio.QueueAddress{
			Size: uint16(q[0x38]), Desc: wide(0x80), Avail: wide(0x90), Used: wide(0xa0),
		}, 0)
	}
}
