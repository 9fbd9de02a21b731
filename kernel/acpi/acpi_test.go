package acpi

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// memory is physical memory with holes: pieces by address.
type memory map[uint64][]byte

// read is a Reader. What it returns ends where it was asked to, so that
// reading on panics.
func (m memory) read(phys uint64, n int) []byte {
	for start, b := range m {
		if off := phys - start; phys >= start && n >= 0 && off <= uint64(len(b)) && uint64(n) <= uint64(len(b))-off {
			return slices.Clone(b[off : off+uint64(n)])
		}
	}
	return nil
}

// load reads a file of lines "ADDRESS BYTES", both hexadecimal, which were
// taken from machines under QEMU 7.2. The first line is the root pointer.
func load(t testing.TB, name string) (m memory, first uint64) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	m = memory{}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var at uint64
		var digits string
		if _, err := fmt.Sscanf(s.Text(), "%x %s", &at, &digits); err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if len(m) == 0 {
			first = at
		}
		m[at] = b
	}
	return m, first
}

// summary is a Machine in words.
func summary(m *Machine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cpus %d", m.Processor[:m.Processors])
	for _, io := range m.IOAPIC[:m.IOAPICs] {
		fmt.Fprintf(&b, "; ioapic %#x from %d", io.Address, io.Base)
	}
	for _, o := range m.Override[:m.Overrides] {
		fmt.Fprintf(&b, "; irq %d = %d", o.IRQ, o.GSI)
		if o.Level {
			b.WriteString(" level")
		}
		if o.Low {
			b.WriteString(" low")
		}
	}
	return b.String()
}

func TestRealTables(t *testing.T) {
	for _, test := range []struct{ file, want string }{
		{"q35.hex", "cpus [0 1]; ioapic 0xfec00000 from 0; irq 0 = 2; irq 5 = 5 level; irq 9 = 9 level; irq 10 = 10 level; irq 11 = 11 level"},
		{"microvm.hex", "cpus [0 1]; ioapic 0xfec00000 from 0; ioapic 0xfec10000 from 24"},
	} {
		memory, rsdp := load(t, test.file)
		var m Machine
		if e := ReadMachine(memory.read, rsdp, &m); e != OK {
			t.Errorf("%s: %s", test.file, e)
		}
		if got := summary(&m); got != test.want {
			t.Errorf("%s: got %s, want %s", test.file, got, test.want)
		}
	}
}

func TestRealMP(t *testing.T) {
	for _, test := range []struct{ file, want string }{
		{"q35.hex", "cpus [0]; ioapic 0xfec00000 from 0"}, // SeaBIOS lists one per socket
		{"microvm-mp.hex", "cpus [0 1 2 3]; ioapic 0xfec00000 from 0"},
	} {
		memory, _ := load(t, test.file)
		var m Machine
		if e := ReadMP(memory.read, &m); e != OK {
			t.Errorf("%s: %s", test.file, e)
		}
		if got := summary(&m); got != test.want {
			t.Errorf("%s: got %s, want %s", test.file, got, test.want)
		}
	}
}

// seal makes the bytes add up to zero by the one at offset at.
func seal(b []byte, at int) []byte {
	b[at] -= sum(b)
	return b
}

func rootPointer(revision byte, rsdt uint32, xsdt uint64) []byte {
	b := append([]byte("RSD PTR \x00TUPLIX"), revision)
	b = binary.LittleEndian.AppendUint32(b, rsdt)
	seal(b, 8)
	if revision < 2 {
		return b
	}
	b = binary.LittleEndian.AppendUint32(b, 36)
	b = binary.LittleEndian.AppendUint64(b, xsdt)
	return seal(append(b, 0, 0, 0, 0), 32)
}

func systemTable(signature string, body []byte) []byte {
	b := make([]byte, 36, 36+len(body))
	copy(b, signature)
	binary.LittleEndian.PutUint32(b[4:], uint32(36+len(body)))
	return seal(append(b, body...), 9)
}

func pointers(wide bool, list ...uint64) (b []byte) {
	for _, p := range list {
		if wide {
			b = binary.LittleEndian.AppendUint64(b, p)
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(p))
		}
	}
	return b
}

