package file

import (
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// Truncate sets the size. What lies beyond a smaller size is gone; what a
// larger one adds reads as zeros and takes no space. EFBIG, EINVAL.
func (n *Inode) Truncate(size int64) error {
	switch {
	case size < 0:
		return syscall.EINVAL
	case size > MaxSize:
		return syscall.EFBIG
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead {
		return syscall.ENOENT
	}
	b := n.fs.db.NewBatch()
	next := n.record
	if size < n.record.Size {
		if err := n.cut(b, &next, size); err != nil {
			return err
		}
	}
	next.Size = size
	return n.touch(b, next)
}

// touch commits a change of the contents with its times.
func (n *Inode) touch(b *pebble.Batch, next record) error {
	next.Modified = n.fs.now()
	next.Changed = next.Modified
	if err := n.stage(b, &next); err != nil {
		return err
	}
	return n.commit(b, next)
}

// cut removes all data from size on.
func (n *Inode) cut(b *pebble.Batch, next *record, size int64) error {
	keep := blocksOf(size)
	if err := n.removeBlocks(b, next, keep, blocksOf(n.record.Size)); err != nil {
		return err
	}
	last, within := split(size)
	if within == 0 {
		return nil
	}
	data, existed, err := n.wholeBlock(last)
	if err != nil || !existed || len(data) <= within {
		return err
	}
	n.dropBlock(last)
	return n.stageBlock(b, last, data[:within])
}

// removeBlocks deletes the blocks in [from, to) and counts them out.
func (n *Inode) removeBlocks(b *pebble.Batch, next *record, from, to uint64) error {
	if from >= to {
		return nil
	}
	if uint64(n.record.Blocks) == blocksOf(n.record.Size) { // no holes
		next.Blocks -= int64(to - from)
	} else {
		stored, err := n.countBlocks(from, to)
		if err != nil {
			return err
		}
		next.Blocks -= int64(stored)
	}
	return n.deleteBlocksIn(b, from, to)
}

// deleteBlocks puts the removal of all blocks from the given one on into the
// batch.
func (n *Inode) deleteBlocks(b *pebble.Batch, from uint64) error {
	if n.record.Type() != syscall.S_IFREG {
		return nil
	}
	return n.deleteBlocksIn(b, from, blocksOf(n.record.Size))
}

func (n *Inode) deleteBlocksIn(b *pebble.Batch, from, to uint64) error {
	var start, end key
	if to > from+pointDeletes {
		n.dropCached(from, to)
		return storage(b.DeleteRange(start.block(n.number, from), end.block(n.number, to), nil))
	}
	for block := from; block < to; block++ {
		n.dropBlock(block)
		if err := b.Delete(start.block(n.number, block), nil); err != nil {
			return storage(err)
		}
	}
	return nil
}

// dropCached forgets the cached blocks in [from, to), which may be many more
// than the cache can hold.
func (n *Inode) dropCached(from, to uint64) {
	n.fs.blocks.dropAll(func(k blockKey) bool {
		return k.inode == n.number && k.block >= from && k.block < to
	})
}

// countBlocks counts the stored blocks in [from, to).
func (n *Inode) countBlocks(from, to uint64) (count uint64, err error) {
	it, err := n.blockIterator(from, to)
	if err != nil {
		return 0, err
	}
	for it.First(); it.Valid(); it.Next() {
		count++
	}
	return count, storage(it.Close())
}

// blockIterator iterates over the stored blocks in [from, to).
func (n *Inode) blockIterator(from, to uint64) (*pebble.Iterator, error) {
	var lower, upper key
	it, err := n.fs.db.NewIter(&pebble.IterOptions{
		LowerBound: lower.block(n.number, from),
		UpperBound: upper.block(n.number, to),
	})
	return it, storage(err)
}

// PunchHole makes n bytes from off on read as zeros and gives whole blocks
// back. The size stays.
func (n *Inode) PunchHole(off, length int64) error {
	if off < 0 || length <= 0 || off > MaxSize-length {
		return syscall.EINVAL
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	end := min(off+length, n.record.Size)
	if off >= end {
		return nil
	}
	b := n.fs.db.NewBatch()
	next := n.record
	if err := n.punch(b, &next, off, end); err != nil {
		return err
	}
	return n.touch(b, next)
}

// punch removes the data in [off, end), which lies within the size.
func (n *Inode) punch(b *pebble.Batch, next *record, off, end int64) error {
	first, within := split(off)
	last, tail := split(end)
	if end == n.record.Size && tail > 0 { // the last block has no more than this
		last, tail = last+1, 0
	}
	if first == last {
		return n.zero(b, first, within, tail)
	}
	if within > 0 {
		if err := n.zero(b, first, within, BlockSize); err != nil {
			return err
		}
		first++
	}
	if tail > 0 {
		if err := n.zero(b, last, 0, tail); err != nil {
			return err
		}
	}
	return n.removeBlocks(b, next, first, last)
}

// zero clears a part of one block, if it is stored.
func (n *Inode) zero(b *pebble.Batch, block uint64, from, to int) error {
	data, existed, err := n.wholeBlock(block)
	if err != nil || !existed || from >= len(data) {
		return err
	}
	clear(data[from:min(to, len(data))])
	n.dropBlock(block)
	return n.stageBlock(b, block, data)
}

// SeekData finds the next stored byte at or after off; ENXIO if none is left.
func (n *Inode) SeekData(off int64) (int64, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if off < 0 || off >= n.record.Size {
		return 0, syscall.ENXIO
	}
	first, _ := split(off)
	it, err := n.blockIterator(first, blocksOf(n.record.Size))
	if err != nil {
		return 0, err
	}
	found := it.First()
	var at int64
	if found {
		p, _ := parseKey(it.Key())
		at = int64(p.value) * BlockSize
	}
	if err := it.Close(); err != nil {
		return 0, storage(err)
	}
	if !found {
		return 0, syscall.ENXIO
	}
	return max(off, at), nil
}

// SeekHole finds the next byte at or after off that is not stored; the end
// of the file is one. ENXIO from the end on.
func (n *Inode) SeekHole(off int64) (int64, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if off < 0 || off >= n.record.Size {
		return 0, syscall.ENXIO
	}
	if uint64(n.record.Blocks) == blocksOf(n.record.Size) {
		return n.record.Size, nil
	}
	block, _ := split(off)
	it, err := n.blockIterator(block, blocksOf(n.record.Size))
	if err != nil {
		return 0, err
	}
	for it.First(); it.Valid(); it.Next() {
		if p, _ := parseKey(it.Key()); p.value != block {
			break
		}
		block++
	}
	if err := it.Close(); err != nil {
		return 0, storage(err)
	}
	return min(max(off, int64(block)*BlockSize), n.record.Size), nil
}
