package image

import (
	"debug/elf"
	"encoding/binary"
)

// largeVariable is from what size on a variable without a value is left for
// the kernel to back when it is touched.
const largeVariable = 1 << 20

// trimZeroes ends the last segment in memory where the first large zero
// variable begins; the linker sorts variables by size, so only such follow.
// Loaders write zeroes over all that a segment asks for: one variable of the
// standard library, used in a rare mode only, has 32 MB. The kernel backs what
// is cut off when it is touched, and its package maps it in a Linux process.
func (l *linked) trimZeroes() {
	var last *elf.Prog
	index := 0
	for i, p := range l.file.Progs {
		if p.Type == elf.PT_LOAD {
			last, index = p, i
		}
	}
	if last == nil || last.Flags&elf.PF_W == 0 {
		return
	}
	end := last.Vaddr + last.Memsz
	for _, s := range l.symbols {
		if s.Size >= largeVariable && s.Value >= last.Vaddr+last.Filesz && s.Value < end {
			end = s.Value
		}
	}
	le := binary.LittleEndian
	at := le.Uint64(l.data[ehPhoff:]) + uint64(index)*uint64(le.Uint16(l.data[ehPhentsize:]))
	le.PutUint64(l.data[at+phMemsz:], end-last.Vaddr)
}