func TestReadMachine(t *testing.T) {
	madt := systemTable("APIC", []byte("\x00\x00\xe0\xfe\x01\x00\x00\x00"+ // header
		"\x00\x08\x00\x07\x01\x00\x00\x00"+ // APIC 7, enabled
		"\x00\x08\x01\x08\x00\x00\x00\x00"+ // APIC 8, not enabled
		"\x00\x08\x02\x07\x01\x00\x00\x00"+ // APIC 7 again
		"\x7f\x03\xff"+ // a kind unknown
		"\x09\x10\x00\x00\x00\x01\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00"+ // x2APIC 256
		"\x01\x0c\x00\x00\x00\x00\xc0\xfe\x18\x00\x00\x00"+ // I/O APIC from 24
		"\x02\x0a\x00\x04\x11\x00\x00\x00\x0f\x00")) // 4 is 17, low, level
	const want = "cpus [7 256]; ioapic 0xfec00000 from 24; irq 4 = 17 level low"
	damaged := slices.Clone(madt)
	damaged[50]++
	const rsdp, root, other, table = 0xF0000, 0x10000, 0x20000, 0x1_0000_0000
	pointer := rootPointer(2, 0, root)
	xsdt := systemTable("XSDT", pointers(true, 0xDEAD0000, other, table))
	facp := systemTable("FACP", nil)
	for _, test := range []struct {
		name   string
		memory memory
		err    Error
	}{
		{"wide", memory{rsdp: pointer, root: xsdt, other: facp, table: madt}, OK},
		{"narrow", memory{rsdp: rootPointer(0, root, 0), root: systemTable("RSDT", pointers(false, 0x30000)), 0x30000: madt}, OK},
		{"wide without XSDT", memory{rsdp: rootPointer(2, root, 0), root: systemTable("RSDT", pointers(false, 0x30000)), 0x30000: madt}, OK},
		{"no pointer", memory{root: xsdt}, NoRSDP},
		{"pointer cut off", memory{rsdp: pointer[:20]}, BadRSDP},
		{"pointer damaged", memory{rsdp: append([]byte("RSD PTR!"), pointer[8:]...)}, BadRSDP},
		{"no root", memory{rsdp: pointer}, BadRoot},
		{"root cut off", memory{rsdp: pointer, root: xsdt[:40]}, BadRoot},
		{"root too short", memory{rsdp: pointer, root: append([]byte("XSDT\x23\x00\x00\x00"), make([]byte, 60)...)}, BadRoot},
		{"root far too long", memory{rsdp: pointer, root: append([]byte("XSDT\xff\xff\xff\xff"), make([]byte, 60)...)}, BadRoot},
		{"no MADT", memory{rsdp: pointer, root: xsdt, other: facp}, NoMADT},
		{"MADT cut off", memory{rsdp: pointer, root: xsdt, table: madt[:80]}, BadMADT},
		{"MADT damaged", memory{rsdp: pointer, root: xsdt, table: damaged}, BadMADT},
		{"MADT without its header", memory{rsdp: pointer, root: xsdt, table: systemTable("APIC", make([]byte, 7))}, BadMADT},
		{"entry of no length", memory{rsdp: pointer, root: xsdt, table: systemTable("APIC", make([]byte, 10))}, BadMADT},
		{"entry too long", memory{rsdp: pointer, root: xsdt, table: systemTable("APIC", append(make([]byte, 8), 0, 9, 0))}, BadMADT},
	} {
		var m Machine
		if e := ReadMachine(test.memory.read, rsdp, &m); e != test.err {
			t.Errorf("%s: %q, want %q", test.name, e, test.err)
		}
		if got := summary(&m); test.err == OK && got != want {
			t.Errorf("%s: got %s, want %s", test.name, got, want)
		}
	}
}

// floating is an MP floating pointer to a table.
func floating(table uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("_MP_"), table)
	return seal(append(b, 1, 4, 0, 0, 0, 0, 0, 0), 10)
}

// pcmp is an MP table with the given entries; count is what it says of them.
func pcmp(count uint16, entries string) []byte {
	b := make([]byte, 44, 44+len(entries))
	copy(b, "PCMP")
	binary.LittleEndian.PutUint16(b[4:], uint16(44+len(entries)))
	binary.LittleEndian.PutUint16(b[34:], count)
	return seal(append(b, entries...), 7)
}

func TestReadMP(t *testing.T) {
	cpu := func(id, flags byte) string { return string([]byte{0, id, 0x14, flags}) + strings.Repeat("\x00", 16) }
	const bus, io = "\x01\x00ISA   ", "\x02\x00\x11\x01\x00\x00\xc0\xfe"
	entries := cpu(3, 3) + cpu(4, 0) + cpu(5, 1) + bus + io + "\x02\x01\x11\x00\x00\x00\xc1\xfe"
	const want = "cpus [3 5]; ioapic 0xfec00000 from 0"
	const table = 0x9000
	for _, test := range []struct {
		name   string
		memory memory
		err    Error
	}{
		{"counted", memory{0xE0010: floating(table), table: pcmp(6, entries)}, OK},
		{"count of 0, as qboot writes it", memory{0x9FC00: floating(table), table: pcmp(0, entries)}, OK},
		{"in the last bytes", memory{0xFFFF0: floating(table), table: pcmp(6, entries)}, OK},
		{"a look-alike first", memory{0x9FC10: []byte("_MP_XXXXXXXXXXXX"), 0xF0000: floating(table), table: pcmp(6, entries)}, OK},
		{"elsewhere", memory{0xC0000: floating(table), table: pcmp(6, entries)}, NoMP},
		{"not aligned", memory{0xF0008: floating(table), table: pcmp(6, entries)}, NoMP},
		{"no table", memory{0xF0000: floating(table)}, BadMP},
		{"another table", memory{0xF0000: floating(table), table: append([]byte("XXXX"), pcmp(0, entries)[4:]...)}, BadMP},
		{"table cut off", memory{0xF0000: floating(table), table: pcmp(0, entries)[:60]}, BadMP},
		{"processor cut off", memory{0xF0000: floating(table), table: pcmp(0, cpu(1, 1)[:12])}, BadMP},
		{"entry cut off", memory{0xF0000: floating(table), table: pcmp(0, io[:7])}, BadMP},
		{"length of 0", memory{0xF0000: floating(table), table: append([]byte("PCMP"), make([]byte, 60)...)}, BadMP},
	} {
		var m Machine
		if e := ReadMP(test.memory.read, &m); e != test.err {
			t.Errorf("%s: %q, want %q", test.name, e, test.err)
		}
		if got := summary(&m); test.err == OK && got != want {
			t.Errorf("%s: got %s, want %s", test.name, got, want)
		}
	}
}

