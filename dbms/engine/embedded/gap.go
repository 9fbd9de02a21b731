package embedded

import (
	"bytes"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// gaps are ranges of the present that are known to have no row. Rows are often
// added at the end of a table, or of a group of rows: of such a key it need not be
// looked up that it is not there, which would be half of what adding it costs.
//
// A gap is looked for when a key is missing that is behind another of its
// neighborhood that was missing: one with the same first half. If no row is added
// to the gap, the next is looked for after twice as many. Whoever stores a present
// row cuts it out of the gaps; nothing else makes one appear. The commit lock guards
// it all.
type gaps struct {
	list   []*gap // by keys; they do not overlap
	hot    int    // where a key was last
	hand   int    // where to look for one that is not in use
	places [gapPlaces]gapPlace
}

// gap is the keys from low on and before high, which is nil after all keys.
type gap struct {
	low, high []byte
	place     *gapPlace
	used      bool // lately
}

// gapPlace is a neighborhood, whose hash has led here or beside.
type gapPlace struct {
	last  []byte // the key of it that was missing last
	tries uint8  // gaps that were found since a key was in one
	pause uint16 // misses until the next is looked for
}

const (
	maxGaps   = 2048
	gapPlaces = 4096 // a power of two
	maxTries  = 12

	// A transaction looks for gaps until it has written so many keys: those are
	// to be cut out of what the database shows.
	maxUnseen = 1024
)

func (g *gap) contains(key []byte) bool {
	return bytes.Compare(g.low, key) <= 0 && (g.high == nil || bytes.Compare(key, g.high) < 0)
}

// at is the index of the gap in which key lies, and whether there is one; else that
// of the first behind it.
func (gs *gaps) at(key []byte) (int, bool) {
	if gs.hot < len(gs.list) && gs.list[gs.hot].contains(key) {
		return gs.hot, true
	}
	i, found := slices.BinarySearchFunc(gs.list, key, func(g *gap, key []byte) int { return bytes.Compare(g.low, key) })
	switch {
	case found:
	case i > 0 && gs.list[i-1].contains(key):
		i--
	default:
		return i, false
	}
	gs.hot = i
	return i, true
}

// contain tells whether key lies in a gap.
func (gs *gaps) contain(key []byte) bool {
	i, ok := gs.at(key)
	if ok {
		gs.list[i].used = true
		gs.list[i].place.tries = 0
	}
	return ok
}

// cut takes key out of the gap in which it lies. What is left of it is the part
// behind key, where more rows are likely to be added; and if key has little in common
// with where the gap begins, which may be another table, the part before it, too, where
// those may be added that the gap was found for.
func (gs *gaps) cut(key []byte) {
	i, ok := gs.at(key)
	if !ok {
		return
	}
	g := gs.list[i]
	if common(g.low, key) < len(key)/2 && bytes.Compare(g.low, key) < 0 {
		before := &gap{low: g.low, high: bytes.Clone(key), place: g.place, used: g.used}
		g.low = append(bytes.Clone(key), 0)
		gs.list = slices.Insert(gs.list, i, before)
		i++
	} else {
		g.low = append(append(g.low[:0], key...), 0)
	}
	if g.high != nil && bytes.Compare(g.low, g.high) >= 0 {
		gs.list = slices.Delete(gs.list, i, i+1)
	}
	gs.bound()
}

// common is how many bytes two keys have in common at their beginning.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// miss notes that key is missing. It returns the place for which to look for a gap
// there, nil if that is not worth it.
func (gs *gaps) miss(key []byte) *gapPlace {
	half := key[:(len(key)+1)/2]
	at := hash(half) % gapPlaces
	p := &gs.places[at]
	if other := &gs.places[at^1]; !bytes.HasPrefix(p.last, half) && (len(other.last) == 0 || bytes.HasPrefix(other.last, half)) {
		p = other
	}
	behind := bytes.HasPrefix(p.last, half) && bytes.Compare(p.last, key) < 0
	if !bytes.HasPrefix(p.last, half) {
		p.tries, p.pause = 0, 0
	}
	p.last = append(p.last[:0], key...)
	if !behind {
		return nil
	}
	if p.pause > 0 {
		p.pause--
		return nil
	}
	p.pause = 1<<p.tries - 1
	p.tries = min(p.tries+1, maxTries)
	return p
}

// add adds a gap. Others that it overlaps are parts of it: it ends at the next row,
// or where the next gap does.
func (gs *gaps) add(g *gap) {
	i, ok := gs.at(g.low)
	if ok && bytes.Compare(gs.list[i].low, g.low) < 0 {
		gs.list[i].high = bytes.Clone(g.low)
		i++
	}
	end := i
	for end < len(gs.list) && (g.high == nil || bytes.Compare(gs.list[end].low, g.high) < 0) {
		end++
	}
	gs.list = slices.Replace(gs.list, i, end, g)
	gs.bound()
}

// bound forgets gaps that were not used lately, as long as there are too many.
func (gs *gaps) bound() {
	for len(gs.list) > maxGaps {
		gs.hand %= len(gs.list)
		if o := gs.list[gs.hand]; o.used {
			o.used = false
			gs.hand++
			continue
		}
		gs.list = slices.Delete(gs.list, gs.hand, gs.hand+1)
	}
}

// lookup is stored for a key that is in no gap known yet, and has that hash.
func (t *tx) lookup(key []byte, hash uint64) ([]byte, error) {
	raw, err := t.cached(key, hash)
	if err == nil && raw == nil && t.keys.len() <= maxUnseen {
		if p := t.e.gaps.miss(key); p != nil {
			err = t.findGap(key, p)
		}
	}
	return raw, err
}

// findGap makes a gap from a missing key to the next row.
func (t *tx) findGap(key []byte, p *gapPlace) error {
	if err := t.ground(); err != nil {
		return err
	}
	w, err := newPresentWalk(&t.reader, engine.Range{Low: key}, false, true)
	if err != nil {
		return err
	}
	g := &gap{low: bytes.Clone(key), place: p, used: true}
	if w.step() {
		g.high = bytes.Clone(w.it.Key()[1:])
	}
	if err := w.it.Close(); err != nil {
		return storage(err)
	}
	gs := &t.e.gaps
	gs.add(g)
	for i := range t.keys.len() { // the database does not show these yet
		if k := t.keys.at(i); bytes.Compare(g.low, k) <= 0 && (g.high == nil || bytes.Compare(k, g.high) < 0) {
			gs.cut(k)
		}
	}
	return nil
}
