package file

import (
	"errors"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// blockKey is the key of the blocks cache.
type blockKey struct{ inode, block uint64 }

func (k blockKey) hash() uint64 { return k.inode*0x9e3779b97f4a7c15>>32 + k.block }

// ReadAt reads into p from offset off and returns how many bytes; fewer than
// len(p) only at the end of the file, where there is no error.
func (n *Inode) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, syscall.EINVAL
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	if off >= n.record.Size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), n.record.Size-off)]
	if len(p) >= bulk {
		return n.readBulk(p, off)
	}
	for done := 0; done < len(p); {
		block, within := split(off + int64(done))
		m := min(len(p)-done, BlockSize-within)
		if err := n.readBlock(block, within, p[done:done+m]); err != nil {
			return done, err
		}
		done += m
	}
	return len(p), nil
}

// readBulk reads a long stretch from the store in one pass. What the cache
// holds is there, too.
func (n *Inode) readBulk(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	first, _ := split(off)
	it, err := n.blockIterator(first, blocksOf(end))
	if err != nil {
		return 0, err
	}
	done := 0
	for it.First(); it.Valid(); it.Next() {
		key, ok := parseKey(it.Key())
		value, err := it.ValueAndErr()
		if err != nil || !ok {
			return done, firstError(storage(err), storage(it.Close()), syscall.EIO)
		}
		start := int64(key.value)*BlockSize - off // in p; below 0 for the first
		if start > int64(done) {                  // a hole, or zeros behind short data
			clear(p[done:start])
			done = int(start)
		}
		if from := int64(done) - start; from < int64(len(value)) {
			done += copy(p[done:], value[from:])
		}
	}
	clear(p[done:])
	if err := it.Close(); err != nil {
		return done, storage(err)
	}
	return len(p), nil
}

// split says in which block an offset is, and where.
func split(off int64) (block uint64, within int) {
	return uint64(off) / BlockSize, int(uint64(off) % BlockSize)
}

// readBlock fills p with a part of one block; what is not stored is zero.
func (n *Inode) readBlock(block uint64, within int, p []byte) error {
	k := blockKey{n.number, block}
	if data, ok := n.fs.blocks.get(k.hash(), k); ok {
		fill(p, data, within)
		return nil
	}
	var name key
	data, closer, err := n.fs.db.Get(name.block(n.number, block))
	if errors.Is(err, pebble.ErrNotFound) {
		clear(p)
		return nil
	}
	if err != nil {
		return storage(err)
	}
	fill(p, data, within)
	n.cacheBlock(block, append([]byte(nil), data...))
	return storage(closer.Close())
}

// fill copies block data from the place within it, and zeros beyond it.
func fill(p, data []byte, within int) {
	if within < len(data) {
		p = p[copy(p, data[within:]):]
	}
	clear(p)
}

func (n *Inode) cacheBlock(block uint64, data []byte) {
	k := blockKey{n.number, block}
	n.fs.blocks.put(k.hash(), k, data, cap(data)+blockOverhead)
}

func (n *Inode) dropBlock(block uint64) {
	k := blockKey{n.number, block}
	n.fs.blocks.drop(k.hash(), k)
}

// blockOverhead is about what a cached block costs besides its data, bytes.
const blockOverhead = 128

// WriteAt writes p at offset off. ENOSPC, EFBIG; what was written before an
// error stays.
func (n *Inode) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, syscall.EINVAL
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.write(p, off)
}

// Append writes p at the end of the file and returns the new end.
func (n *Inode) Append(p []byte) (written int, end int64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	written, err = n.write(p, n.record.Size)
	return written, n.record.Size, err
}

// write is WriteAt with mu held.
func (n *Inode) write(p []byte, off int64) (int, error) {
	if off > MaxSize-int64(len(p)) {
		return 0, syscall.EFBIG
	}
	done := 0
	for done < len(p) {
		m := min(len(p)-done, maxBatch-int((off+int64(done))%maxBatch))
		if err := n.writeBatch(p[done:done+m], off+int64(done)); err != nil {
			return done, err
		}
		done += m
	}
	return done, nil
}

