package pci

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/tuplix/tuplix/drivers/mmio"
)

// bus is configuration space in memory, with BARs that show their size.
type bus struct {
	functions map[Address]*space
	size      int
}

type space struct {
	b    [4096]byte
	bars [6]uint32 // which bits can be written; 0: not there
}

func newBus() *bus { return &bus{functions: map[Address]*space{}, size: 4096} }

func (b *bus) Size() int { return b.size }

func (b *bus) Read32(a Address, off int) uint32 {
	f := b.functions[a]
	if f == nil || off < 0 || off >= b.size {
		return absent
	}
	return binary.LittleEndian.Uint32(f.b[off:])
}

func (b *bus) Write32(a Address, off int, v uint32) {
	f := b.functions[a]
	if f == nil || off < 0 || off >= b.size {
		return
	}
	old := binary.LittleEndian.Uint32(f.b[off:])
	if i := (off - regBAR) / 4; off >= regBAR && i < len(f.bars) {
		v = v&f.bars[i] | old&^f.bars[i]
	}
	if off == regCommand {
		v = v&0xffff | old&0xffff0000
	}
	binary.LittleEndian.PutUint32(f.b[off:], v)
}

func (b *bus) add(a Address, vendor, device uint16, header uint8) *space {
	s := &space{}
	binary.LittleEndian.PutUint16(s.b[regID:], vendor)
	binary.LittleEndian.PutUint16(s.b[regID+2:], device)
	s.b[regHeader+2] = header
	b.functions[a] = s
	return s
}

func (s *space) bar(i int, value, writable uint32) {
	binary.LittleEndian.PutUint32(s.b[regBAR+4*i:], value)
	s.bars[i] = writable
}

func (s *space) capability(at, id, next int, body ...byte) {
	s.b[at], s.b[at+1] = byte(id), byte(next)
	copy(s.b[at+2:], body)
}

func (s *space) capabilities(first byte) {
	s.b[regCommand+2] = statusCapabilities >> 16
	s.b[regCapability] = first
}

// memory is what MapDevice finds: anything.
type memory struct {
	phys uint64
	r    *words
}

func (m *memory) MapDevice(phys uint64, n int) (mmio.Registers, error) {
	m.phys, m.r = phys, &words{b: make([]byte, n)}
	return m.r, nil
}

// words are registers in memory, of which only the 32-bit accesses are used.
type words struct {
	mmio.Registers
	b []byte
}

func (w *words) Len() int                  { return len(w.b) }
func (w *words) Read32(off int) uint32     { return binary.LittleEndian.Uint32(w.b[off:]) }
func (w *words) Write32(off int, v uint32) { binary.LittleEndian.PutUint32(w.b[off:], v) }

