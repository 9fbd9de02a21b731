package embedded

import (
	"bytes"
	"hash/maphash"
)

// recall keeps the rows that a transaction has read, so that writing them need
// not read them again. It is bounded and small to clear; what does not fit is
// read again.
type recall struct {
	items []recalled
	slots []uint16 // item number plus 1, by hash, open addressing; never more than a quarter full
	bytes []byte
}

type recalled struct {
	key, row []byte // row is nil if there is none
	slot     int
	stored   bool // it was not in the cache
}

const (
	recallItems = 1024
	recallSlots = 512 // to begin with; a power of two
	recallBytes = 256 << 10
)

var hashSeed = maphash.MakeSeed()

// hash is of a key, for tables in memory.
func hash(key []byte) uint64 { return maphash.Bytes(hashSeed, key) }

// find returns the stored row of key, and whether it is known.
func (c *recall) find(key []byte) (stored []byte, known bool) {
	if len(c.items) == 0 {
		return nil, false
	}
	i := c.probe(key)
	if c.slots[i] == 0 {
		return nil, false
	}
	return c.items[c.slots[i]-1].row, true
}

// keep copies a row that was read, in Pebble or the cache, and returns the copy.
// nil is for none.
func (c *recall) keep(key, row []byte, stored bool) []byte {
	if len(c.items) == recallItems || len(c.bytes)+len(key)+len(row) > recallBytes {
		return bytes.Clone(row)
	}
	if 4*(len(c.items)+1) > len(c.slots) {
		c.grow()
	}
	it := recalled{key: c.copy(key), slot: c.probe(key), stored: stored}
	if row != nil {
		it.row = c.copy(row)
	}
	c.items = append(c.items, it)
	c.slots[it.slot] = uint16(len(c.items))
	return it.row
}

// grow makes twice as many slots.
func (c *recall) grow() {
	c.slots = make([]uint16, max(2*len(c.slots), recallSlots))
	for i := range c.items {
		it := &c.items[i]
		it.slot = c.probe(it.key)
		c.slots[it.slot] = uint16(i + 1)
	}
}

// recallScan is the limit up to which a scan's rows are kept: who asks for so few is
// likely to write them.
const recallScan = 128

// learn keeps a row that a scan has come across.
func (c *recall) learn(key, stored []byte) {
	if _, known := c.find(key); !known && len(c.items) < recallItems {
		c.keep(key, stored, false) // the cache need not have it
	}
}

// copy puts b into the buffer. Growing leaves what was copied before where it is.
func (c *recall) copy(b []byte) []byte {
	n := len(c.bytes)
	c.bytes = append(c.bytes, b...)
	return c.bytes[n:len(c.bytes):len(c.bytes)]
}

// probe is the slot where key is or would be.
func (c *recall) probe(key []byte) int {
	for i := int(hash(key)); ; i++ {
		i &= len(c.slots) - 1
		if n := c.slots[i]; n == 0 || bytes.Equal(c.items[n-1].key, key) {
			return i
		}
	}
}

func (c *recall) clear() {
	for _, it := range c.items {
		c.slots[it.slot] = 0
	}
	clear(c.items)
	c.items, c.bytes = c.items[:0], c.bytes[:0]
}
