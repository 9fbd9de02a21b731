package embedded

import (
	"bytes"
	"hash/maphash"
)

// recall keeps the rows that a transaction has read, so that writing them need
// not read them again. It is bounded and small to clear; what does not fit is
// read again. A few are found by looking at each, as most transactions read no more.
type recall struct {
	items []recalled
	slots []uint16 // item number plus 1, by hash, open addressing; never more than a quarter full
	bytes []byte
}

type recalled struct {
	key, row []byte // row is nil if there is none
	hash     uint64 // of the key
	slot     int    // if there are more than a few
	stored   bool   // it was not in the cache
}

const (
	recallFew   = 4
	recallItems = 1024
	recallSlots = 512 // to begin with; a power of two
	recallBytes = 256 << 10
)

var hashSeed = maphash.MakeSeed()

// hash is of a key, for tables in memory.
func hash(key []byte) uint64 { return maphash.Bytes(hashSeed, key) }

// find returns what is known of key, nil if that is nothing. It is valid until the
// next keep.
func (c *recall) find(key []byte) *recalled {
	if len(c.items) <= recallFew {
		for i := range c.items {
			if string(c.items[i].key) == string(key) {
				return &c.items[i]
			}
		}
		return nil
	}
	n := c.slots[c.probe(key, hash(key))]
	if n == 0 {
		return nil
	}
	return &c.items[n-1]
}

// keep copies a row that was read, in Pebble or the cache, and returns the copy.
// nil is for none. The key is not known yet, and has that hash.
func (c *recall) keep(key, row []byte, hash uint64, stored bool) []byte {
	if len(c.items) == recallItems || len(c.bytes)+len(key)+len(row) > recallBytes {
		return bytes.Clone(row)
	}
	it := recalled{key: c.copy(key), hash: hash, stored: stored}
	if row != nil {
		it.row = c.copy(row)
	}
	c.items = append(c.items, it)
	switch n := len(c.items); {
	case n <= recallFew:
	case 4*n > len(c.slots):
		c.slots = make([]uint16, max(2*len(c.slots), recallSlots))
		c.enter(0)
	case n == recallFew+1:
		c.enter(0)
	default:
		c.enter(n - 1)
	}
	return it.row
}

// enter gives slots to the items from one on.
func (c *recall) enter(from int) {
	for i := from; i < len(c.items); i++ {
		it := &c.items[i]
		it.slot = c.probe(it.key, it.hash)
		c.slots[it.slot] = uint16(i + 1)
	}
}

// recallScan is the limit up to which a scan's rows are kept: who asks for so few is
// likely to write them.
const recallScan = 128

// learn keeps a row that a scan has come across.
func (c *recall) learn(key, stored []byte) {
	if len(c.items) < recallItems && c.find(key) == nil {
		c.keep(key, stored, hash(key), false) // the cache need not have it
	}
}

// copy puts b into the buffer. Growing leaves what was copied before where it is.
func (c *recall) copy(b []byte) []byte {
	n := len(c.bytes)
	c.bytes = append(c.bytes, b...)
	return c.bytes[n:len(c.bytes):len(c.bytes)]
}

// probe is the slot where key is or would be.
func (c *recall) probe(key []byte, hash uint64) int {
	for i := int(hash); ; i++ {
		i &= len(c.slots) - 1
		if n := c.slots[i]; n == 0 || bytes.Equal(c.items[n-1].key, key) {
			return i
		}
	}
}

func (c *recall) clear() {
	if len(c.items) > recallFew {
		for i := range c.items {
			c.slots[c.items[i].slot] = 0
		}
	}
	clear(c.items)
	c.items, c.bytes = c.items[:0], c.bytes[:0]
}
