package embedded

import "bytes"

// bundlePart is rows that are pending, as they came, and where those of a key are. The
// garbage collector finds few pointers in it, and it grows by little at a time: who adds a
// row holds others up.
type bundlePart struct {
	chunks [][]byte    // rows as in a bundle; of more and more bytes, up to chunkSize or that of a long row
	rows   [][]partRow // rowsTogether in each
	count  int         // of rows; they have the numbers from 1 on
	keys   []keyShard  // by the last bits of their hash; nil: none
	size   int64       // bytes

	bundles []version // that they are of; ascending
	last    version   // of these
}

// partRow is where a row is, and the way to older ones of its key: to the one before,
// and to one further back, so that each is found in a logarithmic number of steps (Myers, "An
// applicative random-access stack", Information Processing Letters 17, 1983).
type partRow struct {
	hash   uint64
	chunk  uint32
	at     uint32 // in the chunk
	before uint32 // number; 0: none
	jump   uint32 // likewise, of itself if it is the first of its key
	depth  uint32 // how many rows of the key are before
}

// keyShard is some keys. Each has a slot, at or behind its place (open addressing): the
// first half of its hash, which says the place, and the number of its newest row. A slot that
// is free is 0.
type keyShard struct {
	slots []uint64
	used  int
}

const (
	firstChunk   = 2 << 10
	chunkSize    = 256 << 10
	rowsTogether = 1 << 9
	keyShards    = 1 << 6
	firstSlots   = 1 << 4
)

// add takes a row in: how it is stored in its bundle, and its key in history. Of its key, it
// ended last. Bytes are copied.
func (p *bundlePart) add(stored, key []byte, hash uint64) {
	if p.keys == nil {
		p.keys = make([]keyShard, keyShards)
	}
	shard := &p.keys[hash%keyShards]
	if 4*(shard.used+1) > 3*len(shard.slots) {
		shard.grow()
	}
	if p.count%rowsTogether == 0 {
		p.rows = append(p.rows, make([]partRow, 0, rowsTogether))
	}
	number := uint32(p.count + 1)
	r := partRow{hash: hash, jump: number}
	r.chunk, r.at = p.keep(stored)
	slot := p.slot(shard, key, hash)
	if r.before = uint32(*slot); r.before == 0 {
		shard.used++
	} else {
		p.link(&r)
	}
	last := &p.rows[len(p.rows)-1]
	*last = append(*last, r)
	p.count++
	*slot = hash>>32<<32 | uint64(number)
	p.size += int64(len(stored))
}

// link sets how far the jump of a row goes, which has one before.
func (p *bundlePart) link(r *partRow) {
	before := p.row(r.before)
	near := p.row(before.jump)
	far := p.row(near.jump)
	r.depth, r.jump = before.depth+1, r.before
	if before.depth-near.depth == near.depth-far.depth {
		r.jump = near.jump
	}
}

// row is that of a number from 1 to count.
func (p *bundlePart) row(number uint32) *partRow {
	return &p.rows[(number-1)/rowsTogether][(number-1)%rowsTogether]
}

// keep copies what is stored of a row.
func (p *bundlePart) keep(stored []byte) (chunk, at uint32) {
	n := len(p.chunks) - 1
	if n < 0 || len(p.chunks[n])+len(stored) > cap(p.chunks[n]) {
		size := firstChunk
		if n >= 0 {
			size = min(2*cap(p.chunks[n]), chunkSize)
		}
		p.chunks = append(p.chunks, make([]byte, 0, max(size, len(stored))))
		n++
	}
	at = uint32(len(p.chunks[n]))
	p.chunks[n] = append(p.chunks[n], stored...)
	return uint32(n), at
}

// stored is a row as it is in its bundle, and what that is: its key in history and itself.
func (p *bundlePart) stored(r *partRow) (stored, key, row []byte) {
	b := p.chunks[r.chunk][r.at:]
	key, row, rest, _ := nextBundled(b) // it was read when it came
	return b[:len(b)-len(rest)], key, row
}

// slot is where the key of history that begins like key is, or would be.
func (p *bundlePart) slot(shard *keyShard, key []byte, hash uint64) *uint64 {
	group := key[:len(key)-versionSize]
	for i := hash >> 32; ; i++ {
		slot := &shard.slots[i&uint64(len(shard.slots)-1)]
		if *slot == 0 {
			return slot
		}
		if *slot>>32 == hash>>32 {
			if _, k, _ := p.stored(p.row(uint32(*slot))); bytes.Equal(k[:len(k)-versionSize], group) {
				return slot
			}
		}
	}
}

// grow makes room for twice as many keys.
func (s *keyShard) grow() {
	old := s.slots
	s.slots = make([]uint64, max(2*len(old), firstSlots))
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		i := slot >> 32
		for s.slots[i&uint64(len(s.slots)-1)] != 0 {
			i++
		}
		s.slots[i&uint64(len(s.slots)-1)] = slot
	}
}

// until is when a row ended.
func (p *bundlePart) until(r *partRow) version {
	_, key, _ := p.stored(r)
	return readVersion(key[len(key)-versionSize:])
}

// find returns the row of a key that was the first to end at or after place, nil if there is
// none, and when the one before ended.
func (p *bundlePart) find(place []byte, hash uint64) (row []byte, ended version) {
	if p == nil || p.keys == nil || p.keys[hash%keyShards].used == 0 {
		return nil, noVersion
	}
	n := uint32(*p.slot(&p.keys[hash%keyShards], place, hash))
	from := readVersion(place[len(place)-versionSize:])
	var first *partRow
	for n != 0 && ended == noVersion {
		r := p.row(n)
		if until := p.until(r); until < from {
			ended = until
			continue
		}
		first = r
		if n = r.before; n != 0 && p.until(p.row(r.jump)) >= from {
			n = r.jump
		}
	}
	if first == nil {
		return nil, ended
	}
	_, _, row = p.stored(first)
	return row, ended
}

func (p *bundlePart) changed(low, high []byte, since version) bool {
	for n := p.count; n > 0; n-- {
		_, key, _ := p.stored(p.row(uint32(n)))
		if readVersion(key[len(key)-versionSize:]) <= since {
			return false // what came before has ended before
		}
		if bytes.Compare(low, key) <= 0 && bytes.Compare(key, high) < 0 {
			return true
		}
	}
	return false
}
