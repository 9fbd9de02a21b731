package kernel

import (
	"sync/atomic"
	"syscall"
)

// Mappings of files. The kernel knows nothing of files. A service has their
// contents in memory that it has mapped for itself, their home, and maps a part of
// a home once more for who called mmap: a page there is the page of the home. It is
// found at the first access, in trap context, without the service. So the home of a
// mapping must stay for as long as the mapping. What lies beyond the limit, the end
// of the file, is SIGBUS. The processor notes in the page tables which pages were
// written to, and the service asks for that. What ends a mapping goes by the
// service (munmap, or mmap over it), which has to ask once more before.

// fileMappings counts the mappings of files. mem guards its changes.
var fileMappings atomic.Int32

// continues tells whether b shows what comes after a.
func (a *vma) continues(b *vma) bool {
	if !a.file || !b.file {
		return a.file == b.file
	}
	return a.home+(a.end-a.start) == b.home && a.limit == b.limit && a.mayWrite == b.mayWrite
}

// Flags of callMapFile.
const (
	mapFixed = 1 << iota
	mapNoReplace
	mapMayWrite
)

// mapFile maps n bytes of the memory at home. The file has limit bytes from there.
func mapFile(hint, n, how, home, limit uintptr) uintptr {
	prot, flags := uint8(how), how>>8
	if prot&protExec != 0 || home&(pageSize-1) != 0 || home < pageSize || home+n < home || home+n > userEnd {
		return errINVAL
	}
	size := (n + pageSize - 1) &^ (pageSize - 1)
	limit = min((limit+pageSize-1)&^(pageSize-1), size)
	v := vma{prot: prot, file: true, mayWrite: flags&mapMayWrite != 0, home: home, limit: limit}
	return mapRange(hint, n, v, flags&(mapFixed|mapNoReplace) != 0, flags&mapNoReplace != 0)
}

// limitFile says that of the mappings of files in [va, va+n) the file has what lies
// below limit.
func limitFile(va, n, limit uintptr) uintptr {
	limit = (limit + pageSize - 1) &^ (pageSize - 1)
	end := va + n
	mem.lock()
	defer mem.unlock()
	if va&(pageSize-1) != 0 || end < va || !splitVMA(va) || !splitVMA(end) {
		return errINVAL
	}
	for i := findVMA(va); i < vmaCount && vmaAt(i).start < end; i++ {
		if v := vmaAt(i); v.file {
			v.limit = limit
		}
	}
	if limit < end {
		unmapFile(max(va, limit), end)
	}
	mergeRange(va, end)
	return 0
}

// unmapFile forgets the pages of files' mappings in [start, end). mem is held.
func unmapFile(start, end uintptr) {
	for i := findVMA(start); i < vmaCount && vmaAt(i).start < end; i++ {
		if v := vmaAt(i); v.file {
			unmapRange(max(start, v.start), min(end, v.end))
		}
	}
}

// showFile serves a fault in a mapping of a file. mem is held.
func showFile(v *vma, page uintptr, e *uint64) bool {
	if page >= v.limit {
		return false
	}
	home := entry(v.home+(page-v.start), true)
	if home == nil {
		return false
	}
	if *home&ptePresent == 0 && (freePages() <= reserve || !back(home, protRead|protWrite)) {
		return false
	}
	*e = *home&pteAddress | pteFlags(v.prot) | ptePresent | pteFile
	// More of it, as far as it is there: a fault costs more than a page.
	for n := uintptr(1); n < aroundPages; n++ {
		next := page + n*pageSize
		if next >= v.limit || next >= v.end || next>>21 != page>>21 {
			break
		}
		e, home := entry(next, false), entry(v.home+(next-v.start), false)
		if e == nil || *e != 0 || home == nil || *home&ptePresent == 0 {
			break
		}
		*e = *home&pteAddress | pteFlags(v.prot) | ptePresent | pteFile
	}
	return true
}

// beyondFile tells whether an access that could not be served is to a mapping of a
// file that allows it: then the file, or memory, has no such page.
func beyondFile(va uintptr, write, exec bool) bool {
	mem.lock()
	defer mem.unlock()
	i := findVMA(va)
	if i == vmaCount || vmaAt(i).start > va || !vmaAt(i).file {
		return false
	}
	prot := vmaAt(i).prot
	return prot != 0 && !exec && (!write || prot&protWrite != 0)
}

