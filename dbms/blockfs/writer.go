package blockfs

import (
	"fmt"
	"math/bits"
	"syscall"
	"time"
)

// buffer gathers what is written to a file, so that the device sees few writes
// of whole sectors. It holds a contiguous piece of the file that begins on a
// sector; after writing out, the last sector stays if it is not full, for the
// next append to add to it.
//
//	off ─────────────── off+dirty ──────────── off+len(data)
//	 │ on the device         │ not yet there         │
//
// Changed only with inode.writer and inode.view held, read with either.
type buffer struct {
	off   int64
	data  []byte
	dirty int
}

func (b *buffer) end() int64 { return b.off + int64(len(b.data)) }

func (b *buffer) clean() bool { return b.dirty == len(b.data) }

// reserveBuffer makes room for n more bytes, rounded up so that the padding to
// a whole sector always fits behind the data. bufferBytes bound the whole.
func (b *buffer) reserveBuffer(n int) {
	if need := max(len(b.data)+n, blockSize); need > cap(b.data) {
		grown := make([]byte, len(b.data), 1<<bits.Len(uint(need-1)))
		copy(grown, b.data)
		b.data = grown
	}
}

// zeros is what gaps and fresh logs are filled with; never written to.
var zeros [directBytes]byte

// write puts p at off; in.writer is held. log tells that the old content behind
// p need not be kept, up to the end of the sector: see doc.go on recycled logs.
func (fs *FS) write(in *inode, p []byte, off int64, log bool) (int, error) {
	if err := fs.barrier.failed(); err != nil {
		return 0, err
	}
	if off < 0 || off+int64(len(p)) > maxFileSize {
		return 0, syscall.EFBIG
	}
	if err := fs.reserve(in, off+int64(len(p))); err != nil {
		return 0, err
	}
	for in.size < off {
		if _, err := fs.writeSome(in, zeros[:min(off-in.size, directBytes)], in.size, log); err != nil {
			return 0, err
		}
	}
	n := 0
	for n < len(p) {
		k, err := fs.writeSome(in, p[n:], off+int64(n), log)
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

// writeSome takes some of p, into the buffer or straight to the device.
func (fs *FS) writeSome(in *inode, p []byte, off int64, log bool) (int, error) {
	b := &in.buf
	if b.data == nil || off != b.end() {
		if err := fs.moveBuffer(in, off, log); err != nil {
			return 0, err
		}
	}
	if len(b.data) == bufferBytes {
		if err := fs.drain(in, false, log); err != nil {
			return 0, err
		}
	}
	if len(b.data) == 0 && len(p) >= directBytes {
		return fs.writeDirect(in, p, off)
	}
	k := min(len(p), bufferBytes-len(b.data))
	in.view.Lock()
	b.reserveBuffer(k)
	b.data = append(b.data, p[:k]...)
	in.grown(b.end())
	in.view.Unlock()
	return k, nil
}

// grown notes that the file was written up to end; in.view is held.
func (in *inode) grown(end int64) {
	in.version++
	in.size = max(in.size, end)
	in.mtime = time.Now().UnixNano()
}

// writeDirect writes the whole sectors of p from the caller's memory. The buffer
// is empty and at off.
func (fs *FS) writeDirect(in *inode, p []byte, off int64) (int, error) {
	p = p[:alignDown(int64(len(p)), fs.sector)]
	if err := fs.writeSpans(in, p, off); err != nil {
		return 0, err
	}
	in.view.Lock()
	in.buf.off = off + int64(len(p))
	in.grown(in.buf.off)
	in.view.Unlock()
	return len(p), nil
}

// writeSpans writes whole sectors of the file to the device.
func (fs *FS) writeSpans(in *inode, p []byte, off int64) error {
	var room [4]span
	in.view.RLock()
	spans := in.spans(room[:0], off, int64(len(p)))
	in.view.RUnlock()
	for _, s := range spans {
		if err := writeDevice(fs.dev, p[:s.n], s.off); err != nil {
			return err
		}
		p = p[s.n:]
	}
	return nil
}

// moveBuffer empties the buffer and sets it up for writing at off.
func (fs *FS) moveBuffer(in *inode, off int64, log bool) error {
	if err := fs.drain(in, true, log); err != nil {
		return err
	}
	start := alignDown(off, fs.sector)
	b := buffer{off: start}
	b.reserveBuffer(int(fs.sector))
	if off > start {
		b.data = b.data[:off-start]
		if _, err := fs.readAt(in, b.data, start); err != nil {
			return err
		}
		b.dirty = len(b.data)
	}
	in.view.Lock()
	in.buf = b
	in.view.Unlock()
	return nil
}

// drain writes the buffer out: with all, to its last byte, else whole sectors.
func (fs *FS) drain(in *inode, all, log bool) error {
	b := &in.buf
	to := len(b.data)
	if !all {
		to = int(alignDown(int64(to), fs.sector))
	}
	if b.dirty >= to {
		return nil
	}
	padded := int(alignUp(int64(to), fs.sector))
	if padded > to {
		if err := fs.pad(in, b.data[to:padded], b.off+int64(to), log); err != nil {
			return err
		}
	}
	from := int(alignDown(int64(b.dirty), fs.sector))
	if err := fs.writeSpans(in, b.data[from:padded], b.off+int64(from)); err != nil {
		return err
	}
	in.view.Lock()
	keep := int(alignDown(int64(to), fs.sector))
	b.dirty = to - keep
	b.off += int64(keep)
	b.data = b.data[:copy(b.data, b.data[keep:])]
	in.view.Unlock()
	return nil
}

// pad fills p, the rest of a sector behind the buffer, with what the file has
// there, or with zeros beyond its end.
func (fs *FS) pad(in *inode, p []byte, off int64, log bool) error {
	clear(p)
	if log || off >= in.size {
		return nil
	}
	p = p[:min(int64(len(p)), in.size-off)]
	_, err := fs.readAt(in, p, off)
	return err
}

// reserve gives the file blocks up to end; in.writer is held.
func (fs *FS) reserve(in *inode, end int64) error {
	need := uint64(alignUp(end, blockSize) / blockSize)
	if need <= in.blocks {
		return nil
	}
	hint := uint64(0)
	if n := len(in.extents); n > 0 {
		hint = in.extents[n-1].end()
	}
	need -= in.blocks
	got, err := fs.allocate(need, max(need, fs.growth(in)), hint)
	if err == nil && got == nil {
		err = fmt.Errorf("no free blocks: %w", syscall.ENOSPC)
	}
	if err == nil && in.kind == kindLog {
		if err = fs.zero(got); err != nil {
			fs.alloc.give(got)
		}
	}
	if err != nil {
		return err
	}
	in.view.Lock()
	defer in.view.Unlock()
	for _, e := range got {
		in.addExtent(e)
	}
	return nil
}

// growth is how many blocks a file should get at once: as many as it has, in
// bounds, and less when space is short.
func (fs *FS) growth(in *inode) uint64 {
	least := uint64(0)
	if in.kind == kindLog {
		least = minLogGrowth / blockSize
	}
	return min(max(in.blocks, least), maxGrowth/blockSize, fs.alloc.available()/16)
}

// zero fills fresh extents.
func (fs *FS) zero(extents []extent) error {
	for _, e := range extents {
		for off, n := int64(e.start)*blockSize, e.bytes(); n > 0; {
			k := min(n, int64(len(zeros)))
			if err := writeDevice(fs.dev, zeros[:k], off); err != nil {
				return err
			}
			off, n = off+k, n-k
		}
	}
	return nil
}

// sync makes the content of the file durable, and its names too. In the steady
// state of a log this is one write and one flush.
func (fs *FS) sync(in *inode, log bool) error {
	op, err := fs.flushOut(in, log)
	if err != nil {
		return err
	}
	fs.mu.Lock()
	pending := op > fs.committed
	fs.mu.Unlock()
	if pending {
		return fs.commit(op)
	}
	return fs.barrier.flush()
}

// flushOut writes the buffer out and records the file's length. It returns the
// change to commit.
func (fs *FS) flushOut(in *inode, log bool) (uint64, error) {
	in.writer.Lock()
	defer in.writer.Unlock()
	if err := fs.barrier.failed(); err != nil {
		return 0, err
	}
	if err := fs.drain(in, true, log); err != nil {
		return 0, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.recordFile(in)
}
