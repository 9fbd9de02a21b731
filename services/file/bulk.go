package file

import (
	"sync"
	"sync/atomic"
)

// bulkReaders is how many chunks of a long read are read at a time: while one waits for
// the device, others are decoded.
const bulkReaders = 4

// readBulk reads a long stretch, without keeping it in memory. mu is held.
func (n *Inode) readBulk(p []byte, off int64) (int, error) {
	r := bulkRead{p: p, off: off, chunks: int64(chunksOf(off%chunkSize + int64(len(p))))}
	readers := int(min(r.chunks, bulkReaders))
	errs := make([]error, readers)
	var others sync.WaitGroup
	for i := 1; i < readers; i++ {
		others.Go(func() { errs[i] = r.run(n) })
	}
	errs[0] = r.run(n)
	others.Wait()
	if err := firstError(errs...); err != nil {
		return 0, n.fs.damaged("bytes from %d of inode %d: %v", off, n.number, err)
	}
	return len(p), nil
}

// bulkRead is a long read, a chunk at a time.
type bulkRead struct {
	p      []byte
	off    int64 // in the file
	chunks int64
	taken  atomic.Int64 // by readers
}

// run reads chunks until none is left. A view that has to begin anew goes on with the
// chunk at which it stopped.
func (r *bulkRead) run(n *Inode) error {
	at := r.taken.Add(1) - 1
	return n.view(func(s *stored) error {
		b := bulkReader{stored: s}
		for ; at < r.chunks; at = r.taken.Add(1) - 1 {
			if err := r.chunk(&b, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// chunk reads the part of the stretch that is in one chunk.
func (r *bulkRead) chunk(b *bulkReader, number int64) error {
	from := max(number*chunkSize-r.off%chunkSize, 0)
	to := min((number+1)*chunkSize-r.off%chunkSize, int64(len(r.p)))
	for p, off := r.p[from:to], r.off+from; len(p) > 0; {
		block, within := split(off)
		m := min(len(p), BlockSize-within)
		data, err := b.page(block)
		if err != nil {
			return err
		}
		fill(p[:m], data, within)
		p, off = p[m:], off+int64(m)
	}
	return nil
}

// bulkReader reads pages in their order.
type bulkReader struct {
	*stored
	chunk uint64
	found *extent // of that chunk
	row   DataRow // what was read last; as long as the transaction reads nothing else
}

// page returns the contents of a page, until the next call.
func (b *bulkReader) page(block uint64) ([]byte, error) {
	switch data, state := b.layers.page(block); state {
	case elsewhere:
		return b.loadedPage(block)
	case below:
	default:
		return data, nil
	}
	number, i := block/chunkPages, block%chunkPages
	if b.found == nil || b.chunk != number {
		b.row = DataRow{}
		x, err := b.stored.extent(number)
		if err != nil {
			return nil, err
		}
		b.chunk, b.found = number, x
	}
	r := b.found.refs[i]
	switch r.data {
	case 0:
		return nil, nil
	case inlined:
		return b.found.inline, nil
	}
	if b.row.ID != r.data {
		var err error
		if b.row, err = data.Peek(b.tx, r.data); err != nil {
			return nil, err
		}
	}
	return pageOf(b.row.Bytes, int(r.index)), nil
}
