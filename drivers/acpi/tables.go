package acpi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Reader returns n bytes of physical memory, or fewer or nil where there is no
// such memory. The result is not written to.
type Reader func(phys uint64, n int) []byte

// Limits of what is believed.
const (
	maxTable  = 16 << 20 // bytes of one table
	maxTables = 256
)

// The header of each table:
//
//	0 signature (4)   4 length u32   8 revision u8   9 checksum u8   10-35 names
const headerSize = 36

// Tables are the tables of a machine, each whole, with its header.
type Tables struct {
	list map[string][][]byte // by signature
}

// The root pointer:
//
//	0  "RSD PTR "    16 RSDT u32      24 XSDT u64
//	8  checksum u8   20 length u32    32 checksum of all u8
//	15 revision u8
const (
	rsdpSize1 = 20
	rsdpSize2 = 36
)

// Load reads all tables that the root pointer at rsdp leads to. Tables that
// cannot be read are left out, each with an error among those joined in err; the
// result is nil only if there is no list of tables at all.
func Load(read Reader, rsdp uint64) (t *Tables, err error) {
	root, width, err := readRoot(read, rsdp)
	if err != nil {
		return nil, err
	}
	t = &Tables{list: map[string][][]byte{}}
	var errs []error
	for i, e := 0, root[headerSize:]; len(e) >= width && i < maxTables; i, e = i+1, e[width:] {
		errs = append(errs, t.load(read, address(e, width)))
	}
	if f, err := t.FADT(); err == nil {
		errs = append(errs, t.load(read, f.DSDT))
	} else {
		errs = append(errs, err)
	}
	return t, errors.Join(errs...)
}

// readRoot returns the XSDT, or the RSDT where there is none, and how many
// bytes an address in it has.
func readRoot(read Reader, rsdp uint64) (root []byte, width int, err error) {
	p := read(rsdp, rsdpSize1)
	if len(p) < rsdpSize1 || string(p[:8]) != "RSD PTR " || sum(p[:rsdpSize1]) != 0 {
		return nil, 0, fmt.Errorf("acpi: no root pointer at %#x", rsdp)
	}
	if p[15] >= 2 {
		if x := read(rsdp, rsdpSize2); len(x) >= rsdpSize2 && sum(x[:rsdpSize2]) == 0 {
			if at := binary.LittleEndian.Uint64(x[24:]); at != 0 {
				root, err = readTable(read, at)
				return root, 8, err
			}
		}
	}
	root, err = readTable(read, uint64(binary.LittleEndian.Uint32(p[16:])))
	return root, 4, err
}

func address(b []byte, width int) uint64 {
	if width == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return uint64(binary.LittleEndian.Uint32(b))
}

func (t *Tables) load(read Reader, phys uint64) error {
	b, err := readTable(read, phys)
	if err != nil {
		return err
	}
	t.Add(b)
	return nil
}

// Add adds a table, header included.
func (t *Tables) Add(table []byte) {
	if t.list == nil {
		t.list = map[string][][]byte{}
	}
	if len(table) >= headerSize {
		signature := string(table[:4])
		t.list[signature] = append(t.list[signature], table)
	}
}

// Find returns the first table with a signature, or nil.
func (t *Tables) Find(signature string) []byte {
	if l := t.list[signature]; len(l) > 0 {
		return l[0]
	}
	return nil
}

func readTable(read Reader, phys uint64) ([]byte, error) {
	h := read(phys, headerSize)
	if len(h) < headerSize {
		return nil, fmt.Errorf("acpi: table at %#x is not in memory", phys)
	}
	n := binary.LittleEndian.Uint32(h[4:])
	if n < headerSize || n > maxTable {
		return nil, fmt.Errorf("acpi: table %q at %#x says it has %d bytes", h[:4], phys, n)
	}
	b := read(phys, int(n))
	if len(b) < int(n) {
		return nil, fmt.Errorf("acpi: table %q at %#x of %d bytes is not all in memory", h[:4], phys, n)
	}
	if b = b[:n]; sum(b) != 0 {
		return nil, fmt.Errorf("acpi: table %q at %#x has a wrong checksum", h[:4], phys)
	}
	return b, nil
}

func sum(b []byte) (s uint8) {
	for _, v := range b {
		s += v
	}
	return s
}

// ConfigSpace is a region of PCI configuration space, an entry of MCFG.
type ConfigSpace struct {
	Base        uint64 // physical address of bus 0
	Segment     uint16
	First, Last uint8 // buses
}

// MCFG, behind the header: 8 bytes reserved, then entries of
//
//	0 base u64   8 segment u16   10 first bus u8   11 last bus u8   12 reserved
const mcfgEntry = 16

// ConfigSpaces returns what MCFG says; nothing, if there is no MCFG.
func (t *Tables) ConfigSpaces() []ConfigSpace {
	b := t.Find("MCFG")
	if len(b) < headerSize+8 {
		return nil
	}
	var list []ConfigSpace
	for b = b[headerSize+8:]; len(b) >= mcfgEntry; b = b[mcfgEntry:] {
		list = append(list, ConfigSpace{
			Base:    binary.LittleEndian.Uint64(b),
			Segment: binary.LittleEndian.Uint16(b[8:]),
			First:   b[10],
			Last:    b[11],
		})
	}
	return list
}
