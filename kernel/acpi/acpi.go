package acpi

// Bounds of what is kept.
const (
	maxProcessors = 64
	maxIOAPICs    = 8
	maxOverrides  = 24
	maxTables     = 128
	maxTable      = 1 << 20 // bytes of a table
)

// IOAPIC is one I/O APIC: it serves the global interrupts from Base on.
type IOAPIC struct {
	Address uint64
	Base    uint32
	Mapped  uintptr // for the kernel's use
}

// Override says that ISA interrupt IRQ is global interrupt GSI.
type Override struct {
	IRQ        uint8
	Level, Low bool
	GSI        uint32
}

// Machine is what the tables tell.
type Machine struct {
	Processor  [maxProcessors]uint32 // APIC IDs of usable processors
	Processors int
	IOAPIC     [maxIOAPICs]IOAPIC
	IOAPICs    int
	Override   [maxOverrides]Override
	Overrides  int
}

// Error is what was wrong with the tables; OK is nothing.
type Error uint8

// The errors.
const (
	OK Error = iota
	NoRSDP
	BadRSDP
	BadRoot
	NoMADT
	BadMADT
	NoMP
	BadMP
)

// String is the error in words.
func (e Error) String() string {
	switch e {
	case OK:
		return "ok"
	case NoRSDP:
		return "the root pointer lies outside of memory"
	case BadRSDP:
		return "the root pointer is damaged"
	case BadRoot:
		return "the root table is damaged"
	case NoMADT:
		return "no table of processors (MADT)"
	case BadMADT:
		return "the table of processors (MADT) is damaged"
	case NoMP:
		return "none found"
	}
	return "damaged"
}

// Reader gives a view of n bytes of physical memory, nil where there is none.
type Reader func(phys uint64, n int) []byte

func u16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }
func u32(b []byte) uint32 { return uint32(u16(b)) | uint32(u16(b[2:]))<<16 }
func u64(b []byte) uint64 { return uint64(u32(b)) | uint64(u32(b[4:]))<<32 }

func sum(b []byte) (s byte) {
	for _, v := range b {
		s += v
	}
	return s
}

func is(b []byte, s string) bool { return string(b[:len(s)]) == s }

// ReadMachine fills m from the tables that the root pointer at rsdp leads to
// (ACPI 6.5, 5.2.5: 0 "RSD PTR ", 8 checksum, 15 revision, 16 RSDT, 20 length,
// 24 XSDT).
func ReadMachine(read Reader, rsdp uint64, m *Machine) Error {
	at, e := find(read, rsdp, "APIC")
	if e != OK {
		return e
	}
	if at == 0 {
		return NoMADT
	}
	madt := table(read, at)
	if madt == nil {
		return BadMADT
	}
	return readMADT(madt, m)
}

// find returns the address of the first table with a signature, 0 if there is none.
func find(read Reader, rsdp uint64, signature string) (uint64, Error) {
	p := read(rsdp, 20)
	if p == nil {
		return 0, NoRSDP
	}
	if !is(p, "RSD PTR ") || sum(p) != 0 {
		return 0, BadRSDP
	}
	root, size := uint64(u32(p[16:])), 4
	if p[15] >= 2 {
		q := read(rsdp, 36)
		if q == nil || sum(q) != 0 {
			return 0, BadRSDP
		}
		if x := u64(q[24:]); x != 0 {
			root, size = x, 8
		}
	}
	t := table(read, root)
	if t == nil {
		return 0, BadRoot
	}
	for i, off := 0, 36; off+size <= len(t) && i < maxTables; i, off = i+1, off+size {
		at := uint64(u32(t[off:]))
		if size == 8 {
			at = u64(t[off:])
		}
		if h := read(at, 4); h != nil && is(h, signature) {
			return at, OK
		}
	}
	return 0, OK
}

