package embedded

import (
	"encoding/binary"
	"sync"
)

// rowRing is a part of the cache of rows: entries one behind the other in a buffer,
// the next over the oldest, and an index of where they are. The garbage collector finds
// no pointers in it, and it takes memory only as rows come.
//
//	0              write            oldest            end        len(buf)
//	├──────────────┼────────────────┼─────────────────┼──────────┤
//	 newer entries   free            older entries      free
//
// An entry begins at a multiple of entryUnit:
//
//	0        4               6              8
//	├────────┼───────────────┼──────────────┼─────┼─────┼────────
//	 hash     length of key,  length of row  key   row   padding
//	          bit 15: used
//
// The oldest entry stays, as if it had just come, if it was used since it was written
// or came by here last. The index is buckets of places; a place is the number of the
// unit at which the entry begins plus 1, and in its upper bits some of the hash. An entry
// that no place points to is dead.
type rowRing struct {
	mu     sync.Mutex
	most   int // bytes of buf
	buf    []byte
	places []uint32 // a power of two of buckets

	write, oldest, end int
}

// rings are a cache of rows that many use at a time. A key's ring follows from its hash.
type rings [cacheRings]rowRing

func (s *rings) init(bytes int) {
	for i := range s {
		s[i].most = min(max(bytes/cacheRings, leastRing), mostRing) &^ (entryUnit - 1)
	}
}

// ofHash is the ring of a key with that hash, locked, and what is left of the hash.
func (s *rings) ofHash(h uint64) (*rowRing, uint64) {
	r := &s[h%cacheRings]
	r.mu.Lock()
	return r, h / cacheRings
}

const (
	cacheRings  = 64
	leastRing   = 4 << 10 // bytes
	entryUnit   = 8
	entryHeader = 8
	entryUsed   = 1 << 15

	ringPlace  = 64 // bytes of the buffer for each place
	bucketSize = 16 // a line of the processor's cache

	unitBits = 24 // of a place; the rest is of the hash
	unitMask = 1<<unitBits - 1
	mostRing = unitMask * entryUnit // bytes

	// maxStays bounds how many entries stay while one is put.
	maxStays = 8
)

func entrySize(key, row int) int { return (entryHeader + key + row + entryUnit - 1) &^ (entryUnit - 1) }

// entry takes the one at an offset apart.
func (r *rowRing) entry(at int) (hash uint32, key, row []byte) {
	b := r.buf[at:]
	k := int(binary.LittleEndian.Uint16(b[4:]) &^ entryUsed)
	n := int(binary.LittleEndian.Uint16(b[6:]))
	return binary.LittleEndian.Uint32(b), b[entryHeader : entryHeader+k], b[entryHeader+k : entryHeader+k+n]
}

func (r *rowRing) used(at int) bool { return r.buf[at+5]&(entryUsed>>8) != 0 }

func (r *rowRing) setUsed(at int) { r.buf[at+5] |= entryUsed >> 8 }

func (r *rowRing) clearUsed(at int) { r.buf[at+5] &^= entryUsed >> 8 }

// bucket is where places of entries with a hash are.
func (r *rowRing) bucket(hash uint32) []uint32 {
	if len(r.places) == 0 {
		return nil
	}
	i := int(hash) & (len(r.places)/bucketSize - 1) * bucketSize
	return r.places[i : i+bucketSize]
}

func placeOf(at int, hash uint32) uint32 { return uint32(at/entryUnit+1) | hash>>unitBits<<unitBits }

// offset is that of the entry at a place; below 0 if there is none with that hash.
func offset(place, hash uint32) int {
	if place>>unitBits != hash>>unitBits {
		return -1
	}
	return (int(place&unitMask) - 1) * entryUnit
}

// find returns where the entry of key is, and the place that points there; nil if
// there is none.
func (r *rowRing) find(key []byte, h uint64) (at int, place *uint32) {
	b := r.bucket(uint32(h))
	for i := range b {
		if at := offset(b[i], uint32(h)); at >= 0 {
			if hash, k, _ := r.entry(at); hash == uint32(h) && string(k) == string(key) {
				return at, &b[i]
			}
		}
	}
	return 0, nil
}