// writeBatch writes as one change; the range spans at most maxBatch bytes.
func (n *Inode) writeBatch(p []byte, off int64) (err error) {
	if err := n.fs.space.take(n.fs, len(p)+recordFixed); err != nil {
		return err
	}
	first, _ := split(off)
	b := n.fs.db.NewBatch()
	defer func() {
		if err != nil { // the cache may be ahead of the store
			for block := range uint64(maxBatch / BlockSize) {
				n.dropBlock(first + block)
			}
		}
	}()
	next := n.record
	for done := 0; done < len(p); {
		block, within := split(off + int64(done))
		m := min(len(p)-done, BlockSize-within)
		if err := n.writeBlock(b, &next, block, within, p[done:done+m], len(p) >= bulk); err != nil {
			return err
		}
		done += m
	}
	next.Size = max(next.Size, off+int64(len(p)))
	next.Modified = n.fs.now()
	next.Changed = next.Modified
	if err := n.stage(b, &next); err != nil {
		return err
	}
	return n.commit(b, next)
}

// writeBlock puts one block's new contents into the batch.
func (n *Inode) writeBlock(b *pebble.Batch, next *record, block uint64, within int, p []byte, bulk bool) error {
	if within == 0 && (len(p) == BlockSize || int64(block)*BlockSize+int64(len(p)) >= n.record.Size) {
		return n.replaceBlock(b, next, block, p, bulk)
	}
	old, existed, err := n.wholeBlock(block)
	if err != nil {
		return err
	}
	if !existed {
		next.Blocks++
	}
	if need := within + len(p); need > len(old) {
		size := len(old)
		old = grown(old, need)
		clear(old[size:need])
	}
	copy(old[within:], p)
	n.cacheBlock(block, old)
	return n.stageBlock(b, block, old)
}

// replaceBlock writes a block of which nothing old remains.
func (n *Inode) replaceBlock(b *pebble.Batch, next *record, block uint64, p []byte, bulk bool) error {
	existed, err := n.hasBlock(block)
	if err != nil {
		return err
	}
	if !existed {
		next.Blocks++
	}
	if bulk {
		n.dropBlock(block)
	} else {
		n.cacheBlock(block, n.copyForCache(block, p))
	}
	return n.stageBlock(b, block, p)
}

// copyForCache copies new block data, into the cached copy's memory where
// that has room. mu is held exclusively.
func (n *Inode) copyForCache(block uint64, p []byte) []byte {
	k := blockKey{n.number, block}
	old, _ := n.fs.blocks.get(k.hash(), k)
	return append(old[:0], p...)
}

func (n *Inode) stageBlock(b *pebble.Batch, block uint64, data []byte) error {
	var name key
	return storage(b.Set(name.block(n.number, block), data, nil))
}

// wholeBlock returns a block's data in memory that the caller may change: it
// is the cached copy, if there is one. mu is held exclusively.
func (n *Inode) wholeBlock(block uint64) (data []byte, existed bool, err error) {
	k := blockKey{n.number, block}
	if data, ok := n.fs.blocks.get(k.hash(), k); ok {
		return data, true, nil
	}
	var name key
	stored, closer, err := n.fs.db.Get(name.block(n.number, block))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, storage(err)
	}
	data = append([]byte(nil), stored...)
	return data, true, storage(closer.Close())
}

// hasBlock tells whether a block is stored, in the common cases without
// looking: none beyond the end, all in a file without holes.
func (n *Inode) hasBlock(block uint64) (bool, error) {
	blocks := blocksOf(n.record.Size)
	switch {
	case block >= blocks:
		return false, nil
	case uint64(n.record.Blocks) == blocks:
		return true, nil
	}
	var name key
	_, closer, err := n.fs.db.Get(name.block(n.number, block))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, storage(err)
	}
	return true, storage(closer.Close())
}

// blocksOf is the number of blocks that size bytes extend over.
func blocksOf(size int64) uint64 { return (uint64(size) + BlockSize - 1) / BlockSize }

// grown returns the slice with length n, in place or copied, with room for
// what small appends are likely to add.
func grown(b []byte, n int) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	larger := make([]byte, n, min(BlockSize, max(n, 2*cap(b))))
	copy(larger, b)
	return larger
}
