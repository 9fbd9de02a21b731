package embedded

import (
	"bytes"
	"slices"
	"sort"

	"github.com/tuplix/tuplix/dbms/engine"
)

// window is the keys that were written last, for Changed, Watch and scans of the
// near past: two generations of bounded size, of which the older is dropped when
// the newer is full. Engine.recent guards it.
type window struct {
	gens   [2]generation // the newer first
	covers version       // all writes later than this are in the window
}

type generation struct {
	keys     keyList
	versions []version // of the keys; they never fall
}

const (
	windowKeys  = 4096
	windowBytes = 256 << 10
)

// reset empties the window of a store whose newest version is v.
func (w *window) reset(v version) { w.covers = v }

// add enters the writes of a transaction, before its version is published. Restores
// are not in the window, they are in a list of their own.
func (w *window) add(t *tx) {
	if t.keys.len() == 0 {
		return
	}
	if t.keys.len() > windowKeys || len(t.keys.bytes) > windowBytes {
		w.gens[0].clear()
		w.gens[1].clear()
		w.covers = t.version
		return
	}
	if g := &w.gens[0]; g.keys.len()+t.keys.len() > windowKeys || len(g.keys.bytes)+len(t.keys.bytes) > windowBytes {
		if n := len(w.gens[1].versions); n > 0 {
			w.covers = w.gens[1].versions[n-1]
		}
		w.gens[0], w.gens[1] = w.gens[1], w.gens[0]
		w.gens[0].clear()
	}
	g := &w.gens[0]
	for i := range t.keys.len() {
		g.keys.add(t.keys.at(i))
		g.versions = append(g.versions, t.version)
	}
}

func (g *generation) clear() {
	g.keys.clear()
	g.versions = g.versions[:0]
}

// changed tells whether a key of the ranges was written later than since. known
// is whether the window reaches back so far.
func (w *window) changed(since version, ranges []engine.Range) (changed, known bool) {
	if since < w.covers {
		return false, false
	}
	for i := range w.gens {
		g := &w.gens[i]
		for j := len(g.versions) - 1; j >= 0; j-- {
			if g.versions[j] <= since {
				return false, true
			}
			for k := range ranges {
				if ranges[k].Contains(g.keys.at(j)) {
					return true, true
				}
			}
		}
	}
	return false, true
}

// windowLooked is how many writes a scan of the near past looks at.
const windowLooked = 1024

// since returns the keys of a range that were written later than a version, in
// order. known is whether the window reaches back so far, and these are few.
func (w *window) since(at version, rng engine.Range) (keys [][]byte, known bool) {
	if at < w.covers {
		return nil, false
	}
	looked := 0
	for i := range w.gens {
		g := &w.gens[i]
		first := sort.Search(len(g.versions), func(j int) bool { return g.versions[j] > at })
		if looked += len(g.versions) - first; looked > windowLooked {
			return nil, false
		}
		for j := first; j < len(g.versions); j++ {
			if k := g.keys.at(j); rng.Contains(k) {
				keys = append(keys, bytes.Clone(k))
			}
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return slices.CompactFunc(keys, bytes.Equal), true
}
