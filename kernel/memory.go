package kernel

import "sync/atomic"

// Physical memory: pages that were given back are chained through their first
// word; the rest is handed out from the front of the boot loader's regions.
// Contiguous pieces come from those fronts only. mem guards all of it.

// region is usable memory, page-aligned, of which start moves up.
type region struct{ start, end uint64 }

var (
	regions     [maxRegions]region
	regionCount int
	freeHead    uint64 // physical address of the first free page, 0 if none
	pagesFree   atomic.Uint64
	pagesTotal  uint64

	// physOffset is what turns a physical address into a virtual one: zero
	// until the kernel's own page tables are in use.
	physOffset uintptr
)

func direct(phys uint64) uintptr { return physOffset + uintptr(phys) }

func freePages() uint64 { return pagesFree.Load() }

// addRegion gives the kernel memory to use. Bytes of pages only partly inside
// are lost.
func addRegion(start, end uint64) {
	start = (start + pageSize - 1) &^ (pageSize - 1)
	end &^= pageSize - 1
	if start >= end || regionCount == maxRegions {
		return
	}
	regions[regionCount] = region{start, end}
	regionCount++
	n := (end - start) / pageSize
	pagesTotal += n
	pagesFree.Add(n)
}

// allocPage returns a page with undefined content, 0 when none is left. mem
// is held.
func allocPage() uint64 {
	if p := freeHead; p != 0 {
		freeHead = *at[uint64](direct(p))
		pagesFree.Add(^uint64(0))
		return p
	}
	return allocContiguous(1)
}

// allocZeroPage is allocPage with the page zeroed.
func allocZeroPage() uint64 {
	p := allocPage()
	if p != 0 {
		zero(direct(p), pageSize)
	}
	return p
}

// allocContiguous returns n pages in a row with undefined content, 0 when no
// region has them. mem is held. Low regions go last, so that the machine's
// scarce memory below 4 GiB stays for whoever needs it.
func allocContiguous(n uint64) uint64 {
	for i := regionCount - 1; i >= 0; i-- {
		r := &regions[i]
		if (r.end-r.start)/pageSize >= n {
			p := r.start
			r.start += n * pageSize
			pagesFree.Add(-n)
			return p
		}
	}
	return 0
}

// freePage gives a page back. mem is held.
func freePage(p uint64) {
	*at[uint64](direct(p)) = freeHead
	freeHead = p
	pagesFree.Add(1)
}

// table is an array of fixed-size entries in pages that come when an entry is
// first used and never go. An entry is named by its index. perPage is a power
// of two.
type table struct {
	pages uintptr // array of virtual page addresses
	shift uint8   // log2 of entries in a page
	size  uintptr // bytes of an entry
	limit int32
}

// makeTable prepares a table of limit entries. It is called at boot.
func makeTable(limit int32, size uintptr) table {
	t := table{size: size, limit: limit}
	for size<<(t.shift+1) <= pageSize {
		t.shift++
	}
	n := (uintptr(limit)>>t.shift + 1) * 8
	mem.lock()
	p := allocContiguous((uint64(n) + pageSize - 1) / pageSize)
	mem.unlock()
	if p == 0 {
		crash("no memory for the kernel's tables")
	}
	t.pages = direct(p)
	zero(t.pages, (n+pageSize-1)&^(pageSize-1))
	return t
}

// get is the address of entry i, 0 where its page does not exist. It may be
// called from Go context.
func (t *table) get(i int32) uintptr {
	if i < 0 || i >= t.limit {
		return 0
	}
	page := atomic.LoadUintptr(at[uintptr](t.pages + uintptr(i>>t.shift)*8))
	if page == 0 {
		return 0
	}
	return page + uintptr(i)&(1<<t.shift-1)*t.size
}

// make is get that brings the page into being; 0 when memory or the table is
// exhausted.
func (t *table) make(i int32) uintptr {
	if e := t.get(i); e != 0 || i < 0 || i >= t.limit {
		return e
	}
	mem.lock()
	p := allocZeroPage()
	mem.unlock()
	if p == 0 {
		return 0
	}
	atomic.StoreUintptr(at[uintptr](t.pages+uintptr(i>>t.shift)*8), direct(p))
	return t.get(i)
}
