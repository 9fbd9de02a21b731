package file

import (
	"maps"
	"slices"
)

// save stores what mappings have changed in the file's pages, and lets the image of a
// file go that has no mappings.
func (n *Inode) save() error {
	n.writing.Lock()
	defer n.writing.Unlock()
	for first := true; ; first = false {
		n.lock()
		if first { // what is stored from now on is for the next time
			n.image.collect()
		}
		if n.image == nil || len(n.image.changed) == 0 || n.dead {
			n.dropImage()
			n.mu.Unlock()
			return nil
		}
		n.mu.Unlock()
		if err := n.saveStep(); err != nil {
			return err
		}
	}
}

// dropImage frees the image if nobody needs it. mu is held.
func (n *Inode) dropImage() {
	m := n.image
	if m == nil || !m.unused {
		return
	}
	for _, p := range m.parts {
		m.views.Release(p.Memory)
	}
	n.image = nil
	n.fs.images.drop(n)
}

// saveStep stores some pages, as one change. writing is held.
func (n *Inode) saveStep() error {
	if err := n.fs.enter(maxStep + inodeCost); err != nil {
		return err
	}
	defer n.fs.leave()
	n.lock()
	defer n.mu.Unlock()
	m := n.image
	blocks := slices.Sorted(maps.Keys(m.changed))
	l := n.openLayer()
	for _, block := range blocks[:min(len(blocks), maxStep/BlockSize)] {
		if p, ok := m.page(block, n.record.Size); ok {
			if err := n.putPage(l, block, 0, p, false); err != nil {
				return err
			}
		}
		delete(m.changed, block)
	}
	n.modified()
	return nil
}

// saveImages stores what mappings have changed of all files.
func (fs *FS) saveImages() (err error) {
	for _, n := range fs.images.list() {
		err = firstError(err, n.save())
	}
	return err
}

// storing tells whether there are mappings that may be stored to at any time.
func (fs *FS) storing() bool {
	for _, n := range fs.images.list() {
		n.rlock()
		storing := n.image != nil && (n.image.views.Writable() || len(n.image.changed) > 0)
		n.mu.RUnlock()
		if storing {
			return true
		}
	}
	return false
}

// reloadImages shows what the files have become by other ways than calls. Pages that
// mappings have changed, and that are not saved, stay as they are.
func (fs *FS) reloadImages() error {
	for _, n := range fs.images.list() {
		if err := n.reloadImage(0, MaxSize, true); err != nil {
			return err
		}
	}
	return nil
}

// reloadImage reads [from, end) of the image anew. What mappings have changed there, and is
// not saved, is kept or lost.
func (n *Inode) reloadImage(from, end int64, keep bool) error {
	n.lock()
	defer n.mu.Unlock()
	m := n.image
	if m == nil {
		return nil
	}
	m.collect()
	n.image = nil // page is to tell what is below it
	defer func() { n.image = m }()
	var err error
	m.each(from, min(end, n.record.Size), func(p *Part, at int64, memory []byte) {
		block, page := uint64(at/BlockSize), int((at-p.Off)/BlockSize)
		used := p.used[page/64]>>(page%64)&1 != 0
		if m.changed[block] && keep || err != nil {
			return
		}
		delete(m.changed, block)
		data, e := n.page(block)
		if err = e; err == nil && (data != nil || used) {
			clear(memory[copy(memory, data):])
			p.use(page, data != nil)
		}
	})
	m.views.Resized(n.record.Size)
	m.discard(int64(blocksOf(n.record.Size)) * BlockSize)
	return err
}
