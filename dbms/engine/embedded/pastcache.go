package embedded

import "sync"

// pastCache holds rows of history that were read last. What was in effect from one
// version to another stays so for ever, so nothing here gets wrong; readers look at
// the horizon as they do for all of the past. History has all versions of a key
// side by side, so reading one row of each of many keys would take a cached block
// for each.
type pastCache struct {
	places []pastPlace // a power of two
	locks  [cacheLocks]sync.Mutex
}

type pastPlace struct {
	cachedRow
	until version
}

// cachedRow has a buffer of its own that is used again.
type cachedRow struct {
	bytes []byte // key, then the row as it is stored; empty: no row
	key   int    // length of the key
}

func (p *cachedRow) is(key []byte) bool {
	return len(p.bytes) > 0 && string(p.bytes[:p.key]) == string(key)
}

const cacheLocks = 64 // places are locked in so many groups

// pastShare is what the cache may take of the memory, in rows of the largest size.
const pastShare = 32

func (c *pastCache) init(memory int) {
	n := cacheLocks
	for n*2*cachedMost <= memory/pastShare {
		n *= 2
	}
	c.places = make([]pastPlace, n)
}

// at is the place of key, locked.
func (c *pastCache) at(key []byte) (*pastPlace, *sync.Mutex) {
	i := hash(key) & uint64(len(c.places)-1)
	mu := &c.locks[i%cacheLocks]
	mu.Lock()
	return &c.places[i], mu
}

// get appends to b the stored row of key that was in effect at t; nil if it is not
// here.
func (c *pastCache) get(b, key []byte, t version) []byte {
	p, mu := c.at(key)
	defer mu.Unlock()
	if !p.is(key) || t >= p.until || readVersion(p.bytes[p.key:]) > t {
		return nil
	}
	return append(b, p.bytes[p.key:]...)
}

// put keeps the stored row of key that ended at until, if it is not too long.
func (c *pastCache) put(key, stored []byte, until version) {
	if len(key)+len(stored) > cachedMost {
		return
	}
	p, mu := c.at(key)
	defer mu.Unlock()
	if p.bytes == nil {
		p.bytes = make([]byte, 0, len(key)+len(stored)+8)
	}
	p.bytes, p.key, p.until = append(append(p.bytes[:0], key...), stored...), len(key), until
}
