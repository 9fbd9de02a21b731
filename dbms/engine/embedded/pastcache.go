package embedded

// pastCache holds rows of history that were read last, of each key one. What was in
// effect from one version to another stays so for ever, so nothing here gets wrong;
// readers look at the horizon as they do for all of the past. History has all versions
// of a key side by side, so reading one row of each of many keys would take a cached
// block for each.
//
// An entry is when the row ended, and the row as it is stored.
type pastCache struct{ rings }

// pastShare is what the cache may take of the memory.
const pastShare = 32

// get appends to b the stored row of key, which has that hash, that was in effect at t;
// nil if it is not here.
func (c *pastCache) get(b, key []byte, hash uint64, t version) []byte {
	r, h := c.ofHash(hash)
	defer r.mu.Unlock()
	at, place := r.find(key, h)
	if place == nil {
		return nil
	}
	_, _, entry := r.entry(at)
	until, stored := readVersion(entry), entry[versionSize:]
	if t >= until || readVersion(stored) > t {
		return nil
	}
	r.setUsed(at)
	return append(b, stored...)
}

// put keeps the stored row of key that ended at until, if it is not too long.
func (c *pastCache) put(key, stored []byte, until version) {
	if len(key)+len(stored) > cachedMost {
		return
	}
	var entry [versionSize + cachedMost]byte
	r, h := c.ofHash(hash(key))
	defer r.mu.Unlock()
	r.put(key, append(until.append(entry[:0]), stored...), h)
}
