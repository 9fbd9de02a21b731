package pci

import (
	"testing"

	"github.com/tuplix/tuplix/drivers/mmio"
)

// ports is the two configuration ports in front of a bus.
type ports struct {
	bus     *bus
	address uint32
}

func (p *ports) at() (Address, int) {
	return Address{uint8(p.address >> 16), uint8(p.address >> 11 & 31), uint8(p.address >> 8 & 7)}, int(p.address & 0xfc)
}

func (p *ports) In32(port uint16) uint32 {
	if port == 0xcf8 {
		return p.address
	}
	a, off := p.at()
	return p.bus.Read32(a, off)
}

func (p *ports) Out32(port uint16, v uint32) {
	if port == 0xcf8 {
		p.address = v
		return
	}
	a, off := p.at()
	p.bus.Write32(a, off, v)
}

type noPorts struct{}

func (noPorts) In32(uint16) uint32   { return absent }
func (noPorts) Out32(uint16, uint32) {}

func TestPorts(t *testing.T) {
	p := &ports{bus: newBus()}
	if !PortsPresent(p) || PortsPresent(noPorts{}) {
		t.Error("presence of the ports")
	}
	testConfig(t, NewPorts(p), p.bus, 256)
}

// window shows a bus as ECAM does.
type window struct {
	mmio.Registers
	bus    *bus
	number uint8
}

func (w window) at(off int) (Address, int) {
	return Address{w.number, uint8(off >> 15), uint8(off >> 12 & 7)}, off & 0xfff
}

func (w window) Read32(off int) uint32 {
	a, at := w.at(off)
	return w.bus.Read32(a, at)
}

func (w window) Write32(off int, v uint32) {
	a, at := w.at(off)
	w.bus.Write32(a, at, v)
}

type mapper struct {
	bus    *bus
	base   uint64
	mapped int
}

func (m *mapper) MapDevice(phys uint64, n int) (mmio.Registers, error) {
	m.mapped++
	return window{bus: m.bus, number: uint8((phys - m.base) / ecamBus)}, nil
}

func TestECAM(t *testing.T) {
	m := &mapper{bus: newBus(), base: 0xb0000000}
	e, err := NewECAM(m, m.base, 0, 8)
	if err != nil {
		t.Fatal(err)
	}
	testConfig(t, e, m.bus, 4096)
	if m.mapped != 1 {
		t.Errorf("%d buses mapped for one used", m.mapped)
	}
	if e.Read32(Address{9, 0, 0}, 0) != absent {
		t.Error("a bus behind the last answers")
	}
	for _, bad := range []struct {
		base        uint64
		first, last uint8
	}{{0xb0000000, 1, 0}, {0xb0001000, 0, 1}, {^uint64(0) &^ (ecamBus - 1), 0, 255}} {
		if _, err := NewECAM(m, bad.base, bad.first, bad.last); err == nil {
			t.Errorf("%+v accepted", bad)
		}
	}
}

func testConfig(t *testing.T, c Config, b *bus, size int) {
	t.Helper()
	a := Address{3, 17, 5}
	b.add(a, 0x1af4, 0x1042, 0)
	if c.Size() != size || c.Read32(a, 0) != 0x10421af4 {
		t.Errorf("size %d, id %#x", c.Size(), c.Read32(a, 0))
	}
	c.Write32(a, 0x40, 0x12345678)
	if b.functions[a].b[0x41] != 0x56 || c.Read32(a, 0x40) != 0x12345678 {
		t.Error("what is written is not there")
	}
	c.Write32(a, size, 1)
	c.Write32(a, -4, 1)
	for _, off := range []int{size, -4, 1 << 30} {
		if c.Read32(a, off) != absent {
			t.Errorf("offset %#x answers", off)
		}
	}
	if c.Read32(Address{3, 17, 4}, 0) != absent {
		t.Error("an absent function answers")
	}
}
