package embedded

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"
)

// bundles is the rows of history that are not at their keys yet. A row that is
// replaced would need a place of its own in a memtable, far from all others: the search
// for that was a third of a transaction. So the rows of a group of transactions are stored
// as one bundle, and kept here until there are so many that a table can be made of them:
//
//	group ──► bundle in Pebble ──► open part ──► frozen part ──► table, or batch (unpack.go)
//	               └──────────────── removed when that is done ◄──────┘
//
// Of a key, what is pending may be older or newer than what is at its keys: only what
// transactions replace or delete in the usual way is bundled, all else goes to its keys at once.
// But rows of a key that are pending end in the order in which they came.
//
// Who looks for one row looks here first, and then into Pebble, with an iterator that was made
// after that, or is of the same age (kept.go): what has left meanwhile is there. A row comes
// here before the one that replaces it is seen in Pebble. Who needs history in its order has
// it unpacked first (Engine.settled).
type bundles struct {
	most int64 // bytes of a part that is to be unpacked
	few  int64 // bytes up to which a batch is better than a table

	turn sync.Mutex // held by who unpacks; before groups.apply

	mu           sync.RWMutex // of the parts and what is in them
	open, frozen *bundlePart  // frozen is nil unless its rows are being unpacked

	size    atomic.Int64 // bytes of both
	direct  atomic.Bool  // something has come to history without a table, and may be in a memtable
	running atomic.Bool  // somebody unpacks in the background
	again   atomic.Int64 // when that may be tried again after a failure, nanoseconds since 1970
	jobs    sync.WaitGroup
}

// bundleShare of a memtable is what is unpacked at a time, and fewShare of that what goes as a
// batch where somebody needs it sooner: a table takes three flushes, a batch holds others up.
// While rows come faster than they are unpacked, up to bundleParts times as much waits; then
// they go to their keys at once.
const (
	bundleShare = 4
	fewShare    = 4
	fewMost     = 256 << 10
	bundleParts = 3
)

func (p *bundles) init(memTable uint64) {
	p.most = int64(memTable / bundleShare)
	p.few = min(p.most/fewShare, fewMost)
	p.open = &bundlePart{}
}

// takes tells whether a row may be bundled.
func (p *bundles) takes() bool { return p.size.Load() < bundleParts*p.most }

// add takes in a bundle, of which the rows' keys have the hashes. It tells whether there
// is enough to unpack. The apply lock is held.
func (p *bundles) add(bundle []byte, hashes []uint64, last version) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.open.size
	for rest := bundle[1:]; len(rest) > 0; hashes = hashes[1:] {
		key, _, next, err := nextBundled(rest)
		if err != nil {
			return false, err
		}
		p.open.add(rest[:len(rest)-len(next)], key, hashes[0])
		rest = next
	}
	p.open.last = last
	p.open.bundles = append(p.open.bundles, last)
	p.size.Add(p.open.size - before)
	return p.open.size >= p.most, nil
}

// load takes in a bundle that was found when the store was opened.
func (p *bundles) load(bundle []byte, last version) error {
	if len(bundle) == 0 || bundle[0] != bundleFormat {
		return errBundle
	}
	var hashes []uint64
	for rest := bundle[1:]; len(rest) > 0; {
		key, row, next, err := nextBundled(rest)
		if err != nil {
			return err
		}
		group, _, err := splitHistory(key)
		if err != nil {
			return err
		}
		plain, err := appendUnescaped(nil, group)
		if err != nil {
			return err
		}
		if _, err := parseRow(row); err != nil {
			return err
		}
		hashes = append(hashes, hash(plain))
		rest = next
	}
	_, err := p.add(bundle, hashes, last)
	return err
}

// find appends to b the row of a key, which has that hash, that was in effect at some moment
// or, if there was none, the next one: the first that ended at or after place, which is a key
// of history. It also returns when the last one before ended, noVersion if none is here.
func (p *bundles) find(b, place []byte, hash uint64) (row []byte, found bool, ended version) {
	if p.size.Load() == 0 {
		return b, false, noVersion
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, part := range []*bundlePart{p.frozen, p.open} { // from old to new
		raw, before := part.find(place, hash)
		ended = max(ended, before)
		if raw != nil {
			return append(b, raw...), true, ended
		}
	}
	return b, false, ended
}

// findIn is find in some parts, from old to new. The row stays valid.
func (p *bundles) findIn(parts []*bundlePart, place []byte, hash uint64) []byte {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, part := range parts {
		if row, _ := part.find(place, hash); row != nil {
			return row
		}
	}
	return nil
}

// parts are those that have rows.
func (p *bundles) parts() (two [2]*bundlePart) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return [2]*bundlePart{p.frozen, p.open}
}

// freeze has the open part be the frozen one. Whoever unpacks calls it, with the apply
// lock held, so that what is frozen is in Pebble.
func (p *bundles) freeze() *bundlePart {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen, p.open = p.open, &bundlePart{}
	if p.frozen.size >= p.most { // and so will the next be
		p.open.rows = make([]partRow, 0, len(p.frozen.rows)+len(p.frozen.rows)/8)
		p.open.slots = make([]uint32, len(p.frozen.slots))
	}
	return p.frozen
}

// thaw drops the frozen part, of which all rows are at their keys, or has them wait again.
func (p *bundles) thaw(unpacked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	frozen := p.frozen
	p.frozen = nil
	if unpacked {
		p.size.Add(-frozen.size)
		return
	}
	p.again.Store(time.Now().Add(unpackPause).UnixNano())
	newer := p.open
	p.open = frozen
	for i := range newer.rows {
		r := &newer.rows[i]
		stored, key, _ := newer.stored(r)
		p.open.add(stored, key, r.hash)
	}
	p.open.last = max(p.open.last, newer.last)
	p.open.bundles = append(p.open.bundles, newer.bundles...)
}

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