func TestScan(t *testing.T) {
	b := newBus()
	b.add(Address{0, 0, 0}, 1, 1, 0)
	b.add(Address{0, 3, 0}, 1, 2, headerMulti)
	b.add(Address{0, 3, 5}, 1, 3, 0)
	b.add(Address{0, 4, 0}, 1, 4, 0)
	b.add(Address{0, 4, 1}, 1, 99, 0) // hidden: function 0 has no others
	bridge := b.add(Address{0, 5, 0}, 1, 5, headerBridge)
	bridge.b[regSecondary+1] = 7
	b.add(Address{7, 0, 0}, 1, 6, 0)
	loop := b.add(Address{7, 1, 0}, 1, 7, headerBridge)
	loop.b[regSecondary+1] = 0
	again := b.add(Address{0, 6, 0}, 1, 8, headerBridge)
	again.b[regSecondary+1] = 7
	unassigned := b.add(Address{0, 7, 0}, 1, 9, headerBridge)
	unassigned.b[regSecondary+1] = 0
	var got []uint16
	for _, f := range Scan(b, nil, 0) {
		got = append(got, f.Device)
	}
	if want := []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestBAR(t *testing.T) {
	b := newBus()
	s := b.add(Address{0, 1, 0}, 1, 1, 0)
	s.bar(0, 0xfe000000, 0xffffc000)
	s.bar(1, 0xc001, 0x0000ffe0)
	s.bar(2, 0x0000000c, 0xffff0000)
	s.bar(3, 0x00000080, 0xffffffff)
	s.bar(4, 0, 0xfffff000)
	binary.LittleEndian.PutUint16(s.b[regCommand:], commandMemory)
	m := &memory{}
	f := Scan(b, m, 0)[0]
	for i, want := range []BAR{
		{0xfe000000, 0x4000, false, false},
		{0xc000, 0x20, true, false},
		{0x8000000000, 0x10000, false, true},
	} {
		if got, err := f.BAR(i); err != nil || got != want {
			t.Errorf("BAR %d: %+v, %v", i, got, err)
		}
	}
	for i, want := range map[int]error{4: ErrUnassigned, 5: ErrNoBAR, 6: ErrNoBAR, -1: ErrNoBAR} {
		if got, err := f.BAR(i); !errors.Is(err, want) {
			t.Errorf("BAR %d: %+v, %v", i, got, err)
		}
	}
	if f.Read32(regBAR) != 0xfe000000 || f.Read32(regBAR+12) != 0x80 || f.Read32(regCommand) != commandMemory {
		t.Error("finding the size changed the registers")
	}
	if _, err := f.Map(2, 0x100, 0x20); err != nil || m.phys != 0x8000000100 {
		t.Errorf("mapped %#x, %v", m.phys, err)
	}
	for _, bad := range []struct {
		bar int
		off uint64
		n   int
	}{{0, 0x4000, 1}, {0, 0, 0x4001}, {0, ^uint64(0), 2}, {0, 0, 0}, {1, 0, 4}, {5, 0, 4}, {0, 0, -1}} {
		if _, err := f.Map(bad.bar, bad.off, bad.n); err == nil {
			t.Errorf("mapped %+v", bad)
		}
	}
}

func TestWideLastBAR(t *testing.T) {
	b := newBus()
	b.add(Address{0, 1, 0}, 1, 1, 0).bar(5, 0x10000004, 0xffff0000)
	if got, err := Scan(b, nil, 0)[0].BAR(5); err == nil {
		t.Errorf("%+v", got)
	}
}

func TestEnable(t *testing.T) {
	b := newBus()
	b.add(Address{0, 1, 0}, 1, 1, 0)
	f := Scan(b, nil, 0)[0]
	f.Enable()
	if got := f.Read32(regCommand); got != commandIO|commandMemory|commandMaster|commandNoINTx {
		t.Errorf("command %#x", got)
	}
}

func TestCapabilities(t *testing.T) {
	for name, c := range map[string]struct {
		links map[int]int
		first byte
		want  []int
		bad   bool
	}{
		"none":        {nil, 0, nil, false},
		"two":         {map[int]int{0x40: 0x50, 0x50: 0}, 0x40, []int{0x40, 0x50}, false},
		"low bits":    {map[int]int{0x40: 0x53, 0x50: 3}, 0x41, []int{0x40, 0x50}, false},
		"loop":        {map[int]int{0x40: 0x50, 0x50: 0x40}, 0x40, nil, true},
		"self":        {map[int]int{0x40: 0x40}, 0x40, nil, true},
		"into header": {map[int]int{0x40: 0x10}, 0x40, nil, true},
	} {
		b := newBus()
		s := b.add(Address{0, 1, 0}, 1, 1, 0)
		s.capabilities(c.first)
		for at, next := range c.links {
			s.capability(at, CapVendor, next)
		}
		list, err := Scan(b, nil, 0)[0].Capabilities()
		var got []int
		for _, x := range list {
			got = append(got, x.Offset)
		}
		if (err != nil) != c.bad || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func msixDevice(b *bus) *space {
	s := b.add(Address{0, 1, 0}, 1, 1, 0)
	s.bar(1, 0xfe000000, 0xfffff000)
	s.capabilities(0x40)
	s.capability(0x40, CapMSIX, 0, 3, 0, 1, 8, 0, 0) // 4 vectors, BAR 1, 0x800
	return s
}

func TestMSIX(t *testing.T) {
	b := newBus()
	msixDevice(b)
	m := &memory{}
	f := Scan(b, m, 0)[0]
	x, err := f.MSIX()
	if err != nil || x.Vectors() != 4 || m.phys != 0xfe000800 {
		t.Fatalf("%+v, %v, table at %#x", x, err, m.phys)
	}
	if err := x.Enable(); err != nil {
		t.Fatal(err)
	}
	if err := x.Set(2, 0xfee01000, 0x41); err != nil {
		t.Fatal(err)
	}
	var table [16]uint32
	for i := range table {
		table[i] = m.r.Read32(4 * i)
	}
	if want := [16]uint32{3: 1, 7: 1, 8: 0xfee01000, 10: 0x41, 15: 1}; table != want {
		t.Errorf("table %x", table)
	}
	if f.Read32(0x40)>>30 != 2 {
		t.Errorf("control %#x", f.Read32(0x40))
	}
	for _, v := range []int{-1, 4} {
		if x.Set(v, 0, 0) == nil {
			t.Errorf("vector %d accepted", v)
		}
	}
}

func TestNoMSIX(t *testing.T) {
	b := newBus()
	b.add(Address{0, 1, 0}, 1, 1, 0)
	if _, err := Scan(b, nil, 0)[0].MSIX(); !errors.Is(err, ErrNoMSIX) {
		t.Error(err)
	}
	b = newBus()
	s := msixDevice(b)
	s.b[0x42] = 0xff // 256 vectors do not fit behind 0x800
	if x, err := Scan(b, &memory{}, 0)[0].MSIX(); err == nil {
		t.Errorf("table outside its BAR: %+v", x)
	}
}

// FuzzFunction walks over a function whose configuration space is any bytes.
func FuzzFunction(f *testing.F) {
	b := newBus()
	f.Add(msixDevice(b).b[:256], uint32(0xfffff000))
	f.Add(slices.Repeat([]byte{0xff, 0x41}, 128), uint32(0xffffffff))
	f.Fuzz(func(t *testing.T, image []byte, writable uint32) {
		b := newBus()
		b.size = 256
		s := b.add(Address{0, 0, 0}, 1, 1, 0)
		copy(s.b[:256], image)
		for i := range s.bars {
			s.bars[i] = writable
		}
		m := &memory{}
		for _, fn := range Scan(b, m, 0) {
			exercise(t, fn)
		}
	})
}

func exercise(t *testing.T, fn *Function) {
	for i := range 6 {
		if bar, err := fn.BAR(i); err == nil && (bar.Size == 0 || bar.Address%bar.Size != 0) {
			t.Errorf("BAR %d: %+v", i, bar)
		}
	}
	list, err := fn.Capabilities()
	if err == nil && len(list) > 48 {
		t.Errorf("%d capabilities", len(list))
	}
	if x, err := fn.MSIX(); err == nil {
		x.Enable()
		if err := x.Set(x.Vectors()-1, 1, 2); err != nil {
			t.Error(err)
		}
	}
}