// More than fits is left out.
func TestLimits(t *testing.T) {
	var body []byte
	body = append(body, make([]byte, 8)...)
	for i := range 200 {
		body = append(body, 9, 16, 0, 0, byte(i), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
		body = append(body, 1, 12, 0, 0, 0, 0, 0, 0, byte(i), 0, 0, 0)
		body = append(body, 2, 10, 0, byte(i), 0, 0, 0, 0, 0, 0)
	}
	var m Machine
	if e := readMADT(systemTable("APIC", body), &m); e != OK {
		t.Error(e)
	}
	if m.Processors != maxProcessors || m.IOAPICs != maxIOAPICs || m.Overrides != maxOverrides {
		t.Error(summary(&m))
	}
}

func TestErrorStrings(t *testing.T) {
	seen := map[string]bool{}
	for e := OK; e <= NoMP; e++ {
		if seen[e.String()] {
			t.Errorf("%q twice", e)
		}
		seen[e.String()] = true
	}
}

// hostile is a memory whose reads are counted: a parser that goes round in
// circles is stopped.
func hostile(t *testing.T, m memory) Reader {
	reads := 0
	return func(phys uint64, n int) []byte {
		if reads++; reads > 10_000 {
			t.Fatal("the parser does not end")
		}
		if n > 1<<20 {
			t.Fatalf("%d bytes are asked for", n)
		}
		return m.read(phys, n)
	}
}

func check(t *testing.T, m *Machine) {
	if m.Processors > maxProcessors || m.IOAPICs > maxIOAPICs || m.Overrides > maxOverrides {
		t.Error("a count is beyond its array")
	}
}

func FuzzReadMachine(f *testing.F) {
	for _, name := range []string{"q35.hex", "microvm.hex"} {
		memory, rsdp := load(f, name)
		var madt []byte
		for _, b := range memory {
			if is(b, "APIC") {
				madt = b
			}
		}
		f.Add(memory[rsdp], []byte{0, 0, 2, 0}, madt, true)
		f.Add(memory[rsdp], []byte{0, 0, 2, 0, 0, 0, 0, 0}, madt, false)
	}
	f.Add(rootPointer(2, 0, 0x10000), []byte{0, 0, 2, 0, 0, 0, 0, 0}, systemTable("APIC", make([]byte, 8)), true)
	f.Fuzz(func(t *testing.T, pointer, root, madt []byte, repair bool) {
		const rsdp = 0xF0000
		if repair { // get behind the checksums
			pointer, madt = slices.Clone(pointer), slices.Clone(madt)
			if len(pointer) >= 20 {
				binary.LittleEndian.PutUint32(pointer[16:], 0x10000)
				pointer[8] -= sum(pointer[:20])
			}
			if len(pointer) >= 36 {
				binary.LittleEndian.PutUint64(pointer[24:], 0x10000)
				pointer[32] -= sum(pointer[:36])
			}
			root = systemTable("ROOT", root)
			if len(madt) >= 36 {
				binary.LittleEndian.PutUint32(madt[4:], uint32(len(madt)))
				seal(madt, 9)
			}
		}
		var m Machine
		e := ReadMachine(hostile(t, memory{rsdp: pointer, 0x10000: root, 0x20000: madt}), rsdp, &m)
		check(t, &m)
		_ = e.String()
	})
}

func FuzzReadMP(f *testing.F) {
	for _, name := range []string{"q35.hex", "microvm-mp.hex"} {
		memory, _ := load(f, name)
		for _, b := range memory {
			if is(b, "PCMP") {
				f.Add(floating(0x10000), b, true)
			}
		}
	}
	f.Add(floating(0), []byte("PCMP"), false)
	f.Fuzz(func(t *testing.T, pointer, table []byte, repair bool) {
		if repair && len(table) >= 44 && len(table) < 1<<16 {
			table = slices.Clone(table)
			copy(table, "PCMP")
			binary.LittleEndian.PutUint16(table[4:], uint16(len(table)))
			seal(table, 7)
			pointer = floating(0x10000)
		}
		var m Machine
		e := ReadMP(hostile(t, memory{0xF0000: pointer, 0x10000: table}), &m)
		check(t, &m)
		_ = e.String()
	})
}
