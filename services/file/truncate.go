package file

import (
	"slices"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// Truncate sets the size. What lies beyond a smaller size is gone; what a
// larger one adds reads as zeros and takes no space. EFBIG, EINVAL. A file of many
// gigabytes is cut in several changes, from its end.
func (n *Inode) Truncate(size int64) error {
	switch {
	case size < 0:
		return syscall.EINVAL
	case size > MaxSize:
		return syscall.EFBIG
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	for {
		step := size
		if now := n.Size(); now-size > maxCut*chunkSize && n.Attr().Blocks > maxCut*chunkPages {
			step = now - maxCut*chunkSize
		}
		if err := n.truncateStep(step); err != nil || step == size {
			return err
		}
		if err := n.fs.flush(); err != nil {
			return err
		}
	}
}

func (n *Inode) truncateStep(size int64) error {
	need := 0
	if size > n.Size() {
		need = inodeCost
	}
	if err := n.fs.enter(need); err != nil {
		return err
	}
	defer n.fs.leave()
	return n.truncate(size)
}

// truncate is Truncate inside the gate.
func (n *Inode) truncate(size int64) error {
	n.lock()
	defer n.mu.Unlock()
	if n.dead {
		return syscall.ENOENT
	}
	if size < n.record.Size {
		if err := n.clear(size, n.record.Size); err != nil {
			return err
		}
	}
	n.image.resize(n.record.Size, size)
	n.record.Size = size
	n.modified()
	return nil
}

// PunchHole makes n bytes from off on read as zeros and gives whole pages
// back. The size stays.
func (n *Inode) PunchHole(off, length int64) error {
	if off < 0 || length <= 0 || off > MaxSize-length {
		return syscall.EINVAL
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	if err := n.fs.enter(0); err != nil {
		return err
	}
	defer n.fs.leave()
	n.lock()
	defer n.mu.Unlock()
	end := min(off+length, n.record.Size)
	if off >= end {
		return nil
	}
	if err := n.clear(off, end); err != nil {
		return err
	}
	n.image.clear(off, end)
	n.modified()
	return nil
}

// clear removes the data in [off, end), which lies within the size. mu is held, inside
// the gate.
func (n *Inode) clear(off, end int64) error {
	first, within := split(off)
	last, tail := split(end)
	if end == n.record.Size && tail > 0 { // the last page has no more than this
		last, tail = last+1, 0
	}
	if first == last {
		return n.zero(first, within, tail)
	}
	whole := first
	if within > 0 {
		if err := n.zero(first, within, BlockSize); err != nil {
			return err
		}
		whole++
	}
	if tail > 0 {
		if err := n.zero(last, 0, tail); err != nil {
			return err
		}
	}
	return n.removePages(whole, last)
}

// zero clears a part of one page, if it is stored.
func (n *Inode) zero(block uint64, from, to int) error {
	if n.image != nil { // it may have pages that are not stored
		if exists, err := n.exists(block); err != nil || !exists {
			return err
		}
	}
	data, err := n.page(block)
	if err != nil || from >= len(data) {
		return err
	}
	kept := append(make([]byte, 0, roomFor(len(data))), data...)
	if to >= len(data) {
		kept = kept[:from]
	} else {
		clear(kept[from:to])
	}
	if len(kept) == 0 {
		kept = append(kept, 0) // the page stays, for who counts pages
	}
	n.openLayer().chunk(block/chunkPages).set(int(block%chunkPages), kept, false)
	n.fs.journal.open.size.Add(pageCost)
	return nil
}

// removePages takes the pages [from, to) away and counts them out.
func (n *Inode) removePages(from, to uint64) error {
	if from >= to {
		return nil
	}
	numbers, err := n.chunksIn(from, to)
	if err != nil {
		return err
	}
	gone := int64(0)
	if uint64(n.record.Blocks) == blocksOf(n.record.Size) { // no holes
		gone = int64(to - from)
	} else if gone, err = n.count(numbers, from, to); err != nil {
		return err
	}
	l := n.openLayer()
	rest := to
	if to >= blocksOf(n.record.Size) {
		rest = (from + chunkPages - 1) / chunkPages * chunkPages
		l.cutFrom(rest / chunkPages)
	}
	for _, number := range numbers {
		start := number * chunkPages
		if start >= rest {
			break
		}
		l.chunk(number).remove(int(max(from, start)-start), int(min(to, start+chunkPages)-start))
	}
	n.dropPages(from, to)
	n.fs.journal.open.size.Add(int64(len(numbers)) * cutCost)
	n.record.Blocks -= gone
	return nil
}

// dropPages forgets the cached pages in [from, to), which may be many more
// than the cache can hold.
func (n *Inode) dropPages(from, to uint64) {
	if to-from <= 4*chunkPages {
		for block := from; block < to; block++ {
			n.dropPage(block)
		}
		return
	}
	n.fs.pages.dropAll(func(k blockKey) bool {
		return k.inode == n.number && k.block >= from && k.block < to
	})
}

// chunksIn lists the chunks with pages in [from, to), and maybe some without. mu is
// held.
func (n *Inode) chunksIn(from, to uint64) ([]uint64, error) {
	first, last := from/chunkPages, (to+chunkPages-1)/chunkPages
	var numbers []uint64
	if uint64(n.record.Blocks) == blocksOf(n.record.Size) || last-first <= fewChunks {
		for number := first; number < last; number++ {
			numbers = append(numbers, number)
		}
		return numbers, nil
	}
	add := func(number uint64) {
		if number >= first && number < last {
			numbers = append(numbers, number)
		}
	}
	// The layers come first: what is stored in between is then found below.
	layers := n.layers.Load()
	cut := noCut
	if layers != nil {
		for _, l := range [...]*layer{layers.open, layers.flushing} {
			if l == nil {
				continue
			}
			for number := range l.chunks {
				add(number)
			}
			cut = min(cut, l.cut)
		}
	}
	err := n.fs.view(func(tx *table.Tx) error {
		return scanExtents(tx, n.number, first, min(last, cut), func(number uint64, _ *extent) error {
			add(number)
			return nil
		})
	})
	if err != nil {
		return nil, n.fs.damaged("extents of inode %d: %v", n.number, err)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// storedExtent is the extent of a chunk, without what is not stored.
func (n *Inode) storedExtent(number uint64) (x *extent, err error) {
	err = n.view(func(s *stored) (err error) {
		x, err = s.extent(number)
		return err
	})
	if err != nil {
		return nil, n.fs.damaged("chunk %d of inode %d: %v", number, n.number, err)
	}
	return x, nil
}

// mask tells which pages of a chunk there are, a bit for each. mu is held.
func (n *Inode) mask(number uint64) (mask uint16, err error) {
	layers := n.layers.Load()
	var x *extent
	for i := range uint64(chunkPages) {
		_, state := layers.page(number*chunkPages + i)
		if state == below && x == nil {
			if x, err = n.storedExtent(number); err != nil {
				return 0, err
			}
		}
		if state == present || state == elsewhere || state == below && x.refs[i].data != 0 {
			mask |= 1 << i
		}
	}
	return mask, nil
}

// count counts the pages of the chunks that are there in [from, to).
func (n *Inode) count(numbers []uint64, from, to uint64) (count int64, err error) {
	for _, number := range numbers {
		mask, err := n.mask(number)
		if err != nil {
			return 0, err
		}
		for i := range uint64(chunkPages) {
			block := number*chunkPages + i
			if mask>>i&1 != 0 && block >= from && block < to {
				count++
			}
		}
	}
	return count, nil
}
