package embedded

import "sync"

// rowCache holds the present rows that transactions have last read or written. A
// Get of Pebble looks through memtables and levels, and a Put must know the row
// that it replaces: for rows in use all the time, this saves most of both.
//
// It is a table of places, a key's place follows from its hash, and who comes
// later takes it. Only transactions put rows in, with the commit lock held; a
// written row is replaced here before its version is published, and perhaps before
// it is in Pebble. So a row that a reader finds here is the present one, or was
// until a version that the reader does not see, or is of a version that it does not
// see: then it must look into Pebble. Views only look.
type rowCache struct {
	places []cachedRow // a power of two
	locks  [cacheLocks]sync.Mutex
}

// cachedRow has a buffer of its own that is used again.
type cachedRow struct {
	bytes []byte // key, then the row as it is stored; empty: no row
	key   int    // length of the key
}

const (
	cacheLocks = 64  // places are locked in so many groups
	cachedMost = 256 // bytes of key and row
	cacheShare = 16  // of the memory
)

func (c *rowCache) init(memory int) {
	n := cacheLocks
	for n*2*cachedMost <= memory/cacheShare {
		n *= 2
	}
	c.places = make([]cachedRow, n)
}

// at is the place of key, locked.
func (c *rowCache) at(key []byte) (*cachedRow, *sync.Mutex) {
	i := hash(key) & uint64(len(c.places)-1)
	mu := &c.locks[i%cacheLocks]
	mu.Lock()
	return &c.places[i], mu
}

func (p *cachedRow) is(key []byte) bool {
	return len(p.bytes) > 0 && string(p.bytes[:p.key]) == string(key)
}

// get appends the stored row of key to b; nil if it is not here.
func (c *rowCache) get(b, key []byte) []byte {
	p, mu := c.at(key)
	defer mu.Unlock()
	if !p.is(key) {
		return nil
	}
	return append(b, p.bytes[p.key:]...)
}

// put keeps the stored row of key, or forgets the one it has if that is too long.
func (c *rowCache) put(key, stored []byte) {
	if len(key)+len(stored) > cachedMost {
		c.drop(key)
		return
	}
	p, mu := c.at(key)
	defer mu.Unlock()
	if p.bytes == nil {
		p.bytes = make([]byte, 0, len(key)+len(stored)+8)
	}
	p.bytes, p.key = append(append(p.bytes[:0], key...), stored...), len(key)
}

// drop forgets the row of key.
func (c *rowCache) drop(key []byte) {
	p, mu := c.at(key)
	defer mu.Unlock()
	if p.is(key) {
		p.bytes = p.bytes[:0]
	}
}

// read has the next transactions find the rows that t has read in Pebble, but for
// the one that wrote puts in.
func (c *rowCache) read(t *tx) {
	for i := range t.recall.items {
		it := &t.recall.items[i]
		if it.stored && it.row != nil && !(t.hasFirst && string(it.key) == string(t.firstKey)) {
			c.put(it.key, it.row)
		}
	}
}

// wrote follows a transaction: the row that carries its record is kept, as it is
// the only one of most transactions; others are forgotten. So is a new row, which
// nobody has used yet: keeping it would be a fifth of what an insert costs.
func (c *rowCache) wrote(t *tx) {
	c.read(t)
	if t.superseded == 0 && !t.deletes {
		return // there were no rows, so there are none here
	}
	for i := range t.keys.len() {
		if key := t.keys.at(i); !t.hasFirst || string(key) != string(t.firstKey) {
			c.drop(key)
		}
	}
	if !t.hasFirst {
		return
	}
	r := row{since: t.version, value: t.firstValue}
	if !t.e.bare {
		r.flags, r.header = rowHeader, t.record
	}
	if t.superseded == 0 || len(t.firstKey)+r.size() > cachedMost {
		c.drop(t.firstKey)
		return
	}
	t.scratch = append(t.scratch[:0], make([]byte, r.size())...)
	r.put(t.scratch)
	c.put(t.firstKey, t.scratch)
}