// get appends the row of key to b; nil if it is not here.
func (r *rowRing) get(b, key []byte, h uint64) []byte {
	at, place := r.find(key, h)
	if place == nil {
		return nil
	}
	r.setUsed(at)
	_, _, row := r.entry(at)
	return append(b, row...)
}

// drop makes the entry of key a dead one.
func (r *rowRing) drop(key []byte, h uint64) {
	if _, place := r.find(key, h); place != nil {
		*place = 0
	}
}

// put keeps the row of key, which fits.
func (r *rowRing) put(key, row []byte, h uint64) {
	at, place := r.find(key, h)
	size := entrySize(len(key), len(row))
	if place != nil {
		if _, k, old := r.entry(at); entrySize(len(k), len(old)) == size {
			r.fill(at, key, row, uint32(h))
			r.setUsed(at)
			return
		}
		*place = 0
	}
	r.room(size)
	r.fill(r.write, key, row, uint32(h))
	r.point(r.write, uint32(h))
	r.write += size
}

func (r *rowRing) fill(at int, key, row []byte, hash uint32) {
	b := r.buf[at:]
	binary.LittleEndian.PutUint32(b, hash)
	binary.LittleEndian.PutUint16(b[4:], uint16(len(key)))
	binary.LittleEndian.PutUint16(b[6:], uint16(len(row)))
	copy(b[entryHeader+copy(b[entryHeader:], key):], row)
}

// point has a place point to an entry: a free one of its bucket, or the least of them.
func (r *rowRing) point(at int, hash uint32) {
	b := r.bucket(hash)
	chosen, age := 0, -1
	for i, p := range b {
		if p == 0 {
			chosen = i
			break
		}
		if a := r.age((int(p&unitMask) - 1) * entryUnit); a > age {
			chosen, age = i, a
		}
	}
	b[chosen] = placeOf(at, hash)
}

// age orders entries: those that were used are less than all others.
func (r *rowRing) age(at int) int {
	a := r.write - at
	if a < 0 {
		a += len(r.buf)
	}
	if !r.used(at) {
		a += len(r.buf)
	}
	return a
}

// room sees that so many bytes from write on are free.
func (r *rowRing) room(size int) {
	for stays := 0; ; {
		switch {
		case r.oldest < r.end && r.oldest-r.write >= size:
			return
		case r.oldest < r.end:
			stays += r.pass(stays < maxStays)
		case r.write+size <= len(r.buf):
			return
		case len(r.buf) < r.most:
			r.grow()
		default:
			r.end, r.write, r.oldest = r.write, 0, 0
		}
	}
}

// pass frees the oldest entry, or has it stay as a new one if it was used and may. It
// returns how many stay.
func (r *rowRing) pass(may bool) int {
	from := r.oldest
	hash, key, row := r.entry(from)
	size := entrySize(len(key), len(row))
	r.oldest += size
	b := r.bucket(hash)
	for i := range b {
		if b[i] != placeOf(from, hash) {
			continue
		}
		if !may || !r.used(from) {
			b[i] = 0
			return 0
		}
		r.clearUsed(from)
		copy(r.buf[r.write:], r.buf[from:from+size])
		b[i] = placeOf(r.write, hash)
		r.write += size
		return 1
	}
	return 0
}

// grow makes the buffer twice as large, before it has been written to its end, and the
// index with it.
func (r *rowRing) grow() {
	old := rowRing{places: r.places}
	buf := make([]byte, min(max(2*len(r.buf), leastRing), r.most))
	copy(buf, r.buf[:r.write])
	r.buf = buf
	n := bucketSize
	for 2*n*ringPlace <= len(r.buf) {
		n *= 2
	}
	if n == len(r.places) {
		return
	}
	r.places = make([]uint32, n)
	for at := 0; at < r.write; {
		hash, key, row := r.entry(at)
		for _, p := range old.bucket(hash) {
			if p == placeOf(at, hash) {
				r.point(at, hash)
			}
		}
		at += entrySize(len(key), len(row))
	}
}
