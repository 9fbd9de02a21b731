package embedded

import "github.com/cockroachdb/pebble/v2"

// rowCache holds the present rows that transactions have last read or written. A
// Get of Pebble looks through memtables and levels, and a Put must know the row
// that it replaces: for rows in use all the time, this saves most of both.
//
// The rows are in rings (rowring.go). Only transactions put rows in, with the commit
// lock held; a written row is replaced here before its version is published, and
// perhaps before it is in Pebble. So a row that a reader finds here is the present one,
// or was until a version that the reader does not see, or is of a version that it does
// not see: then it must look into Pebble. Views only look.
//
// Of what transactions write, one row is kept. Keeping all of them would be a fifth of
// what an insert costs. It is worth it where other transactions soon read or replace
// them, as those of a queue: that earns credit, and keeping spends it.
type rowCache struct {
	rings
	credit int // how many written rows to keep. The commit lock guards it.
}

const (
	cachedMost = 256 // bytes of key and row
	cacheShare = 4   // of the memory

	creditHit  = 4   // for a row that was in the cache
	creditSoon = 16  // for one that was not, but is no older than soon
	soon       = 1e6 // microseconds
	maxCredit  = 1e5
)

// get appends the stored row of key, which has that hash, to b; nil if it is not here.
func (c *rowCache) get(b, key []byte, hash uint64) []byte {
	r, h := c.ofHash(hash)
	defer r.mu.Unlock()
	return r.get(b, key, h)
}

// put keeps the stored row of key, or forgets the one it has if that is too long.
func (c *rowCache) put(key, stored []byte, hash uint64) {
	r, h := c.ofHash(hash)
	defer r.mu.Unlock()
	if len(key)+len(stored) > cachedMost {
		r.drop(key, h)
		return
	}
	r.put(key, stored, h)
}

// drop forgets the row of key.
func (c *rowCache) drop(key []byte, hash uint64) {
	r, h := c.ofHash(hash)
	defer r.mu.Unlock()
	r.drop(key, h)
}

// read has the next transactions find the rows that t has read in Pebble, but for
// the one that wrote puts in.
func (c *rowCache) read(t *tx) {
	c.credit += creditHit * t.cacheHits
	for i := range t.recall.items {
		it := &t.recall.items[i]
		if it.stored && it.row != nil && !(t.hasFirst && string(it.key) == string(t.firstKey)) {
			c.put(it.key, it.row, it.hash)
			if t.version.micros()-readVersion(it.row).micros() < soon {
				c.credit += creditSoon
			}
		}
	}
	c.credit = min(c.credit, maxCredit)
}

// wrote follows a transaction. The row that carries its record is kept, as it is the
// only one of most transactions, unless it is new: nobody has used it yet. Others are
// forgotten, or kept if there is credit for that.
func (c *rowCache) wrote(t *tx) {
	c.read(t)
	one := t.hasFirst && t.keys.len() == 1
	switch {
	case one && c.credit > 0:
		c.credit--
		c.first(t)
		return
	case c.credit >= t.keys.len() && t.batch != nil && c.keep(t):
		return
	case t.superseded == 0 && !t.deletes:
		return // there were no rows, so there are none here
	}
	for i := 0; i < t.keys.len() && !one; i++ {
		if key := t.keys.at(i); !t.hasFirst || string(key) != string(t.firstKey) {
			c.drop(key, t.hashes[i])
		}
	}
	switch {
	case !t.hasFirst:
	case t.superseded == 0:
		c.drop(t.firstKey, t.firstHash)
	default:
		c.first(t)
	}
}

// first keeps the row that carries t's record.
func (c *rowCache) first(t *tx) {
	r := &row{since: t.version, value: t.firstValue}
	if !t.e.bare {
		r = t.firstRow()
	}
	if len(t.firstKey)+r.size() > cachedMost {
		c.drop(t.firstKey, t.firstHash)
		return
	}
	t.scratch = append(t.scratch[:0], make([]byte, r.size())...)
	r.put(t.scratch)
	c.put(t.firstKey, t.scratch, t.firstHash)
}

// keep follows what t has done to present rows. It reports whether that worked.
func (c *rowCache) keep(t *tx) bool {
	c.credit -= t.keys.len()
	for r := t.batch.Reader(); ; {
		kind, key, value, more, err := r.Next()
		switch {
		case err != nil:
			return false
		case !more:
			return true
		case key[0] != prefixData:
		case kind == pebble.InternalKeyKindSet:
			c.put(key[1:], value, hash(key[1:]))
		default:
			c.drop(key[1:], hash(key[1:]))
		}
	}
}
