package kernel

import "testing"

// filePages is the size of the home in the tests, filePlaces where views of it go.
const (
	filePages = 40
	viewPages = 24
)

var filePlaces = []uintptr{1 << 30, 1<<30 + viewPages*pageSize, 1<<39 - 5*pageSize}

// fileModel is a home and views of it, as a program sees them.
type fileModel struct {
	*spaceModel
	home    uintptr
	content [filePages]uint64
	pages   map[uintptr]*viewedPage
}

// viewedPage is a page of a view.
type viewedPage struct {
	page      uintptr // of the home
	prot      uint8
	mayWrite  bool
	reachable bool // below the limit
	dirty     bool
}

func (f *fileModel) view() {
	place := filePlaces[f.Intn(len(filePlaces))]
	first := uintptr(f.Intn(filePages))
	n := uintptr(1 + f.Intn(min(viewPages, filePages-int(first))))
	limit := uintptr(f.Intn(int(n+2) * pageSize))
	prot, flags := uint8(1+f.Intn(2)*2), uintptr(mapFixed)
	if f.Intn(2) == 0 || prot&protWrite != 0 {
		flags |= mapMayWrite
	}
	f.want("mapFile", mapFile(place, n*pageSize-5, uintptr(prot)|flags<<8, f.home+first*pageSize, limit), place)
	for i := range n {
		f.pages[place+i*pageSize] = &viewedPage{first + i, prot, flags&mapMayWrite != 0, i*pageSize < limit, false}
	}
}

func (f *fileModel) place() (va, n uintptr) {
	return filePlaces[f.Intn(len(filePlaces))] + uintptr(f.Intn(viewPages))*pageSize, uintptr(1+f.Intn(8)) * pageSize
}

func (f *fileModel) touch() {
	va, _ := f.place()
	p, write := f.pages[va], f.Intn(2) == 0
	allowed := p != nil && p.prot != 0 && (!write || p.prot&protWrite != 0)
	a := f.reach(va, write, false)
	if (a != 0) != (allowed && p.reachable) {
		f.t.Fatalf("access of %#x (write %v): %v, %+v", va, write, a != 0, p)
	}
	if beyondFile(va, write, false) != allowed {
		f.t.Fatalf("a fault at %#x (write %v): SIGBUS %v", va, write, !allowed)
	}
	if a == 0 {
		return
	}
	if got := *at[uint64](a); got != f.content[p.page] {
		f.t.Fatalf("%#x shows %#x, want %#x", va, got, f.content[p.page])
	}
	if write {
		f.content[p.page], p.dirty = f.Uint64(), true
		*at[uint64](a) = f.content[p.page]
		*entry(va, false) |= pteDirty // the processor does that
	}
}

func (f *fileModel) writeHome() {
	page := uintptr(f.Intn(filePages))
	a := f.reach(f.home+page*pageSize, true, false)
	if got := *at[uint64](a); got != f.content[page] {
		f.t.Fatalf("page %d of the home has %#x, want %#x", page, got, f.content[page])
	}
	f.content[page] = f.Uint64()
	*at[uint64](a) = f.content[page]
}

func (f *fileModel) each(va, n uintptr, do func(p *viewedPage)) (all bool) {
	all = true
	each(va, n, func(a uintptr) {
		if p := f.pages[a]; p != nil {
			do(p)
		} else {
			all = false
		}
	})
	return all
}

func (f *fileModel) mprotect() {
	va, n := f.place()
	prot := uint8(f.Intn(8))
	refused := false
	all := f.each(va, n, func(p *viewedPage) {
		refused = refused || prot&protExec != 0 || prot&protWrite != 0 && !p.mayWrite
	})
	switch r := protect(va, n, prot); {
	case refused:
		f.want("mprotect of a file", r, errACCES)
	case !all:
		f.want("mprotect across a hole", r, errNOMEM)
	default:
		f.want("mprotect", r, 0)
		f.each(va, n, func(p *viewedPage) { p.prot = prot })
	}
}

func (f *fileModel) moveLimit() {
	va, n := f.place()
	limit := va + uintptr(f.Intn(int(n)+2*pageSize))
	f.want("limitFile", limitFile(va, n, limit), 0)
	each(va, n, func(a uintptr) {
		if p := f.pages[a]; p != nil {
			p.reachable = a < limit
			p.dirty = p.dirty && p.reachable
		}
	})
}

func (f *fileModel) dirty() {
	va, _ := f.place()
	n := uintptr(1 + f.Intn(64))
	bits := takeDirty(va, n)
	if bits>>n != 0 {
		f.t.Fatalf("of %d pages these are dirty: %b", n, bits)
	}
	for i := range n {
		p := f.pages[va+i*pageSize]
		if want := p != nil && p.dirty; want != (bits>>i&1 != 0) {
			f.t.Fatalf("%#x is dirty: %v", va+i*pageSize, !want)
		} else if want {
			p.dirty = false
		}
	}
}

func (f *fileModel) remove() {
	va, n := f.place()
	f.want("unmap", unmap(va, n), 0)
	each(va, n, func(a uintptr) { delete(f.pages, a) })
}

func (f *fileModel) advice() {
	va, n := f.place()
	if f.each(va, n, func(*viewedPage) {}) {
		f.want("madvise", advise(va, n, 4), 0)
	}
}

// TestFileMappings runs random histories of mappings of one home beside a model.
func TestFileMappings(t *testing.T) {
	m := newTestMachine(t, 4096, 1)
	f := &fileModel{spaceModel: &spaceModel{testMachine: m}, pages: map[uintptr]*viewedPage{}}
	f.home = mapAnonymous(0, filePages*pageSize, protRead|protWrite, false, false)
	steps := []func(){f.view, f.touch, f.touch, f.touch, f.touch, f.writeHome, f.mprotect, f.moveLimit, f.dirty, f.remove, f.advice}
	for i := range rounds(100_000) {
		steps[f.Intn(len(steps))]()
		if i%1000 == 0 {
			f.checkMemory()
		}
	}
	for _, va := range filePlaces {
		f.want("unmap", unmap(va, viewPages*pageSize), 0)
	}
	f.want("unmap", unmap(f.home, filePages*pageSize), 0)
	f.checkMemory()
	if n := fileMappings.Load(); n != 0 || overlapsFile(0, userEnd) {
		t.Errorf("%d mappings of files remain", n)
	}
	for _, bad := range []struct{ how, home uintptr }{{protExec, f.home}, {protRead, f.home + 1}, {protRead, 0}, {protRead, userEnd}} {
		f.want("a bad mapping", mapFile(0, pageSize, bad.how, bad.home, pageSize), errINVAL)
	}
}