// overlapsFile tells whether there is a mapping of a file in [va, va+n).
func overlapsFile(va, n uintptr) bool {
	if fileMappings.Load() == 0 || va+n < va {
		return false
	}
	mem.lock()
	defer mem.unlock()
	for i := findVMA(va); i < vmaCount && vmaAt(i).start < va+n; i++ {
		if vmaAt(i).file {
			return true
		}
	}
	return false
}

// mayProtect tells whether the mappings of files in [start, end) may have the
// protection: none is ever executed, and only some may be written. mem is held.
func mayProtect(start, end uintptr, prot uint8) bool {
	for i := findVMA(start); i < vmaCount && vmaAt(i).start < end; i++ {
		if v := vmaAt(i); v.file && (prot&protExec != 0 || prot&protWrite != 0 && !v.mayWrite) {
			return false
		}
	}
	return true
}

// takeDirty tells, a bit for each, which of the n pages from va on, 64 at most, were
// written to through a mapping of a file since the last call.
func takeDirty(va, n uintptr) (bits uint64) {
	n = min(n, 64)
	if va&(pageSize-1) != 0 || va+n*pageSize < va || va+n*pageSize > userEnd {
		return 0
	}
	mem.lock()
	defer mem.unlock()
	for i := range n {
		e := entry(va+i*pageSize, false)
		if e == nil {
			continue
		}
		// The processor sets the bit by itself, on any processor.
		if v := atomic.LoadUint64(e); v&pteFile != 0 && v&pteDirty != 0 {
			atomic.AndUint64(e, ^uint64(pteDirty))
			bits |= 1 << i
		}
	}
	if bits != 0 {
		flushTLB(va, va+n*pageSize)
	}
	return bits
}

// ReserveMemory maps n bytes of zeros, which take memory as they are touched, for a
// service's own use. ENOMEM.
func ReserveMemory(n int) ([]byte, error) {
	const private, anonymous = 0x2, 0x20
	va, err := result(trap(nrMmap, 0, uintptr(n), protRead|protWrite, private|anonymous, 0))
	if err != nil {
		return nil, err
	}
	return bytesAt(va, n), nil
}

// FileMapping is a mapping to be made of a part of a home.
type FileMapping struct {
	Hint      uintptr // address that is wished for, 0: none
	Fixed     bool    // there and nowhere else, in place of what is there
	NoReplace bool    // likewise, but EEXIST if there is something
	Prot      int     // PROT_READ, PROT_WRITE
	MayWrite  bool    // mprotect may make it writable
	Home      uintptr // address, page-aligned, in memory that ReserveMemory has given
	Size      int     // bytes
	Limit     int     // bytes from Home on that the file has
}

// MapFile makes a mapping and returns its address. ENOMEM, EEXIST, EINVAL.
func MapFile(m *FileMapping) (uintptr, error) {
	flags := uintptr(0)
	if m.Fixed {
		flags |= mapFixed
	}
	if m.NoReplace {
		flags |= mapNoReplace
	}
	if m.MayWrite {
		flags |= mapMayWrite
	}
	return result(trap(callMapFile, m.Hint, uintptr(m.Size), uintptr(m.Prot)|flags<<8, m.Home, uintptr(m.Limit)))
}

// LimitFile says up to which address the file has what the mappings in [va, va+n) show.
func LimitFile(va, n, limit uintptr) { trap(callLimitFile, va, n, limit, 0, 0) }

// TakeDirty tells which of the n pages from va on, an address of a page, were written
// to through mappings of files since it was last asked. n is at most 64.
func TakeDirty(va uintptr, n int) uint64 {
	return uint64(trap(callTakeDirty, va, uintptr(n), 0, 0, 0))
}

// Unmap is munmap, without asking the service. EINVAL.
func Unmap(va, n uintptr) error {
	_, err := result(trap(callUnmap, va, n, 0, 0, 0))
	return err
}

// MapAnonymous is mmap without a file, for a service that was asked for it since
// mappings of files had to go first.
func MapAnonymous(args *[6]uintptr) (uintptr, error) {
	return result(trap(callMapMemory, args[0], args[1], args[2], args[3], 0))
}

// Protect is mprotect.
func Protect(va, n uintptr, prot int) error {
	_, err := result(trap(nrMprotect, va, n, uintptr(prot), 0, 0))
	return err
}

// DiscardMemory gives the pages of a part of reserved memory back: it reads as zeros.
// No mapping of a file may show them.
func DiscardMemory(va, n uintptr) error {
	_, err := result(trap(nrMadvise, va, n, uintptr(syscall.MADV_DONTNEED), 0, 0))
	return err
}
