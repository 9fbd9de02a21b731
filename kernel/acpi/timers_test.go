package acpi

import (
	"encoding/binary"
	"slices"
	"testing"
)

func TestRealTimers(t *testing.T) {
	for _, test := range []struct {
		file string
		want Timers
	}{
		{"q35.hex", Timers{PMPort: 0x608, PMMask: 1<<24 - 1, HPET: 0xFED00000}},
		{"microvm.hex", Timers{}}, // hardware-reduced
	} {
		memory, rsdp := load(t, test.file)
		var got Timers
		if e := ReadTimers(memory.read, rsdp, &got); e != OK || got != test.want {
			t.Errorf("%s: %+v, %s", test.file, got, e)
		}
	}
}

// fadt is a table of n bytes that names a PM timer.
func fadt(n int, flags, port uint32, width byte, wide uint64) []byte {
	b := make([]byte, n)
	copy(b, "FACP")
	binary.LittleEndian.PutUint32(b[4:], uint32(n))
	binary.LittleEndian.PutUint32(b[76:], port)
	b[91] = width
	binary.LittleEndian.PutUint32(b[112:], flags)
	if n >= 220 {
		b[208] = spacePorts
		binary.LittleEndian.PutUint64(b[212:], wide)
	}
	return seal(b, 9)
}

func hpet(space byte, address uint64) []byte {
	body := make([]byte, 20)
	body[4] = space
	binary.LittleEndian.PutUint64(body[8:], address)
	return systemTable("HPET", body)
}

func TestReadTimers(t *testing.T) {
	const rsdp, root, at, other = 0xF0000, 0x10000, 0x20000, 0x30000
	pointer := rootPointer(2, 0, root)
	both := systemTable("XSDT", pointers(true, at, other))
	damaged := fadt(244, 0, 0x608, 4, 0)
	damaged[80]++
	pm := func(mask uint32) Timers { return Timers{PMPort: 0x608, PMMask: mask} }
	for _, test := range []struct {
		name string
		fadt []byte
		hpet []byte
		want Timers
	}{
		{"24 bits", fadt(116, 0, 0x608, 4, 0), nil, pm(0xFFFFFF)},
		{"32 bits", fadt(116, 1<<8, 0x608, 4, 0), nil, pm(0xFFFFFFFF)},
		{"wide address", fadt(244, 1<<8, 0, 4, 0x608), nil, pm(0xFFFFFFFF)},
		{"no wide address", fadt(244, 0, 0x608, 4, 0), nil, pm(0xFFFFFF)},
		{"none", fadt(244, 0, 0x608, 0, 0x608), nil, Timers{}},
		{"no such hardware", fadt(244, 1<<20, 0x608, 4, 0x608), nil, Timers{}},
		{"no port", fadt(244, 0, 0x10000, 4, 0), nil, Timers{}},
		{"too short", systemTable("FACP", make([]byte, 60)), nil, Timers{}},
		{"damaged", damaged, hpet(spaceMemory, 0xFED00000), Timers{HPET: 0xFED00000}},
		{"HPET", nil, hpet(spaceMemory, 0xFED00000), Timers{HPET: 0xFED00000}},
		{"HPET behind ports", nil, hpet(spacePorts, 0x500), Timers{}},
		{"HPET too short", nil, systemTable("HPET", make([]byte, 15)), Timers{}},
		{"both", fadt(116, 0, 0x608, 4, 0), hpet(spaceMemory, 0xFED00000), Timers{PMPort: 0x608, PMMask: 0xFFFFFF, HPET: 0xFED00000}},
	} {
		got := Timers{HPET: 1}
		m := memory{rsdp: pointer, root: both}
		if test.fadt != nil {
			m[at] = test.fadt
		}
		if test.hpet != nil {
			m[other] = test.hpet
		}
		if e := ReadTimers(m.read, rsdp, &got); e != OK || got != test.want {
			t.Errorf("%s: %+v, %s; want %+v", test.name, got, e, test.want)
		}
	}
	var got Timers
	if e := ReadTimers(memory{}.read, rsdp, &got); e != NoRSDP {
		t.Errorf("without a pointer: %s", e)
	}
}

// FuzzReadTimers has FADT and HPET contain anything.
func FuzzReadTimers(f *testing.F) {
	f.Add(fadt(244, 1<<8, 0x608, 4, 0x608), hpet(spaceMemory, 0xFED00000))
	f.Add(fadt(116, 0, 0x608, 4, 0), []byte("HPET"))
	f.Fuzz(func(t *testing.T, facp, timer []byte) {
		const rsdp, root, at, other = 0xF0000, 0x10000, 0x20000, 0x30000
		m := memory{rsdp: rootPointer(2, 0, root), root: systemTable("XSDT", pointers(true, at, other))}
		for address, b := range map[uint64][]byte{at: facp, other: timer} {
			b = slices.Clone(b)
			if len(b) >= 36 { // else the checksum would hide all that follows
				binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
				seal(b, 9)
			}
			m[address] = b
		}
		var got Timers
		ReadTimers(hostile(t, m), rsdp, &got)
		if got.PMPort != 0 && got.PMMask != 1<<24-1 && got.PMMask != 1<<32-1 || got.PMPort > 0xFFFC {
			t.Fatalf("%+v", got)
		}
	})
}
