package image

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"github.com/tuplix/tuplix/cmd/tuplix/image/unpack"
)

// A compressed image is an ELF file with two program headers and no sections:
//
//	0000  ELF header
//	0040  PT_LOAD: package unpack's piece of memory
//	0078  PT_NOTE: the PVH note, for the entry of that
//	1000  the piece
//	      the note
//
// The piece overlaps the memory of the program that it unpacks to. As a Linux
// process has to map that memory before it fills it, the piece's virtual
// address is a high one, while its physical address is where it belongs.
const (
	packedOffset  = 0x1000
	packedVirtual = 0x4000_0000_0000 + packedOffset
	packedAlign   = 2 << 20 // rust-vmm's loaders accept no less
)

// compress returns the compressed image of the program.
func (l *linked) compress() ([]byte, error) {
	entry, err := l.physicalEntry()
	if err != nil {
		return nil, err
	}
	p := unpack.Program{Entry: entry, Linux: l.file.Entry}
	if p.Segments, err = l.segments(); err != nil {
		return nil, err
	}
	packed, err := unpack.Pack(p)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	return packedFile(packed), nil
}

// segments are the program's as its headers say now, after the edits.
func (l *linked) segments() ([]unpack.Segment, error) {
	var list []unpack.Segment
	le := binary.LittleEndian
	base, size := le.Uint64(l.data[ehPhoff:]), uint64(le.Uint16(l.data[ehPhentsize:]))
	for i, p := range l.file.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Vaddr != p.Paddr {
			return nil, fmt.Errorf("image: segment at %#x has the physical address %#x: only a program linked to run where it is loaded can be compressed", p.Vaddr, p.Paddr)
		}
		from, err := l.offset(p.Vaddr, p.Filesz)
		if err != nil {
			return nil, err
		}
		list = append(list, unpack.Segment{
			Address:    p.Paddr,
			Data:       l.data[from : from+p.Filesz],
			Size:       le.Uint64(l.data[base+uint64(i)*size+phMemsz:]),
			Protection: protection(p.Flags),
		})
	}
	return list, nil
}

// protection translates a segment's flags to those of mmap.
func protection(f elf.ProgFlag) uint32 {
	const read, write, exec = 1, 2, 4
	var p uint32
	for flag, bit := range map[elf.ProgFlag]uint32{elf.PF_R: read, elf.PF_W: write, elf.PF_X: exec} {
		if f&flag != 0 {
			p |= bit
		}
	}
	return p
}

// packedFile wraps the piece into an ELF file.
func packedFile(i *unpack.Image) []byte {
	le := binary.LittleEndian
	n := uint64(len(i.Bytes))
	b := make([]byte, packedOffset, packedOffset+n+noteSize)
	copy(b, "\x7fELF\x02\x01\x01") // 64-bit, little-endian, version 1
	le.PutUint16(b[16:], uint16(elf.ET_EXEC))
	le.PutUint16(b[18:], uint16(elf.EM_X86_64))
	le.PutUint32(b[20:], uint32(elf.EV_CURRENT))
	le.PutUint64(b[24:], packedVirtual+i.Linux)
	le.PutUint64(b[ehPhoff:], ehSize)
	le.PutUint16(b[52:], ehSize)
	le.PutUint16(b[ehPhentsize:], phSize)
	le.PutUint16(b[56:], 2)
	le.PutUint16(b[58:], 64) // the size of a section header, of which there are none
	putHeader(b[ehSize:], elf.ProgHeader{
		Type: elf.PT_LOAD, Flags: elf.PF_R | elf.PF_X, Off: packedOffset,
		Vaddr: packedVirtual, Paddr: i.Address, Filesz: n, Memsz: n, Align: packedAlign,
	})
	putHeader(b[ehSize+phSize:], noteHeader(packedOffset+n))
	b = append(b, i.Bytes...)
	return append(b, note(i.Entry)...)
}