// table returns a whole system description table, nil if it is damaged
// (5.2.6: 0 signature, 4 length, 9 checksum; the header has 36 bytes).
func table(read Reader, at uint64) []byte {
	h := read(at, 36)
	if h == nil {
		return nil
	}
	n := u32(h[4:])
	if n < 36 || n > maxTable {
		return nil
	}
	t := read(at, int(n))
	if t == nil || sum(t) != 0 {
		return nil
	}
	return t
}

// readMADT reads the structures behind the 44-byte header (5.2.12: type,
// length, then by type).
func readMADT(t []byte, m *Machine) Error {
	if len(t) < 44 {
		return BadMADT
	}
	for t = t[44:]; len(t) >= 2; {
		n := int(t[1])
		if n < 2 || n > len(t) {
			return BadMADT
		}
		e := t[:n]
		t = t[n:]
		switch {
		case e[0] == 0 && n >= 8: // local APIC: 3 ID, 4 flags
			m.processor(uint32(e[3]), u32(e[4:]))
		case e[0] == 9 && n >= 16: // local x2APIC: 4 ID, 8 flags
			m.processor(u32(e[4:]), u32(e[8:]))
		case e[0] == 1 && n >= 12: // I/O APIC: 4 address, 8 base
			m.ioapic(uint64(u32(e[4:])), u32(e[8:]))
		case e[0] == 2 && n >= 10: // override: 3 source, 4 global, 8 flags
			if m.Overrides < maxOverrides {
				f := u16(e[8:])
				m.Override[m.Overrides] = Override{IRQ: e[3], GSI: u32(e[4:]), Low: f&3 == 3, Level: f>>2&3 == 3}
				m.Overrides++
			}
		}
	}
	return OK
}

// processor notes one that is enabled.
func (m *Machine) processor(id, flags uint32) {
	if flags&1 == 0 || m.Processors == maxProcessors {
		return
	}
	for _, have := range m.Processor[:m.Processors] {
		if have == id {
			return
		}
	}
	m.Processor[m.Processors] = id
	m.Processors++
}

func (m *Machine) ioapic(address uint64, base uint32) {
	if m.IOAPICs < maxIOAPICs {
		m.IOAPIC[m.IOAPICs] = IOAPIC{Address: address, Base: base}
		m.IOAPICs++
	}
}

// ReadMP fills m from the MultiProcessor table (Intel MP specification 1.4,
// chapter 4), which older firmware and QEMU's microvm leave below 1 MiB. The
// floating pointer: 0 "_MP_", 4 table, 8 length/16, 10 checksum. The table:
// 0 "PCMP", 4 length, 44 first entry.
func ReadMP(read Reader, m *Machine) Error {
	for _, area := range [...][2]uint64{{0x9FC00, 0xA0000}, {0xE0000, 0x100000}} {
		for at := area[0]; at < area[1]; at += 16 {
			f := read(at, 16)
			if f == nil || !is(f, "_MP_") || sum(f) != 0 {
				continue
			}
			return readPCMP(read, uint64(u32(f[4:])), m)
		}
	}
	return NoMP
}

func readPCMP(read Reader, at uint64, m *Machine) Error {
	h := read(at, 44)
	if h == nil || !is(h, "PCMP") {
		return BadMP
	}
	t := read(at, int(u16(h[4:])))
	if len(t) < 44 || sum(t) != 0 {
		return BadMP
	}
	// The entries fill the table: its count of them is 0 in qboot, which
	// microvm boots by.
	for t = t[44:]; len(t) > 0; {
		if len(t) < 8 {
			return BadMP
		}
		switch t[0] {
		case 0: // processor, 20 bytes: 1 APIC ID, 3 flags
			if len(t) < 20 {
				return BadMP
			}
			m.processor(uint32(t[1]), uint32(t[3]))
			t = t[20:]
			continue
		case 2: // I/O APIC: 3 flags, 4 address
			if t[3]&1 != 0 {
				m.ioapic(uint64(u32(t[4:])), 0)
			}
		}
		t = t[8:]
	}
	return OK
}
