package embedded

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// ringModel is what a ring may answer: the newest row of a key, or none.
type ringModel struct {
	t    *testing.T
	ring rowRing
	rows map[string][]byte
	hash func(key []byte) uint64
}

func (m *ringModel) put(key, row []byte) {
	m.ring.put(key, row, m.hash(key))
	m.rows[string(key)] = row
}

func (m *ringModel) drop(key []byte) {
	m.ring.drop(key, m.hash(key))
	delete(m.rows, string(key))
}

// get checks an answer, and reports whether there was one.
func (m *ringModel) get(key []byte) bool {
	m.t.Helper()
	got := m.ring.get(nil, key, m.hash(key))
	if want := m.rows[string(key)]; got != nil && !bytes.Equal(got, want) {
		m.t.Fatalf("key %x has %x, and is to have %x or nothing", key, got, want)
	}
	return got != nil
}

// check walks the ring: each place is that of an entry, and no entry has two.
func (m *ringModel) check() {
	m.t.Helper()
	r := &m.ring
	begins := map[int]uint32{}
	walk := func(from, to int) {
		at := from
		for at < to {
			hash, key, row := r.entry(at)
			begins[at] = hash
			at += entrySize(len(key), len(row))
		}
		if at != to {
			m.t.Fatalf("entries from %d on end at %d, not at %d", from, at, to)
		}
	}
	walk(0, r.write)
	if r.oldest < r.end {
		walk(r.oldest, r.end)
	}
	for _, p := range r.places {
		if p == 0 {
			continue
		}
		at := (int(p&unitMask) - 1) * entryUnit
		hash, ok := begins[at]
		if !ok || placeOf(at, hash) != p {
			m.t.Fatalf("place %x is not that of an entry, or of two", p)
		}
		delete(begins, at)
	}
}

// TestRing does anything at random to rings of several sizes, with hashes of which many
// are alike, too.
func TestRing(t *testing.T) {
	for _, most := range []int{leastRing, leastRing + 5*entryUnit, 3 * leastRing, 64 << 10} {
		for _, hashes := range []uint64{3, 100, 1 << 40} {
			rng := rand.New(rand.NewPCG(uint64(most), hashes))
			m := &ringModel{t: t, rows: map[string][]byte{}, hash: func(key []byte) uint64 { return hash(key) % hashes }}
			m.ring.most = most
			hits := 0
			for n := range 20_000 {
				key := binary.AppendUvarint(nil, rng.Uint64N(uint64(most/64)))
				switch rng.IntN(8) {
				case 0, 1, 2:
					m.put(key, bytes.Repeat([]byte{byte(n)}, rng.IntN(cachedMost-len(key)+1)))
				case 3:
					m.drop(key)
				default:
					if m.get(key) {
						hits++
					}
				}
				if n%500 == 0 {
					m.check()
				}
			}
			m.check()
			if len(m.ring.buf) != most || hits == 0 {
				t.Errorf("%d hits in a ring that has %d bytes of %d", hits, len(m.ring.buf), most)
			}
		}
	}
}

// TestRingKeeps puts a stream of rows into a ring: those that are read all the time
// stay, and of the others the newest, but for what few buckets have too many of.
func TestRingKeeps(t *testing.T) {
	fixed := func(key []byte) uint64 { return rand.NewPCG(binary.BigEndian.Uint64(key), 0).Uint64() }
	m := &ringModel{t: t, rows: map[string][]byte{}, hash: fixed}
	m.ring.most = 64 << 10
	key := func(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
	row := make([]byte, 112) // 512 rows fill it
	for n := range 100 {
		m.put(key(n), row)
	}
	const last = 10_000
	for n := 100; n < last; n++ {
		m.put(key(n), row)
		m.get(key(n % 100))
	}
	count := func(from, to int) (hits int) {
		for n := from; n < to; n++ {
			if m.get(key(n)) {
				hits++
			}
		}
		return hits
	}
	if hot := count(0, 100); hot < 80 {
		t.Errorf("%d of 100 rows that are in use are there", hot)
	}
	if fresh := count(last-250, last); fresh < 230 {
		t.Errorf("%d of the 250 newest rows are there", fresh)
	}
	if old := count(100, last-1000); old > 20 {
		t.Errorf("%d old rows are there", old)
	}
}

// TestRingHolds reads rows that nearly fill a ring one after another, again and again:
// all stay but for a few whose buckets have too many.
func TestRingHolds(t *testing.T) {
	fixed := func(key []byte) uint64 { return rand.NewPCG(binary.BigEndian.Uint64(key), 0).Uint64() }
	m := &ringModel{t: t, rows: map[string][]byte{}, hash: fixed}
	m.ring.most = 256 << 10
	const rows = 2000 // of 120 bytes, which are 92% of that
	row := make([]byte, 104)
	missed := 0
	for n := range 4 * rows {
		key := binary.BigEndian.AppendUint64(nil, uint64(n%rows))
		if !m.get(key) {
			m.put(key, row)
			missed++
		}
	}
	if most := rows + rows/12; missed < rows || missed > most {
		t.Errorf("%d of %d reads of %d rows missed, more than %d", missed, 4*rows, rows, most)
	}
}
