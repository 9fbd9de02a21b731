package embedded

import (
	"bytes"

	"github.com/tuplix/tuplix/dbms/engine"
)

// gaps are ranges of the present that are known to have no row. Rows are often
// added at the end of a table, or of a group of rows: of such a key it need not be
// looked up that it is not there, which would be half of what adding it costs.
//
// A gap is looked for when a key is missing that is close behind another that was
// missing not long ago. Whoever stores a present row cuts it out of the gaps;
// nothing else makes one appear. The commit lock guards it all.
type gaps struct {
	list   [maxGaps]gap
	missed [maxGaps][]byte
	next   int // of missed, and of the list, that is replaced
	hot    int // of the list: where a key was last
}

// gap is the keys from low on and before high, which is nil after all keys.
type gap struct {
	low, high []byte
	known     bool
}

const (
	maxGaps  = 8
	gapBytes = 2 // keys that differ in no more bytes at their end are close

	// A transaction looks for gaps until it has written so many keys: those are
	// to be cut out of what the database shows.
	maxUnseen = 64
)

func (g *gap) contains(key []byte) bool {
	return g.known && bytes.Compare(g.low, key) <= 0 && (g.high == nil || bytes.Compare(key, g.high) < 0)
}

// contain tells whether key lies in a gap.
func (gs *gaps) contain(key []byte) bool {
	if gs.list[gs.hot].contains(key) {
		return true
	}
	for i := range gs.list {
		if gs.list[i].contains(key) {
			gs.hot = i
			return true
		}
	}
	return false
}

// cut takes key out of the gap in which it lies. What is left of it is the part
// behind key, where more rows are likely to be added; but if key has little in common
// with where the gap begins, it is a row of another table: then what is left is the
// part before it, where those that the gap was found for are added.
func (gs *gaps) cut(key []byte) {
	for i := range gs.list {
		g := &gs.list[i]
		switch {
		case !g.contains(key):
		case common(g.low, key) >= len(key)/2:
			g.low = append(append(g.low[:0], key...), 0)
		default:
			g.high = append(g.high[:0], key...)
		}
	}
}

// common is how many bytes two keys have in common at their beginning.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// miss notes that key is missing, and tells whether to look for a gap there.
func (gs *gaps) miss(key []byte) bool {
	for i, m := range gs.missed {
		n := len(key) - gapBytes
		if len(m) == len(key) && n > 0 && bytes.Equal(m[:n], key[:n]) && bytes.Compare(m, key) < 0 {
			gs.missed[i] = append(m[:0], key...)
			gs.next = i
			return true
		}
	}
	gs.next = (gs.next + 1) % maxGaps
	gs.missed[gs.next] = append(gs.missed[gs.next][:0], key...)
	return false
}

// lookup is stored for a key that is in no gap known yet.
func (t *tx) lookup(key []byte) ([]byte, error) {
	raw, err := t.cached(key)
	if err == nil && raw == nil && t.keys.len() <= maxUnseen && t.e.gaps.miss(key) {
		err = t.findGap(key)
	}
	return raw, err
}

// findGap makes a gap from a missing key to the next row.
func (t *tx) findGap(key []byte) error {
	if err := t.ground(); err != nil {
		return err
	}
	w, err := newPresentWalk(&t.reader, engine.Range{Low: key}, false, true)
	if err != nil {
		return err
	}
	gs := &t.e.gaps
	g := &gs.list[gs.next]
	*g = gap{low: append(g.low[:0], key...), known: true}
	if w.step() {
		g.high = bytes.Clone(w.it.Key()[1:])
	}
	if err := w.it.Close(); err != nil {
		g.known = false
		return storage(err)
	}
	for i := range t.keys.len() { // the database does not show these yet
		gs.cut(t.keys.at(i))
	}
	return nil
}
