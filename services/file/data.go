package file

import (
	"errors"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// blockKey is the key of the caches of pages, and with the number of a chunk that of
// extents.
type blockKey struct{ inode, block uint64 }

func (k blockKey) hash() uint64 { return k.inode*0x9e3779b97f4a7c15>>32 + k.block }

// blockOverhead is about what a cached page costs besides its data, bytes.
const blockOverhead = 128

// split says in which page an offset is, and where.
func split(off int64) (block uint64, within int) {
	return uint64(off) / BlockSize, int(uint64(off) % BlockSize)
}

// blocksOf is the number of pages that size bytes extend over.
func blocksOf(size int64) uint64 { return (uint64(size) + BlockSize - 1) / BlockSize }

// chunksOf is the number of chunks that size bytes extend over.
func chunksOf(size int64) uint64 { return (uint64(size) + chunkSize - 1) / chunkSize }

// ReadAt reads into p from offset off and returns how many bytes; fewer than
// len(p) only at the end of the file, where there is no error.
func (n *Inode) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, syscall.EINVAL
	}
	n.rlock()
	defer n.mu.RUnlock()
	if n.unread != nil {
		return 0, n.unread
	}
	if off >= n.record.Size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), n.record.Size-off)]
	if len(p) >= bulk && n.image == nil {
		return n.readBulk(p, off)
	}
	for done := 0; done < len(p); {
		block, within := split(off + int64(done))
		m := min(len(p)-done, BlockSize-within)
		data, err := n.page(block)
		if err != nil {
			return done, err
		}
		fill(p[done:done+m], data, within)
		done += m
	}
	return len(p), nil
}

// fill copies page data from the place within it, and zeros beyond it.
func fill(p, data []byte, within int) {
	if within < len(data) {
		p = p[copy(p, data[within:]):]
	}
	clear(p)
}

// page returns the contents of a page, nil for a hole. They may be as short as what
// is stored, and must not be changed. mu is held.
func (n *Inode) page(block uint64) ([]byte, error) {
	if data, ok := n.image.page(block, n.record.Size); ok {
		return data, nil
	}
	layers := n.layers.Load()
	data, state := layers.page(block)
	switch state {
	case elsewhere:
		return n.loadedPage(layers.row(block), block)
	case below:
	default:
		return data, nil
	}
	k := blockKey{n.number, block}
	if data, ok := n.fs.pages.get(k.hash(), k); ok {
		return data, nil
	}
	return n.storedPage(block)
}

// storedPage returns a page that is not in memory.
func (n *Inode) storedPage(block uint64) (data []byte, err error) {
	err = n.view(func(s *stored) (err error) {
		data, err = s.page(block)
		return err
	})
	if err != nil {
		return nil, n.fs.damaged("page %d of inode %d: %v", block, n.number, err)
	}
	return data, nil
}

// view reads what extents of the inode refer to. Between the beginning of
// a view and the look at the cache of extents a group may have been stored, whose data
// the view does not have; another one does. While the inode is locked, there are at
// most two such groups.
func (n *Inode) view(fn func(s *stored) error) (err error) {
	for range 4 {
		s := stored{n: n, epoch: n.epoch.Load(), era: n.era, layers: n.layers.Load()}
		err = n.fs.view(func(tx *table.Tx) error {
			s.tx = tx
			return fn(&s)
		})
		if !errors.Is(err, table.ErrNotFound) {
			break
		}
	}
	return err
}

// stored reads what the store has of an inode.
type stored struct {
	n     *Inode
	tx    *table.Tx
	epoch uint64 // of the inode before tx began
	era   uint64 // likewise

	// What was not stored before tx began. What these layers do not have, tx has; later
	// ones may lack what was stored after tx began.
	layers *layers
}

// page reads a page that is not in memory, and keeps it with its neighbours.
func (s *stored) page(block uint64) ([]byte, error) {
	number, i := block/chunkPages, int(block%chunkPages)
	x, err := s.extent(number)
	if err != nil {
		return nil, err
	}
	r := x.refs[i]
	switch r.data {
	case 0:
		return nil, nil
	case inlined:
		s.keep(block, x.inline)
		return x.inline, nil
	}
	row, err := data.Get(s.tx, r.data)
	if err != nil {
		return nil, err
	}
	for j, other := range x.refs {
		at := number*chunkPages + uint64(j)
		if other.data != r.data {
			continue
		}
		if _, state := s.layers.page(at); state == below {
			s.keep(at, pageOf(row.Bytes, int(other.index)))
		}
	}
	return pageOf(row.Bytes, int(r.index)), nil
}

// current tells whether nothing newer was stored since tx began.
func (s *stored) current() bool { return s.n.epoch.Load() == s.epoch && s.n.fs.era.Load() == s.era }

// keep caches a page that was read, unless a group with newer ones was stored since.
func (s *stored) keep(block uint64, data []byte) {
	k := blockKey{s.n.number, block}
	s.n.fs.pages.putIf(k.hash(), k, data, cap(data)+blockOverhead, s.current)
}

func (fs *FS) cachePage(n *Inode, block uint64, data []byte) {
	k := blockKey{n.number, block}
	fs.pages.put(k.hash(), k, data, cap(data)+blockOverhead)
}

func (n *Inode) dropPage(block uint64) {
	k := blockKey{n.number, block}
	n.fs.pages.drop(k.hash(), k)
}

// extent finds where the pages of a chunk are stored.
func (s *stored) extent(number uint64) (*extent, error) {
	k, cache := blockKey{s.n.number, number}, s.n.fs.extents
	if x, ok := cache.get(k.hash(), k); ok {
		return x, nil
	}
	x, err := readExtent(s.tx, s.n.number, number)
	if err != nil {
		return nil, err
	}
	// What was read before a group was stored must not replace what that has shown.
	cache.putIf(k.hash(), k, x, x.cost(), s.current)
	return x, nil
}

func readExtent(tx *table.Tx, inode, number uint64) (*extent, error) {
	row, err := extents.Get(tx, inode, number)
	if errors.Is(err, table.ErrNotFound) {
		return noExtent, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeExtent(row.Inline, row.Pieces)
}
