package file

import "sync/atomic"

// layer is what the calls of one group have changed of a file's contents.
type layer struct {
	cut    uint64 // what was stored from this chunk on was removed first; noCut: nothing
	chunks map[uint64]*chunk
}

const noCut = ^uint64(0)

// chunk is what has changed in a chunk.
type chunk struct {
	pages  [chunkPages][]byte // new contents; nil: as before, or gone
	gone   uint16             // pages that were removed, a bit for each
	loaded uint64             // the row of os.data that has the other pages; 0: none (longwrite.go)
	bypass uint16             // new pages that are not worth keeping in memory
}

// layers are the changes of a file that the store does not have yet. open is changed
// by the calls, under the inode's lock; flushing belongs to a transaction under way
// and does not change.
type layers struct {
	open, flushing *layer
}

// pageState is what a layer knows of a page.
type pageState uint8

const (
	below     pageState = iota // nothing: look further down
	present                    // its contents
	hole                       // that there is no such page
	elsewhere                  // it is in a row that was loaded
)

func (l *layer) page(block uint64) ([]byte, pageState) {
	if l == nil {
		return nil, below
	}
	number, i := block/chunkPages, block%chunkPages
	if c := l.chunks[number]; c != nil {
		switch {
		case c.pages[i] != nil:
			return c.pages[i], present
		case c.gone>>i&1 != 0:
			return nil, hole
		case c.loaded != 0:
			return nil, elsewhere
		}
	}
	if number >= l.cut {
		return nil, hole
	}
	return nil, below
}

// chunk returns the changes of a chunk, to be changed.
func (l *layer) chunk(number uint64) *chunk {
	c := l.chunks[number]
	if c == nil {
		c = &chunk{}
		l.chunks[number] = c
	}
	return c
}

// page is what the layers know of a page, the newest first.
func (s *layers) page(block uint64) ([]byte, pageState) {
	if s == nil {
		return nil, below
	}
	if data, state := s.open.page(block); state != below {
		return data, state
	}
	return s.flushing.page(block)
}

// openLayer returns the layer that calls change. The inode's lock is held, and the
// journal's gate.
func (n *Inode) openLayer() *layer {
	for {
		s := n.layers.Load()
		if s != nil && s.open != nil {
			return s.open
		}
		next := &layers{open: &layer{cut: noCut, chunks: map[uint64]*chunk{}}}
		if s != nil {
			next.flushing = s.flushing
		}
		if n.layers.CompareAndSwap(s, next) {
			n.fs.journal.addFile(n)
			return next.open
		}
	}
}

// takeLayer turns the open layer into the one that is flushed. No call is under way.
func (n *Inode) takeLayer() *layer {
	l := n.layers.Load().open
	n.layers.Store(&layers{flushing: l})
	return l
}

// dropFlushed forgets the layer that has been stored.
func (n *Inode) dropFlushed() {
	dropFlushed(&n.layers)
}

func dropFlushed(p *atomic.Pointer[layers]) {
	for {
		s := p.Load()
		var next *layers
		if s.open != nil {
			next = &layers{open: s.open}
		}
		if p.CompareAndSwap(s, next) {
			return
		}
	}
}

// remove takes pages [from, to) of a chunk away; whether something is stored there
// does not matter.
func (c *chunk) remove(from, to int) {
	for i := from; i < to; i++ {
		c.pages[i] = nil
		c.gone |= 1 << i
	}
}

// set gives a page new contents.
func (c *chunk) set(i int, data []byte, bypass bool) {
	c.pages[i] = data
	c.gone &^= 1 << i
	c.bypass &^= 1 << i
	if bypass {
		c.bypass |= 1 << i
	}
}

// cutFrom removes all chunks from the given one on.
func (l *layer) cutFrom(number uint64) {
	for c := range l.chunks {
		if c >= number {
			delete(l.chunks, c)
		}
	}
	l.cut = min(l.cut, number)
}
