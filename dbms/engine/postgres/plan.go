package postgres

import (
	"bytes"
	"slices"
	"sort"

	"github.com/tuplix/tuplix/dbms/engine"
)

// A restore hides versions. What is visible of a key at version t follows from
// one rule: if h is the newest restore of the key that is not later than t, the
// newest row in (h.version, t] counts; if there is none, what was visible at
// h.target. Unrolled, that is a list of spans of versions, each before the last:
//
//	       h2.target     h2.version
//	  ......|----)........(======] t           = looked at first
//	  (=====]                                  = then
//
// Since they do not overlap and descend, the visible row is simply the newest one
// in any of them. The spans are the same for all keys between two bounds of
// restores; a plan lists these parts of the key space.

// span is the versions v with after < v <= to.
type span struct{ after, to uint64 }

// part is a range of keys with the spans in which their visible rows are.
type part struct {
	engine.Range
	spans []span
}

// plan returns the parts, in order, that together are all keys, to be read at a
// version with the restores up to it.
func plan(at uint64, restores []restore) []part {
	bounds := [][]byte{{}}
	for _, r := range restores {
		if r.rng.Empty() {
			continue
		}
		bounds = append(bounds, r.rng.Low)
		if r.rng.High != nil {
			bounds = append(bounds, r.rng.High)
		}
	}
	slices.SortFunc(bounds, bytes.Compare)
	bounds = slices.CompactFunc(bounds, bytes.Equal)
	parts := make([]part, len(bounds))
	for i, low := range bounds {
		parts[i] = part{Range: engine.Range{Low: low}, spans: spans(low, at, restores)}
		if i > 0 {
			parts[i-1].High = low
		}
	}
	return parts
}

// spans are those of one key.
func spans(key []byte, at uint64, restores []restore) (list []span) {
	for _, r := range slices.Backward(restores) {
		if r.version > at || !r.rng.Contains(key) {
			continue
		}
		if r.version < at {
			list = append(list, span{after: r.version, to: at})
		}
		at = r.target
	}
	return append(list, span{to: at})
}

// partOf returns the index of the part that holds key.
func partOf(parts []part, key []byte) int {
	return sort.Search(len(parts), func(i int) bool { return bytes.Compare(parts[i].Low, key) > 0 }) - 1
}

// within cuts parts down to a range.
func within(parts []part, r engine.Range) (cut []part) {
	for _, p := range parts {
		if !p.Overlaps(r) {
			continue
		}
		p.Range = intersection(p.Range, r)
		cut = append(cut, p)
	}
	return cut
}

func intersection(a, b engine.Range) engine.Range {
	if bytes.Compare(b.Low, a.Low) > 0 {
		a.Low = b.Low
	}
	if a.High == nil || b.High != nil && bytes.Compare(b.High, a.High) < 0 {
		a.High = b.High
	}
	return a
}

// columns are the bounds of spans, as two arrays.
func columns(list []span) (after, to []uint64) {
	for _, s := range list {
		after, to = append(after, s.after), append(to, s.to)
	}
	return after, to
}
