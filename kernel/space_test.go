package kernel

import (
	"maps"
	"slices"
	"testing"
)

// modelPage is what the model of the address space knows of a mapped page.
type modelPage struct {
	prot    uint8
	content uint64
}

// spaceModel is an address space as a program sees it: pages with a
// protection and content. The kernel's own, like [0, 1 MiB), are not in it.
type spaceModel struct {
	*testMachine
	pages map[uintptr]modelPage
}

// windows are where the histories happen: small, so that operations meet, and
// across the borders of page tables of each level.
var windows = []uintptr{1<<21 - 16*pageSize, 1<<30 - 16*pageSize, 1<<39 - 16*pageSize, mmapTop - 16*pageSize}

const windowPages = 32

func (s *spaceModel) address() uintptr {
	return windows[s.Intn(len(windows))] + uintptr(s.Intn(windowPages))*pageSize
}

func (s *spaceModel) length() uintptr { return uintptr(1 + s.Intn(12*pageSize)) }

func (s *spaceModel) prot() uint8 {
	return []uint8{0, protRead, protRead | protWrite, protRead | protWrite, protRead | protExec}[s.Intn(5)]
}

func ceil(n uintptr) uintptr { return (n + pageSize - 1) &^ (pageSize - 1) }

// each calls f for the address of each page of a range.
func each(va, n uintptr, f func(uintptr)) {
	for p := va; p < va+ceil(n); p += pageSize {
		f(p)
	}
}

// free and full tell whether none or all of a range is mapped.
func (s *spaceModel) free(va, n uintptr) bool {
	ok := true
	each(va, n, func(p uintptr) { _, have := s.pages[p]; ok = ok && !have })
	return ok && va >= 1<<20
}

func (s *spaceModel) full(va, n uintptr) bool {
	ok := true
	each(va, n, func(p uintptr) { _, have := s.pages[p]; ok = ok && have })
	return ok
}

func (s *spaceModel) want(what string, got, want uintptr) {
	s.t.Helper()
	if got != want {
		s.t.Fatalf("%s: got %#x, want %#x", what, got, want)
	}
}

func (s *spaceModel) mmap() {
	hint, n, prot := s.address(), s.length(), s.prot()
	fixed := s.Intn(2) == 0
	noReplace := fixed && s.Intn(3) == 0
	switch s.Intn(10) {
	case 0:
		hint = 0
	case 1:
		hint += 8
	case 2:
		hint = 1<<20 - pageSize // the kernel's
	}
	free := s.free(hint, n)
	va := mapAnonymous(hint, n, prot, fixed, noReplace)
	switch {
	case fixed && (hint%pageSize != 0 || hint == 0):
		s.want("mmap of a bad address", va, errINVAL)
		return
	case noReplace && !free:
		s.want("mmap over something", va, errEXIST)
		return
	case fixed && hint < 1<<20:
		s.want("mmap over the kernel", va, errNOMEM)
		return
	case fixed:
		s.want("mmap", va, hint)
	case hint >= 1<<20 && s.free(hint&^(pageSize-1), n):
		s.want("mmap with a free wish", va, hint&^(pageSize-1))
	default:
		s.want("mmap's best place", va, s.highest(ceil(n)))
		if va < mmapTop-windowPages/2*pageSize { // nothing else happens there
			s.want("munmap", unmap(va, n), 0)
			return
		}
	}
	each(va, n, func(p uintptr) { s.pages[p] = modelPage{prot: prot} })
}

// highest is the highest place for n bytes below mmapTop.
func (s *spaceModel) highest(n uintptr) uintptr {
	va := mmapTop - n
	for !s.free(va, n) {
		va -= pageSize
	}
	return va
}

