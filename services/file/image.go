package file

import (
	"maps"
	"slices"
	"sync"
	"syscall"
)

// A file with shared mappings has its contents, as far as they are mapped, in one piece
// of memory more, its image, which the mappings show. Reads of the file read the image.
// Writes go to the file's pages, as always, and to the image. What programs store into
// a mapping is in the image only, until it is saved: by Sync of the file or of all, with
// the background's, or when the last mapping goes.

// Views are the mappings of one file, and the memory that they show. Its methods are
// called with the inode locked: they must not block, nor call the inode.
type Views interface {
	// Reserve returns n bytes of zeros, a multiple of BlockSize, that take memory as they
	// are touched. ENOMEM.
	Reserve(n int) ([]byte, error)

	// Release takes memory back that no mapping shows any longer.
	Release(memory []byte)

	// Discard makes whole pages zeros again that no mapping can reach.
	Discard(memory []byte)

	// Room tells whether so many bytes of memory more can be used.
	Room(n int64) bool

	// Resized says that the file now has size bytes: no page beyond is to be reached.
	Resized(size int64)

	// Changed calls each with the offset of each page that was stored to by a mapping
	// since Changed was last called.
	Changed(each func(off int64))

	// Writable tells whether there is a mapping that may be stored to.
	Writable() bool
}

// Part is a piece of an image: the memory with what the file has from Off on.
type Part struct {
	Off    int64
	Memory []byte // whole pages

	used []uint64 // a bit for each page that may be other than zeros
}

func (p *Part) end() int64 { return p.Off + int64(len(p.Memory)) }

// use notes whether pages are other than zeros.
func (p *Part) use(page int, used bool) {
	if used {
		p.used[page/64] |= 1 << (page % 64)
	} else {
		p.used[page/64] &^= 1 << (page % 64)
	}
}

// image is what an inode has of it. The inode's lock guards it.
type image struct {
	views   Views
	parts   []*Part         // by offset, not overlapping
	changed map[uint64]bool // pages that were stored to by a mapping and are not saved
	unused  bool            // there is no mapping any longer
}

// images are the inodes that have an image.
type images struct {
	mu     sync.Mutex
	inodes map[*Inode]struct{}
}

func (i *images) put(n *Inode) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.inodes == nil {
		i.inodes = map[*Inode]struct{}{}
	}
	i.inodes[n] = struct{}{}
}

func (i *images) drop(n *Inode) {
	i.mu.Lock()
	delete(i.inodes, n)
	i.mu.Unlock()
}

func (i *images) list() []*Inode {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Collect(maps.Keys(i.inodes))
}

// Share brings [off, off+length), offsets of pages, into memory for mappings of it, and
// returns the parts of the image that it lies in, in their order. Until Unshare, views
// is told what becomes of the file. ENODEV if it is no regular file, ENOMEM, EIO.
func (n *Inode) Share(views Views, off, length int64) ([]Part, error) {
	n.lock()
	defer n.mu.Unlock()
	switch {
	case n.record.Type() != syscall.S_IFREG:
		return nil, syscall.ENODEV
	case n.dead:
		return nil, syscall.ENOENT
	case off < 0 || length <= 0 || off%BlockSize != 0 || length%BlockSize != 0 || off > MaxSize-length:
		return nil, syscall.EINVAL
	}
	m := n.image
	if m == nil {
		m = &image{changed: map[uint64]bool{}}
	}
	m.views = views
	if err := n.extend(m, off, off+length); err != nil {
		return nil, err
	}
	m.unused = false
	n.image = m
	n.fs.images.put(n)
	var found []Part
	for _, p := range m.parts {
		if p.Off < off+length && off < p.end() {
			found = append(found, *p)
		}
	}
	return found, nil
}

// extend adds parts for what the image lacks of [off, end). mu is held.
func (n *Inode) extend(m *image, off, end int64) error {
	for i := 0; off < end; i++ {
		next := end
		if i < len(m.parts) {
			p := m.parts[i]
			if p.end() <= off {
				continue
			}
			if p.Off <= off {
				off = p.end()
				continue
			}
			next = min(next, p.Off)
		}
		p, err := n.newPart(m, off, next)
		if err != nil {
			return err
		}
		m.parts = slices.Insert(m.parts, i, p)
		off = next
	}
	return nil
}

// newPart makes a part of the image that has what the file has in [off, end).
func (n *Inode) newPart(m *image, off, end int64) (*Part, error) {
	need := min(end, n.record.Size) - off
	if need > 0 && !m.views.Room(min(need, n.record.Blocks*BlockSize)) {
		return nil, syscall.ENOMEM
	}
	memory, err := m.views.Reserve(int(end - off))
	if err != nil {
		return nil, err
	}
	p := &Part{Off: off, Memory: memory, used: make([]uint64, (end-off)/BlockSize/64+1)}
	if err := n.fillPart(p); err != nil {
		m.views.Release(memory)
		return nil, err
	}
	return p, nil
}

