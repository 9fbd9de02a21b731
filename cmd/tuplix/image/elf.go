package image

import (
	"bytes"
	"debug/elf"
	"fmt"
)

// linked is a linked ELF file held in memory, with what the edits need to know
// about it.
type linked struct {
	data    []byte
	file    *elf.File
	symbols map[string]elf.Symbol
}

// parse reads a linked program. It refuses anything but a statically linked
// amd64 executable that has its symbol table.
func parse(data []byte) (*linked, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("image: not an ELF file: %w", err)
	}
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC {
		return nil, fmt.Errorf("image: %v %v %v file: only 64-bit x86-64 executables (GOARCH=amd64, no -buildmode=pie) can be made into images", f.Class, f.Machine, f.Type)
	}
	list, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("image: no symbol table (%w): link without -s; -w may be given", err)
	}
	symbols := make(map[string]elf.Symbol, len(list))
	for _, s := range list {
		symbols[s.Name] = s
	}
	return &linked{data: data, file: f, symbols: symbols}, nil
}

// offset returns the place in the file of the n bytes that are loaded at addr.
func (l *linked) offset(addr, n uint64) (uint64, error) {
	for _, p := range l.file.Progs {
		if p.Type != elf.PT_LOAD || addr < p.Vaddr {
			continue
		}
		if rel := addr - p.Vaddr; rel <= p.Filesz && n <= p.Filesz-rel {
			off := p.Off + rel
			if off < p.Off || off > uint64(len(l.data)) || n > uint64(len(l.data))-off {
				return 0, fmt.Errorf("image: segment at %#x reaches past the end of the file", p.Vaddr)
			}
			return off, nil
		}
	}
	return 0, fmt.Errorf("image: no segment holds %d bytes at %#x", n, addr)
}

// physical translates a virtual address to the physical one that the program
// headers give it.
func (l *linked) physical(addr uint64) (uint64, error) {
	for _, p := range l.file.Progs {
		if p.Type == elf.PT_LOAD && addr >= p.Vaddr && addr-p.Vaddr < p.Memsz {
			return p.Paddr + (addr - p.Vaddr), nil
		}
	}
	return 0, fmt.Errorf("image: address %#x is in no segment", addr)
}
