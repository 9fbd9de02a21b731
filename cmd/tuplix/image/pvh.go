package image

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// The note by which QEMU (-kernel), Firecracker and Cloud Hypervisor find the
// 32-bit entry point of a PVH guest. Go's linker cannot write it, so the
// program header PT_GNU_STACK, which the kernel does not need, is turned into
// a PT_NOTE that points at these bytes, appended to the file:
//
//	offset  size  field
//	     0     4  namesz = 4
//	     4     4  descsz = 8
//	     8     4  type   = 18 (XEN_ELFNOTE_PHYS32_ENTRY)
//	    12     4  name   = "Xen\0"
//	    16     8  desc   = physical address of the entry, little-endian
//
// PT_GNU_STACK is the linker's last program header. That matters: loaders
// built on rust-vmm take the last PT_NOTE and ignore the one of the build ID.
//
// Sources: xen/include/public/elfnote.h; the ELF gABI, "Note Section".
const (
	noteSize      = 24
	noteAlign     = 4
	notePhysEntry = 18
)

// EntrySymbol is the function a PVH loader jumps to, in 32-bit protected mode
// with paging off.
const EntrySymbol = "github.com/tuplix/tuplix/kernel.pvhEntry"

// Fields of an ELF64 header and program header that the edit reads or writes.
const (
	ehPhoff     = 32
	ehPhentsize = 54
	ehSize      = 64
	phMemsz     = 40
	phSize      = 56
)

// physicalEntry is the address that the PVH note names.
func (l *linked) physicalEntry() (uint64, error) {
	entry, ok := l.symbols[EntrySymbol]
	if !ok {
		return 0, fmt.Errorf("image: no symbol %s: the kernel is not linked in", EntrySymbol)
	}
	phys, err := l.physical(entry.Value)
	if err == nil && phys >= 1<<32 {
		err = fmt.Errorf("image: entry at %#x: a PVH entry must lie below 4 GB", phys)
	}
	return phys, err
}

// addNote returns the file with the PVH note added.
func (l *linked) addNote() ([]byte, error) {
	phys, err := l.physicalEntry()
	if err != nil {
		return nil, err
	}
	header, err := l.stackHeader()
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), l.data...)
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	putHeader(out[header:], noteHeader(uint64(len(out))))
	return append(out, note(phys)...), nil
}

// noteHeader describes the PVH note at an offset of the file, which is not loaded.
func noteHeader(offset uint64) elf.ProgHeader {
	return elf.ProgHeader{Type: elf.PT_NOTE, Flags: elf.PF_R, Off: offset, Filesz: noteSize, Memsz: noteSize, Align: noteAlign}
}

// putHeader encodes a program header.
func putHeader(b []byte, h elf.ProgHeader) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], uint32(h.Type))
	le.PutUint32(b[4:], uint32(h.Flags))
	for i, v := range []uint64{h.Off, h.Vaddr, h.Paddr, h.Filesz, h.Memsz, h.Align} {
		le.PutUint64(b[8+8*i:], v)
	}
}

// stackHeader returns the file offset of the PT_GNU_STACK program header.
func (l *linked) stackHeader() (uint64, error) {
	le := binary.LittleEndian
	base, size := le.Uint64(l.data[ehPhoff:]), uint64(le.Uint16(l.data[ehPhentsize:]))
	for i, p := range l.file.Progs {
		if p.Type != elf.PT_GNU_STACK {
			continue
		}
		at := base + uint64(i)*size
		if size < phSize || at+phSize > uint64(len(l.data)) {
			return 0, fmt.Errorf("image: program header %d lies outside the file", i)
		}
		return at, nil
	}
	return 0, fmt.Errorf("image: no PT_GNU_STACK program header to turn into the PVH note; was this file made into an image before?")
}

// note encodes the PVH entry note.
func note(entry uint64) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 4)
	b = le.AppendUint32(b, 8)
	b = le.AppendUint32(b, notePhysEntry)
	b = append(b, "Xen\x00"...)
	return le.AppendUint64(b, entry)
}
