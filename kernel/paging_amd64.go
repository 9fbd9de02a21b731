package kernel

import "sync/atomic"

// Page tables: one set for all, four levels of 4 KiB pages (Intel SDM volume
// 3, chapter 4). Tables are never freed, so that translate may walk them
// without a lock.
const (
	ptePresent = 1 << 0
	pteWrite   = 1 << 1
	pteNoCache = 1<<3 | 1<<4
	pteDirty   = 1 << 6
	pteLarge   = 1 << 7
	pteOwned   = 1 << 9  // software: the page belongs to the mapping and is freed with it; without ptePresent it waits behind PROT_NONE
	pteFile    = 1 << 10 // software: the page belongs to the home of a file's mapping, else like pteOwned
	pteKind    = pteOwned | pteFile
	pteNX      = 1 << 63
	pteAddress = 0x000F_FFFF_FFFF_F000
)

var pageRoot uint64 // physical address of the top table

// entry returns the lowest-level entry for va, making tables on the way if
// grow is set; nil when there is none (or no memory). mem is held if grow.
func entry(va uintptr, grow bool) *uint64 {
	t := pageRoot
	for shift := uint(39); ; shift -= 9 {
		e := at[uint64](direct(t) + (va>>shift&511)*8)
		if shift == 12 {
			return e
		}
		v := atomic.LoadUint64(e)
		if v&ptePresent == 0 {
			if !grow {
				return nil
			}
			p := allocZeroPage()
			if p == 0 {
				return nil
			}
			v = p | ptePresent | pteWrite
			atomic.StoreUint64(e, v)
		}
		if v&pteLarge != 0 {
			return nil
		}
		t = v & pteAddress
	}
}

// mapPage maps one page that has no mapping yet. mem is held.
func mapPage(va uintptr, phys uint64, flags uint64) bool {
	e := entry(va, true)
	if e == nil {
		return false
	}
	atomic.StoreUint64(e, phys|flags|ptePresent)
	return true
}

// mapLarge maps 2 MiB of memory in the kernel's own part. mem is held.
func mapLarge(va uintptr, phys uint64, flags uint64) bool {
	t := pageRoot
	for shift := uint(39); shift > 21; shift -= 9 {
		e := at[uint64](direct(t) + (va>>shift&511)*8)
		if *e&ptePresent == 0 {
			p := allocZeroPage()
			if p == 0 {
				return false
			}
			*e = p | ptePresent | pteWrite
		}
		t = *e & pteAddress
	}
	*at[uint64](direct(t) + (va>>21&511)*8) = phys | flags | ptePresent | pteLarge
	return true
}

// translate finds the physical address behind va.
func translate(va uintptr) (uint64, bool) {
	e := entry(va, false)
	if e == nil {
		return 0, false
	}
	v := atomic.LoadUint64(e)
	if v&ptePresent == 0 {
		return 0, false
	}
	return v&pteAddress | uint64(va&(pageSize-1)), true
}

// pteFlags are the entry's flags for a mapping's protection.
func pteFlags(prot uint8) uint64 {
	f := uint64(pteNX)
	if prot&protWrite != 0 {
		f |= pteWrite
	}
	if prot&protExec != 0 {
		f &^= pteNX
	}
	return f
}

// unmapRange takes away what is mapped in [start, end) and frees the pages
// that belong to it, after no processor can reach them any more. mem is held.
func unmapRange(start, end uintptr) {
	var batch [64]uint64
	for va := start; va < end; {
		n := 0
		first := va
		for n < len(batch) {
			e, next := mapped(va, end)
			va = next + pageSize
			if e == nil {
				break
			}
			v := atomic.SwapUint64(e, 0)
			if v&pteOwned == 0 {
				v = 0
			}
			batch[n] = v & pteAddress
			n++
		}
		if n == 0 {
			return
		}
		flushTLB(first, min(va, end))
		for _, p := range batch[:n] {
			if p != 0 {
				freePage(p)
			}
		}
	}
}

// protectRange gives the pages mapped in [start, end) another protection. mem
// is held.
func protectRange(start, end uintptr, prot uint8) {
	changed := false
	for va := start; va < end; va += pageSize {
		var e *uint64
		e, va = mapped(va, end)
		if e == nil {
			break
		}
		v := *e&(pteAddress|pteKind|pteDirty) | pteFlags(prot)
		if prot != 0 {
			v |= ptePresent
		}
		atomic.StoreUint64(e, v)
		changed = true
	}
	if changed {
		flushTLB(start, end)
	}
}

// mapped finds the first page at or after va that is backed, skipping absent
// tables whole; nil when there is none before end.
func mapped(va, end uintptr) (*uint64, uintptr) {
	for va < end {
		e, skip := leaf(va)
		if e != nil {
			return e, va
		}
		va = (va>>skip + 1) << skip
	}
	return nil, end
}

// leaf returns the entry of a backed page, or how many bits of va to skip.
func leaf(va uintptr) (e *uint64, skip uint) {
	t := pageRoot
	for shift := uint(39); ; shift -= 9 {
		e := at[uint64](direct(t) + (va>>shift&511)*8)
		v := atomic.LoadUint64(e)
		if shift == 12 {
			if v&(ptePresent|pteKind) == 0 {
				return nil, shift
			}
			return e, shift
		}
		if v&ptePresent == 0 {
			return nil, shift
		}
		t = v & pteAddress
	}
}
