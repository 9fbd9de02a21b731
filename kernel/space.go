package kernel

// The address space of the program: mappings sorted by address, each backed
// by zeroed pages as they are touched. mem guards all of it.

const (
	protRead  = 1
	protWrite = 2
	protExec  = 4
)

// vma is one mapping: [start, end), page-aligned.
type vma struct {
	start, end uintptr
	prot       uint8
	fixed      bool // of the kernel: the image, device registers; the program cannot change it

	// Of a mapping of a file (filespace.go):
	file     bool
	mayWrite bool    // mprotect may make it writable
	home     uintptr // where the memory is that start shows
	limit    uintptr // address of the first page that the file does not have
}

var (
	vmaBase  uintptr // array of maxVMAs
	vmaCount int
)

func vmaAt(i int) *vma { return at[vma](vmaBase + uintptr(i)*vmaSize) }

const vmaSize = 40

// findVMA returns the index of the first mapping that ends after va.
func findVMA(va uintptr) int {
	lo, hi := 0, vmaCount
	for lo < hi {
		m := (lo + hi) / 2
		if vmaAt(m).end <= va {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// insertVMA makes room at index i; false when the table is full.
func insertVMA(i int, v vma) bool {
	if vmaCount == maxVMAs {
		return false
	}
	for j := vmaCount; j > i; j-- {
		*vmaAt(j) = *vmaAt(j - 1)
	}
	*vmaAt(i) = v
	vmaCount++
	return true
}

func removeVMA(i int) {
	vmaCount--
	for j := i; j < vmaCount; j++ {
		*vmaAt(j) = *vmaAt(j + 1)
	}
}

// splitVMA cuts the mapping that va lies inside of, so that one starts there.
func splitVMA(va uintptr) bool {
	i := findVMA(va)
	if i == vmaCount || vmaAt(i).start >= va {
		return true
	}
	v := *vmaAt(i)
	if !insertVMA(i, v) {
		return false
	}
	vmaAt(i).end = va
	vmaAt(i + 1).start = va
	if v.file {
		fileMappings.Add(1)
		vmaAt(i + 1).home += va - v.start
	}
	return true
}

// mergeRange joins neighbours of the same kind that touch [start, end].
func mergeRange(start, end uintptr) {
	for i := max(findVMA(start), 1) - 1; i+1 < vmaCount && vmaAt(i+1).start <= end; {
		a, b := vmaAt(i), vmaAt(i+1)
		if a.end == b.start && a.prot == b.prot && a.fixed == b.fixed && a.continues(b) {
			if a.file {
				fileMappings.Add(-1)
			}
			a.end = b.end
			removeVMA(i + 1)
		} else {
			i++
		}
	}
}

// clearRange removes mappings in [start, end): false when one is the kernel's
// or the table is full.
func clearRange(start, end uintptr) bool {
	for i := findVMA(start); i < vmaCount && vmaAt(i).start < end; i++ {
		if vmaAt(i).fixed {
			return false
		}
	}
	if !splitVMA(start) || !splitVMA(end) {
		return false
	}
	for i := findVMA(start); i < vmaCount && vmaAt(i).start < end; {
		if vmaAt(i).file {
			fileMappings.Add(-1)
		}
		removeVMA(i)
	}
	unmapRange(start, end)
	return true
}

// freeSpace finds n unmapped bytes: at hint if they are free there, else as
// high as possible below mmapTop. 0 when there are none.
func freeSpace(hint, n uintptr) uintptr {
	if hint != 0 && hint+n > hint && hint+n <= userEnd {
		i := findVMA(hint)
		if i == vmaCount || vmaAt(i).start >= hint+n {
			return hint
		}
	}
	top := mmapTop
	for i := findVMA(mmapTop) - 1; ; i-- {
		low := uintptr(1 << 20)
		if i >= 0 {
			low = vmaAt(i).end
		}
		if i+1 < vmaCount && vmaAt(i+1).start < top {
			top = vmaAt(i + 1).start
		}
		if top >= n && top-n >= low {
			return top - n
		}
		if i < 0 {
			return 0
		}
	}
}

// mapAnonymous is mmap without a file. Private and shared are the same in one
// address space.
func mapAnonymous(hint, n uintptr, prot uint8, fixed, noReplace bool) uintptr {
	return mapRange(hint, n, vma{prot: prot}, fixed, noReplace)
}

// mapRange maps n bytes as v says, but for its place.
func mapRange(hint, n uintptr, v vma, fixed, noReplace bool) uintptr {
	if n == 0 || n > userEnd || hint&(pageSize-1) != 0 && fixed {
		return errINVAL
	}
	n = (n + pageSize - 1) &^ (pageSize - 1)
	hint &^= pageSize - 1
	mem.lock()
	defer mem.unlock()
	// Go reserves address space, and maps it again, writable and fixed, when
	// the heap grows into it. That is where a lack of memory can be told: Go
	// reports it with all goroutines and stops. Other mappings are often
	// large and mostly never touched.
	if fixed && v.prot&protWrite != 0 && !v.file && uint64(n)/pageSize+reservePages > freePages() {
		return errNOMEM
	}
	va := hint
	if fixed {
		if va < pageSize || va+n < va || va+n > userEnd {
			return errINVAL
		}
		if i := findVMA(va); noReplace && i < vmaCount && vmaAt(i).start < va+n {
			return errEXIST
		}
		// Whatever fails must fail before anything is taken away: two cuts and
		// the new mapping.
		if vmaCount+3 > maxVMAs || !clearRange(va, va+n) {
			return errNOMEM
		}
	} else {
		va = freeSpace(hint, n)
		if va == 0 {
			return errNOMEM
		}
	}
	v.start, v.end = va, va+n
	if v.file {
		v.limit += va
	}
	if !insertVMA(findVMA(va), v) {
		return errNOMEM
	}
	if v.file {
		fileMappings.Add(1)
	}
	mergeRange(va, va+n)
	return va
}

// unmap is munmap.
func unmap(va, n uintptr) uintptr {
	n = (n + pageSize - 1) &^ (pageSize - 1)
	if va&(pageSize-1) != 0 || n == 0 || va+n < va || va+n > userEnd {
		return errINVAL
	}
	mem.lock()
	defer mem.unlock()
	if !clearRange(va, va+n) {
		return errINVAL
	}
	return 0
}

// protect is mprotect.
func protect(va, n uintptr, prot uint8) uintptr {
	n = (n + pageSize - 1) &^ (pageSize - 1)
	if va&(pageSize-1) != 0 || va+n < va || va+n > userEnd {
		return errINVAL
	}
	mem.lock()
	defer mem.unlock()
	if !mayProtect(va, va+n, prot) {
		return errACCES
	}
	if !covered(va, va+n) || !splitVMA(va) || !splitVMA(va+n) {
		return errNOMEM
	}
	for i := findVMA(va); i < vmaCount && vmaAt(i).start < va+n; i++ {
		vmaAt(i).prot = prot
	}
	protectRange(va, va+n, prot)
	mergeRange(va, va+n)
	return 0
}

// covered tells whether mappings that the program may change fill the range.
func covered(start, end uintptr) bool {
	for i := findVMA(start); start < end; i++ {
		if i == vmaCount || vmaAt(i).start > start || vmaAt(i).fixed {
			return false
		}
		start = vmaAt(i).end
	}
	return true
}

// advise is madvise: MADV_DONTNEED and MADV_FREE give the pages back, but not
// those of files, the rest is advice that changes nothing here.
func advise(va, n uintptr, advice uintptr) uintptr {
	const (
		dontNeed = 4
		free     = 8
	)
	if advice != dontNeed && advice != free {
		return 0
	}
	n = (n + pageSize - 1) &^ (pageSize - 1)
	if va&(pageSize-1) != 0 || va+n < va || va+n > userEnd {
		return errINVAL
	}
	mem.lock()
	defer mem.unlock()
	if !covered(va, va+n) {
		return errNOMEM
	}
	for i := findVMA(va); i < vmaCount && vmaAt(i).start < va+n; i++ {
		if v := vmaAt(i); !v.file {
			unmapRange(max(va, v.start), min(va+n, v.end))
		}
	}
	return 0
}

// reservePages are kept for the kernel's own needs: page tables and tables,
// also while the program dies of a lack of memory.
const reservePages = 64

// reserve is what is left of it for faults of the program: a fault that finds
// no more than this kills, and then opens the rest for the last words.
var reserve = uint64(reservePages / 2)

// aroundPages is how many pages a fault brings in at most, when memory is
// plentiful: a fault costs more than a page.
const aroundPages = 16

// resolve serves a page fault at va: true when the access may be tried again.
func resolve(va uintptr, write, exec bool) bool {
	mem.lock()
	defer mem.unlock()
	i := findVMA(va)
	if i == vmaCount || vmaAt(i).start > va {
		return false
	}
	v := vmaAt(i)
	if v.prot == 0 || write && v.prot&protWrite == 0 || exec && v.prot&protExec == 0 {
		return false
	}
	page := va &^ (pageSize - 1)
	e := entry(page, true)
	if e == nil {
		return false
	}
	if *e&ptePresent != 0 {
		// Another processor was faster, or the TLB was behind.
		if write && *e&pteWrite == 0 {
			return false
		}
		forgetPage(page)
		return true
	}
	if *e&pteKind != 0 {
		*e = *e&(pteAddress|pteKind|pteDirty) | pteFlags(v.prot) | ptePresent
		return true
	}
	if v.file {
		return showFile(v, page, e)
	}
	if v.fixed || freePages() <= reserve || !back(e, v.prot) {
		return false
	}
	if freePages() > pagesTotal/4 {
		for n := uintptr(1); n < aroundPages; n++ {
			next := page + n*pageSize
			if next >= v.end || next>>21 != page>>21 {
				break
			}
			e := entry(next, true)
			if e == nil || *e != 0 || !back(e, v.prot) {
				break
			}
		}
	}
	return true
}

func back(e *uint64, prot uint8) bool {
	p := allocZeroPage()
	if p == 0 {
		return false
	}
	*e = p | pteFlags(prot) | ptePresent | pteOwned
	return true
}