// fillPart reads what the file has of a new part.
func (n *Inode) fillPart(p *Part) error {
	end := min(p.end(), n.record.Size)
	for off := p.Off; off < end; {
		next := min(off/chunkSize*chunkSize+chunkSize, end)
		mask, err := n.mask(uint64(off / chunkSize))
		if err != nil {
			return err
		}
		if mask != 0 {
			if _, err := n.readBulk(p.Memory[off-p.Off:next-p.Off], off); err != nil {
				return err
			}
			for at := off; at < next; at += BlockSize {
				p.use(int((at-p.Off)/BlockSize), true)
			}
		}
		off = next
	}
	return nil
}

// Mapped tells whether the file has an image.
func (n *Inode) Mapped() bool {
	n.rlock()
	defer n.mu.RUnlock()
	return n.image != nil
}

// Refresh tells the views what size the file has, for mappings that came to them since
// they were last told.
func (n *Inode) Refresh() {
	n.lock()
	defer n.mu.Unlock()
	if n.image != nil {
		n.image.views.Resized(n.record.Size)
	}
}

// CollectChanges asks the views which pages were stored to, before some of their
// mappings go.
func (n *Inode) CollectChanges() {
	n.lock()
	defer n.mu.Unlock()
	n.image.collect()
}

// Unshare says that there is no mapping any longer. What they have changed is saved; if
// that fails it is tried again with every Sync.
func (n *Inode) Unshare() error {
	n.lock()
	if n.image != nil {
		n.image.unused = true
	}
	n.mu.Unlock()
	return n.save()
}

// page returns what the image has of a page.
func (m *image) page(block uint64, size int64) ([]byte, bool) {
	if m == nil {
		return nil, false
	}
	off := int64(block) * BlockSize
	p := m.part(off)
	if p == nil || off >= size {
		return nil, false
	}
	return p.Memory[off-p.Off:][:min(BlockSize, size-off)], true
}

// part finds the part with an offset; nil: there is none.
func (m *image) part(off int64) *Part {
	i, found := slices.BinarySearchFunc(m.parts, off, func(p *Part, off int64) int {
		switch {
		case p.end() <= off:
			return -1
		case p.Off > off:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return m.parts[i]
}

// each calls fn for the pieces of memory that the image has of [off, end), no more than
// a page each.
func (m *image) each(off, end int64, fn func(p *Part, off int64, memory []byte)) {
	for _, p := range m.parts {
		for at := max(off, p.Off); at < min(end, p.end()); {
			next := min(at/BlockSize*BlockSize+BlockSize, end)
			fn(p, at, p.Memory[at-p.Off:next-p.Off])
			at = next
		}
	}
}

// room tells whether there is memory for a write of new pages.
func (m *image) room(off int64, n int) bool {
	if m == nil {
		return true
	}
	need := int64(0)
	m.each(off, off+int64(n), func(p *Part, at int64, memory []byte) {
		if page := int((at - p.Off) / BlockSize); p.used[page/64]>>(page%64)&1 == 0 {
			need += BlockSize
		}
	})
	return need == 0 || m.views.Room(need)
}

// write shows what was written.
func (m *image) write(p []byte, off int64) {
	if m == nil {
		return
	}
	m.each(off, off+int64(len(p)), func(part *Part, at int64, memory []byte) {
		copy(memory, p[at-off:])
		part.use(int((at-part.Off)/BlockSize), true)
	})
}

// clear makes what was removed zeros.
func (m *image) clear(off, end int64) {
	if m == nil {
		return
	}
	m.collect()
	m.each(off, end, func(p *Part, at int64, memory []byte) {
		page := int((at - p.Off) / BlockSize)
		if p.used[page/64]>>(page%64)&1 != 0 || m.changed[uint64(at/BlockSize)] {
			clear(memory)
		}
	})
}

// resize shows a new size. What mappings have stored behind the end is lost.
func (m *image) resize(old, size int64) {
	if m == nil || old == size {
		return
	}
	from := min(old, size)
	whole := (from + BlockSize - 1) / BlockSize * BlockSize
	if size < old {
		m.views.Resized(size)
	}
	m.clear(from, whole)
	if size < old {
		m.discard(whole)
	} else {
		m.views.Resized(size)
	}
}

// discard forgets the pages from an offset on, which no mapping reaches any longer.
func (m *image) discard(from int64) {
	for _, p := range m.parts {
		if p.end() <= from {
			continue
		}
		first := max(from, p.Off)
		m.views.Discard(p.Memory[first-p.Off:])
		for page := int((first - p.Off) / BlockSize); page < len(p.Memory)/BlockSize; page++ {
			p.use(page, false)
		}
	}
	maps.DeleteFunc(m.changed, func(block uint64, _ bool) bool { return int64(block)*BlockSize >= from })
}

// collect notes what mappings have changed since the last time.
func (m *image) collect() {
	if m == nil {
		return
	}
	m.views.Changed(func(off int64) {
		if p := m.part(off); p != nil {
			p.use(int((off-p.Off)/BlockSize), true)
			m.changed[uint64(off/BlockSize)] = true
		}
	})
}