func (s *spaceModel) munmap() {
	va, n := s.address(), s.length()
	switch s.Intn(10) {
	case 0:
		s.want("munmap of a bad address", unmap(va+1, n), errINVAL)
		return
	case 1:
		s.want("munmap of the kernel's", unmap(0, n), errINVAL)
		s.want("munmap of nothing", unmap(va, 0), errINVAL)
		s.want("munmap of all", unmap(va, ^uintptr(0)-va), errINVAL)
		return
	}
	s.want("munmap", unmap(va, n), 0)
	each(va, n, func(p uintptr) { delete(s.pages, p) })
}

func (s *spaceModel) mprotect() {
	va, n, prot := s.address(), s.length(), s.prot()
	r := protect(va, n, prot)
	if !s.full(va, n) {
		s.want("mprotect across a hole", r, errNOMEM)
		return
	}
	s.want("mprotect", r, 0)
	each(va, n, func(p uintptr) { s.pages[p] = modelPage{prot, s.pages[p].content} })
}

func (s *spaceModel) madvise() {
	const dontNeed, hugePage = 4, 14
	va, n := s.address(), s.length()
	s.want("madvise of no effect", advise(va, n, hugePage), 0)
	r := advise(va, n, dontNeed)
	if !s.full(va, n) {
		s.want("madvise across a hole", r, errNOMEM)
		return
	}
	s.want("madvise", r, 0)
	each(va, n, func(p uintptr) { s.pages[p] = modelPage{prot: s.pages[p].prot} })
}

// reach does what the processor does at an access: look at the page tables,
// and ask the kernel if they do not allow it. It returns the word's address
// in this process, 0 where the program would get a signal.
func (s *spaceModel) reach(va uintptr, write, exec bool) uintptr {
	allowed := func() bool {
		e := entry(va, false)
		return e != nil && *e&ptePresent != 0 && (!write || *e&pteWrite != 0) && (!exec || *e&pteNX == 0)
	}
	if !allowed() {
		if !resolve(va, write, exec) {
			return 0
		}
		if !allowed() {
			s.t.Fatalf("a fault at %#x is served, and would come again", va)
		}
	}
	phys, ok := translate(va)
	if !ok {
		s.t.Fatalf("%#x is allowed and not there", va)
	}
	return direct(phys)
}

func (s *spaceModel) access() {
	va := s.address()
	write, exec := s.Intn(2) == 0, false
	if !write {
		exec = s.Intn(4) == 0
	}
	p, mapped := s.pages[va]
	want := mapped && p.prot != 0 && (!write || p.prot&protWrite != 0) && (!exec || p.prot&protExec != 0)
	a := s.reach(va, write, exec)
	if (a != 0) != want {
		s.t.Fatalf("access of %#x (write %v, exec %v): allowed %v, want %v", va, write, exec, a != 0, want)
	}
	if a == 0 {
		return
	}
	if got := *at[uint64](a); got != p.content {
		s.t.Fatalf("%#x holds %#x, want %#x", va, got, p.content)
	}
	if write {
		p.content = s.Uint64()
		*at[uint64](a) = p.content
		s.pages[va] = p
	}
}

