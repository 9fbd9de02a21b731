package file

import (
	"syscall"
)

// WriteAt writes p at offset off. ENOSPC, EFBIG; what was written before an
// error stays.
func (n *Inode) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, syscall.EINVAL
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	return n.write(p, off)
}

// Append writes p at the end of the file and returns the new end.
func (n *Inode) Append(p []byte) (written int, end int64, err error) {
	n.writing.Lock()
	defer n.writing.Unlock()
	end = n.Size()
	written, err = n.write(p, end)
	return written, end + int64(written), err
}

// write is WriteAt with writing held.
func (n *Inode) write(p []byte, off int64) (int, error) {
	if off > MaxSize-int64(len(p)) {
		return 0, syscall.EFBIG
	}
	done := 0
	for done < len(p) {
		m := min(len(p)-done, maxStep-int((off+int64(done))%maxStep))
		if err := n.writeStep(p[done:done+m], off+int64(done)); err != nil {
			return done, err
		}
		done += m
	}
	return done, nil
}

func (n *Inode) writeStep(p []byte, off int64) error {
	if err := n.fs.enter(len(p) + inodeCost); err != nil {
		return err
	}
	defer n.fs.leave()
	loaded, err := n.fs.loadChunks(p, off)
	if err != nil {
		return err
	}
	n.lock()
	defer n.mu.Unlock()
	return n.put(p, off, &loaded)
}

// put writes as one change; the range spans at most maxStep bytes, of which some may have
// been loaded. mu is held, inside the gate.
func (n *Inode) put(p []byte, off int64, loaded *loadedChunks) error {
	if err := n.prepare(p, off); err != nil {
		return err
	}
	if !n.image.room(off, len(p)) {
		return syscall.ENOMEM
	}
	l := n.openLayer()
	bypass := len(p) >= bulk
	done := 0
	var err error
	for done < len(p) && err == nil {
		block, within := split(off + int64(done))
		if id := loaded.at(off + int64(done)); id != 0 {
			if err = n.putLoaded(l, block/chunkPages, id); err == nil {
				done += chunkSize
			}
			continue
		}
		m := min(len(p)-done, BlockSize-within)
		if err = n.putPage(l, block, within, p[done:done+m], bypass); err == nil {
			done += m
		}
	}
	size := max(n.record.Size, off+int64(done))
	n.image.resize(n.record.Size, size)
	n.image.write(p[:done], off)
	n.record.Size = size
	n.modified()
	return err
}

// modified notes a change of the contents. mu is held, inside the gate.
func (n *Inode) modified() {
	n.record.Modified = n.fs.now()
	n.record.Changed = n.record.Modified
	n.fs.journal.touch(n)
}

// prepare reads what is needed of the pages at both ends, so that nothing can fail
// for want of them once the first is changed.
func (n *Inode) prepare(p []byte, off int64) error {
	for _, at := range [...]int64{off, off + int64(len(p)) - 1} {
		block, _ := split(at)
		start := int64(block) * BlockSize
		if n.whole(block, off-start, off+int64(len(p))-start) || start >= n.record.Size {
			continue
		}
		if _, err := n.page(block); err != nil {
			return err
		}
	}
	return nil
}

// whole tells whether nothing old is left of a page of which [from, to) is written.
func (n *Inode) whole(block uint64, from, to int64) bool {
	return from <= 0 && (to >= BlockSize || int64(block)*BlockSize+to >= n.record.Size)
}

// putPage gives a part of one page new contents.
func (n *Inode) putPage(l *layer, block uint64, within int, p []byte, bypass bool) error {
	c := l.chunk(block / chunkPages)
	i := int(block % chunkPages)
	if own := c.pages[i]; own != nil {
		c.set(i, overlay(own, within, p), bypass)
		return nil
	}
	existed, err := n.exists(block)
	if err != nil {
		return err
	}
	var page []byte
	if existed && !n.whole(block, int64(within), int64(within+len(p))) {
		old, err := n.page(block)
		if err != nil {
			return err
		}
		page = append(make([]byte, 0, roomFor(max(len(old), within+len(p)))), old...)
	}
	if !existed {
		n.record.Blocks++
	}
	if bypass {
		n.dropPage(block)
	}
	c.set(i, overlay(page, within, p), bypass)
	n.fs.journal.open.size.Add(pageCost)
	return nil
}

// overlay writes p into a page, which grows.
func overlay(page []byte, within int, p []byte) []byte {
	if need := within + len(p); need > len(page) {
		size := len(page)
		page = grown(page, need)
		clear(page[size:need])
	}
	copy(page[within:], p)
	return page
}

// grown returns the slice with length n, in place or copied, with room for
// what small appends are likely to add.
func grown(b []byte, n int) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	larger := make([]byte, n, roomFor(n))
	copy(larger, b)
	return larger
}

// roomFor is how large the memory is that n bytes of a page get.
func roomFor(n int) int {
	room := 64
	for room < n {
		room *= 2
	}
	return min(room, BlockSize)
}

// exists tells whether a page is stored or will be, in the common cases without
// looking: none beyond the end, all in a file without holes.
func (n *Inode) exists(block uint64) (bool, error) {
	blocks := blocksOf(n.record.Size)
	switch {
	case block >= blocks:
		return false, nil
	case uint64(n.record.Blocks) == blocks:
		return true, nil
	}
	if _, state := n.layers.Load().page(block); state != below {
		return state != hole, nil
	}
	x, err := n.storedExtent(block / chunkPages)
	if err != nil {
		return false, err
	}
	return x.refs[block%chunkPages].data != 0, nil
}
