package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
)

// bundlePart is rows that are pending, as they came, and where those of a key are. The
// garbage collector finds few pointers in it.
type bundlePart struct {
	chunks [][]byte // rows as in a bundle; of more and more bytes, up to chunkSize or that of a long row
	rows   []partRow
	slots  []uint32 // of keys, by hash, open addressing: the number of the newest row plus 1
	keys   int
	size   int64 // bytes

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
	before uint32 // number plus 1; 0: none
	jump   uint32 // likewise, of itself if it is the first of its key
	depth  uint32 // how many rows of the key are before
}

const (
	firstChunk = 2 << 10
	chunkSize  = 256 << 10
	firstSlots = 1 << 4
)

// add takes a row in: how it is stored in its bundle, and its key in history. Of its key, it
// ended last. Bytes are copied.
func (p *bundlePart) add(stored, key []byte, hash uint64) {
	if 4*(p.keys+1) > 3*len(p.slots) {
		p.grow()
	}
	number := uint32(len(p.rows) + 1)
	r := partRow{hash: hash, jump: number}
	r.chunk, r.at = p.keep(stored)
	slot := p.slot(key, hash)
	if r.before = p.slots[slot]; r.before == 0 {
		p.keys++
	} else {
		p.link(&r)
	}
	p.rows = append(p.rows, r)
	p.slots[slot] = number
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

func (p *bundlePart) row(number uint32) *partRow { return &p.rows[number-1] }

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
func (p *bundlePart) slot(key []byte, hash uint64) int {
	group := key[:len(key)-versionSize]
	for i := int(hash); ; i++ {
		i &= len(p.slots) - 1
		n := p.slots[i]
		if n == 0 {
			return i
		}
		if r := p.row(n); r.hash == hash {
			if _, k, _ := p.stored(r); bytes.Equal(k[:len(k)-versionSize], group) {
				return i
			}
		}
	}
}

// grow makes room for twice as many keys.
func (p *bundlePart) grow() {
	old := p.slots
	p.slots = make([]uint32, max(2*len(old), firstSlots))
	for _, n := range old {
		if n == 0 {
			continue
		}
		i := int(p.row(n).hash) & (len(p.slots) - 1)
		for p.slots[i] != 0 {
			i = (i + 1) & (len(p.slots) - 1)
		}
		p.slots[i] = n
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
	if p == nil || p.keys == 0 {
		return nil, noVersion
	}
	n := p.slots[p.slot(place, hash)]
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
	for i := len(p.rows) - 1; i >= 0; i-- {
		_, key, _ := p.stored(&p.rows[i])
		if readVersion(key[len(key)-versionSize:]) <= since {
			return false // what came before has ended before
		}
		if bytes.Compare(low, key) <= 0 && bytes.Compare(key, high) < 0 {
			return true
		}
	}
	return false
}

// placed is a row in the order of keys. All keys of a part have begin with the same bytes: the
// eight after these decide most comparisons.
type placed struct {
	after  uint64
	number uint32
}

// sorted are the rows in the order of their keys.
func (p *bundlePart) sorted() []placed {
	common := p.common()
	all := make([]placed, len(p.rows))
	for i := range p.rows {
		_, key, _ := p.stored(&p.rows[i])
		var b [8]byte
		copy(b[:], key[common:])
		all[i] = placed{binary.BigEndian.Uint64(b[:]), uint32(i + 1)}
	}
	compared := 0
	slices.SortFunc(all, func(a, b placed) int {
		if compared++; compared%unpackCompare == 0 {
			runtime.Gosched()
		}
		if a.after != b.after {
			return cmp.Compare(a.after, b.after)
		}
		_, x, _ := p.stored(p.row(a.number))
		_, y, _ := p.stored(p.row(b.number))
		return bytes.Compare(x, y)
	})
	return all
}

// common is how many bytes all keys begin with.
func (p *bundlePart) common() int {
	if len(p.rows) == 0 {
		return 0
	}
	_, first, _ := p.stored(&p.rows[0])
	n := len(first)
	for i := range p.rows {
		_, key, _ := p.stored(&p.rows[i])
		if n = min(n, len(key)); string(key[:n]) == string(first[:n]) {
			continue
		}
		for n = 0; key[n] == first[n]; n++ {
		}
	}
	return n
}