// check compares the list of mappings with the model's pages: the same, and
// as few as can be.
func (s *spaceModel) check() {
	var want []vma
	for _, va := range slices.Sorted(maps.Keys(s.pages)) {
		p := s.pages[va]
		if n := len(want); n > 0 && want[n-1].end == va && want[n-1].prot == p.prot {
			want[n-1].end += pageSize
			continue
		}
		want = append(want, vma{start: va, end: va + pageSize, prot: p.prot})
	}
	var got []vma
	for i := range vmaCount {
		if v := *vmaAt(i); !v.fixed {
			got = append(got, v)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("mappings:\n got %+v\nwant %+v", got, want)
	}
}

// TestSpace runs random histories of mmap, munmap, mprotect, madvise and
// accesses beside a model.
func TestSpace(t *testing.T) {
	s := &spaceModel{testMachine: newTestMachine(t, 4096, 1), pages: map[uintptr]modelPage{}}
	operations := []func(){s.mmap, s.munmap, s.mprotect, s.mprotect, s.madvise, s.access, s.access, s.access, s.access}
	for i := range rounds(100_000) {
		operations[s.Intn(len(operations))]()
		s.check()
		if i%1000 == 0 {
			s.checkMemory()
		}
	}
	for _, va := range windows {
		s.want("munmap", unmap(va, windowPages*2*pageSize), 0)
	}
	s.checkMemory()
}

// Memory goes back when it is given back, and what cannot be is refused.
func TestMemoryReturns(t *testing.T) {
	m := newTestMachine(t, 4096, 1)
	s := &spaceModel{testMachine: m}
	const n = 512
	va := mapAnonymous(0, n*pageSize, protRead|protWrite, false, false)
	use := func() {
		for p := range uintptr(n) {
			if s.reach(va+p*pageSize, true, false) == 0 {
				t.Fatal("no memory")
			}
		}
	}
	use()
	full := freePages()
	for range 100 {
		s.want("madvise", advise(va, n*pageSize, 4), 0)
		if got := freePages() - full; got != n {
			t.Fatalf("%d pages came back of %d", got, n)
		}
		use()
	}
	s.want("munmap", unmap(va, n*pageSize), 0)
	m.checkMemory()
}

// A machine whose memory is all used refuses the heap's growth, keeps a
// reserve, opens it once, and ends with nothing lost.
func TestOutOfMemory(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	s := &spaceModel{testMachine: m}
	const size = uintptr(1) << 30
	va := mapAnonymous(0, size, protRead|protWrite, false, false)
	s.want("a mapping larger than the memory", mapAnonymous(va-size, size, protRead|protWrite, true, false), errNOMEM)
	s.want("address space only", mapAnonymous(va-size, size, 0, true, false), va-size)
	p := va
	for s.reach(p, true, false) != 0 {
		if p += pageSize; p == va+size {
			t.Fatal("memory without end")
		}
	}
	if free := freePages(); free > reservePages/2 || free < reservePages/2-3 {
		t.Errorf("%d pages are kept in reserve", free)
	}
	if outOfMemory(va - pageSize) {
		t.Error("a fault outside of memory counts as a lack of it")
	}
	if !outOfMemory(p) {
		t.Error("the lack of memory is not noticed")
	}
	for s.reach(p, true, false) != 0 {
		p += pageSize
	}
	if free := freePages(); free != 0 {
		t.Errorf("%d pages remain of the reserve", free)
	}
	if allocPage() != 0 || allocContiguous(1) != 0 || threads.make(maxThreads-1) != 0 {
		t.Error("a page out of nowhere")
	}
	s.want("munmap", unmap(va, size), 0)
	m.checkMemory()
}

// A full table of mappings is an error and changes nothing.
func TestManyMappings(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	s := &spaceModel{testMachine: m}
	const base, n = uintptr(1 << 30), maxVMAs * pageSize
	s.want("mmap", mapAnonymous(base, n, protRead, true, false), base)
	va := base + pageSize
	for protect(va, pageSize, protRead|protWrite) == 0 {
		va += 2 * pageSize
		if va >= base+n {
			t.Fatal("more mappings than the table holds")
		}
	}
	for i := 1; i < vmaCount; i++ {
		a, b := *vmaAt(i - 1), *vmaAt(i)
		if a.end > b.start || b.start >= b.end {
			t.Fatalf("%+v overlaps %+v", a, b)
		}
	}
	// What would need more entries leaves what is there.
	before := make([]vma, vmaCount)
	for i := range before {
		before[i] = *vmaAt(i)
	}
	s.want("mmap over a mapping", mapAnonymous(base, pageSize, protRead|protWrite, true, false), errNOMEM)
	for i, v := range before {
		if *vmaAt(i) != v {
			t.Fatalf("mapping %d is %+v, was %+v", i, *vmaAt(i), v)
		}
	}
	// One at a time, from the front: each joins both of its neighbours.
	for p := base; p < va; p += pageSize {
		s.want("mprotect", protect(p, pageSize, protRead), 0)
	}
	s.want("mprotect of all", protect(base, n, protRead), 0)
	if vmaCount != 2 {
		t.Errorf("%d mappings, of which 1 is the kernel's", vmaCount)
	}
}

// One call over many pieces makes them one.
func TestProtectJoins(t *testing.T) {
	s := &spaceModel{testMachine: newTestMachine(t, 1024, 1)}
	const base, pieces = uintptr(1 << 30), 9
	for i := range uintptr(pieces) {
		s.want("mmap", mapAnonymous(base+i*pageSize, pageSize, uint8(1+i%2*2), true, false), base+i*pageSize)
	}
	s.want("mprotect", protect(base, pieces*pageSize, protRead), 0)
	if vmaCount != 2 {
		t.Errorf("%d mappings, of which 1 is the kernel's", vmaCount)
	}
}

// TestTable: entries come when they are asked for, and do not overlap.
func TestTable(t *testing.T) {
	newTestMachine(t, 1024, 1)
	for _, size := range []uintptr{8, 64, 512, 4096} {
		tab := makeTable(1000, size)
		if tab.get(7) != 0 || tab.get(-1) != 0 || tab.get(1000) != 0 || tab.make(-1) != 0 || tab.make(1000) != 0 {
			t.Error("an entry out of nowhere")
		}
		var entries []uintptr
		for i := range int32(200) {
			e := tab.make(i * 5)
			if e == 0 || e != tab.get(i*5) || e != tab.make(i*5) {
				t.Fatal("an entry moves")
			}
			entries = append(entries, e)
		}
		slices.Sort(entries)
		for i := 1; i < len(entries); i++ {
			if entries[i]-entries[i-1] < size {
				t.Fatalf("entries of %d bytes overlap", size)
			}
		}
	}
}

// Regions are taken as they come, up to a limit, without what surrounds them.
func TestAddFree(t *testing.T) {
	defer forgetMachine()
	defer func() { moduleCount = 0 }()
	const mib = 1 << 20
	modules[0] = bootModule{start: 10*mib + 5, size: 2*mib - 10}
	modules[1] = bootModule{start: 30 * mib, size: 10}
	moduleCount = 2
	addFree(region{mib, 32 * mib}, region{16 * mib, 20 * mib}, 0)
	want := []region{{mib, 10 * mib}, {12 * mib, 16 * mib}, {20 * mib, 30 * mib}, {30*mib + pageSize, 32 * mib}}
	got := slices.Clone(regions[:regionCount])
	slices.SortFunc(got, func(a, b region) int { return int(int64(a.start - b.start)) })
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if pagesTotal*pageSize != 25*mib-pageSize {
		t.Errorf("%d pages", pagesTotal)
	}
}

// The linear map has what the memory map names and nothing else.
func TestIsMapped(t *testing.T) {
	defer func() { mapCount = 0 }()
	memoryMap[0], memoryMap[1] = mapEntry{1 << 20, 1 << 20, 1}, mapEntry{8 << 20, 4096, 3}
	mapCount = 2
	for _, test := range []struct {
		phys, n uint64
		want    bool
	}{
		{0, 1, true}, {0, 1 << 20, true}, {1 << 20, 1 << 20, true}, {8 << 20, 4096, true}, {0x7FFF8, 0, false},
		{1<<20 - 1, 2, false}, {1<<20 + 1, 1 << 20, false}, {4 << 20, 1, false}, {8 << 20, 4097, false},
		{^uint64(0), 2, false}, {^uint64(0) - 100, 200, false}, {1 << 20, ^uint64(0), false},
	} {
		if got := isMapped(test.phys, test.n); got != test.want {
			t.Errorf("%#x, %d bytes: %v", test.phys, test.n, got)
		}
	}
}
