package embedded

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
)

// emptySpans are ranges of keys that are known to have no present row. Where many
// rows were deleted one after another, as at the head of a queue, Pebble steps over
// each until it has compacted them; a scan that knows of the span seeks past it.
//
//	queue:   ┆ deleted, deleted, ... deleted ┆ head │ row │ row │ ... tail
//	         └────────── one span ───────────┘
//
// Scans of transactions find spans, and deletions at their edges let them grow.
// Storing a row cuts it out: after it is visible in Pebble, and before its version
// is published. So at any moment
//
//   - no row of a published version is present in a span, and
//   - none has been since the span's version.
//
// A scan at version t uses a span if it took it before it made its iterator: what
// came into the span since then is later than t, so the scan does not see it. Rows
// that were there at t and are deleted by now are in history, where spans do not
// count. Or it uses a span at any time if t is not before the span's version: then
// nothing was there at t. Where a restore is not repaired, spans are not used.
//
// All is in memory, and bounded: what is forgotten costs one slow scan.
type emptySpans struct {
	some  atomic.Bool // whether there are any; for those who need not lock then
	mu    sync.Mutex
	list  []*emptySpan // by keys; they neither overlap nor touch
	bytes int          // of all ends
	hand  int          // where to look for one that is not in use
	steps int          // entries of Pebble that a scan steps over before it notes a span
}

// emptySpan is the keys from low on and before high.
type emptySpan struct {
	low, high []byte
	at        version // no row was there at this version, or since
	used      bool    // lately

	// A row was stored at this end since the span was found.
	lowCut, highCut bool
}

const (
	maxEmptySpans = 4096
	maxEmptyBytes = 512 << 10
	emptySteps    = 16
)

// find is the index of the first span that ends after key.
func (s *emptySpans) find(key []byte) int {
	i, found := slices.BinarySearchFunc(s.list, key, func(x *emptySpan, k []byte) int { return bytes.Compare(x.high, k) })
	if found {
		i++
	}
	return i
}

// add notes that at the newest version there is no row from low on and before high,
// and joins what overlaps or touches.
func (s *emptySpans) add(low, high []byte, at version) {
	if bytes.Compare(low, high) >= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(low)
	if i > 0 && bytes.Equal(s.list[i-1].high, low) {
		i--
	}
	end := i
	for end < len(s.list) && bytes.Compare(s.list[end].low, high) <= 0 {
		end++
	}
	if i == end {
		s.insert(i, &emptySpan{low: bytes.Clone(low), high: bytes.Clone(high), at: at})
		return
	}
	first, last := s.list[i], s.list[end-1]
	s.bytes -= len(first.low) + len(first.high)
	for _, x := range s.list[i+1 : end] {
		s.bytes -= len(x.low) + len(x.high)
	}
	if bytes.Compare(low, first.low) < 0 {
		first.low, first.lowCut = append(first.low[:0], low...), false
	}
	first.highCut = false
	if bytes.Compare(last.high, high) > 0 {
		high, first.highCut = last.high, last.highCut
	}
	first.high = append(first.high[:0], high...)
	first.at, first.used = at, true
	s.bytes += len(first.low) + len(first.high)
	s.list = slices.Delete(s.list, i+1, end)
	s.bound()
}

func (s *emptySpans) insert(i int, x *emptySpan) {
	s.list = slices.Insert(s.list, i, x)
	s.bytes += len(x.low) + len(x.high)
	s.bound()
}

// bound forgets spans that were not used lately, as long as there are too many.
func (s *emptySpans) bound() {
	for len(s.list) > maxEmptySpans || s.bytes > maxEmptyBytes {
		s.hand %= len(s.list)
		if x := s.list[s.hand]; x.used {
			x.used = false
			s.hand++
			continue
		}
		s.remove(s.hand)
	}
	s.some.Store(len(s.list) > 0)
}

func (s *emptySpans) remove(i int) {
	s.bytes -= len(s.list[i].low) + len(s.list[i].high)
	s.list = slices.Delete(s.list, i, i+1)
	s.some.Store(len(s.list) > 0)
}

// cut takes a key that has a row out. What lies between two rows that were stored
// since the span was found is forgotten: where rows are added to an empty table, each
// would leave such a piece behind.
func (s *emptySpans) cut(key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(key)
	if i == len(s.list) || bytes.Compare(s.list[i].low, key) > 0 {
		return
	}
	x := s.list[i]
	s.bytes -= len(x.low) + len(x.high)
	left := !x.lowCut && bytes.Compare(x.low, key) < 0
	after := append(bytes.Clone(key), 0)
	right := !x.highCut && bytes.Compare(after, x.high) < 0
	switch {
	case left && right:
		y := &emptySpan{low: after, high: x.high, at: x.at, used: x.used, lowCut: true}
		x.high, x.highCut = bytes.Clone(key), true
		s.bytes += len(x.low) + len(x.high)
		s.insert(i+1, y)
	case left:
		x.high, x.highCut = append(x.high[:0], key...), true
		s.bytes += len(x.low) + len(x.high)
	case right:
		x.low, x.lowCut = after, true
		s.bytes += len(x.low) + len(x.high)
	default:
		s.list = slices.Delete(s.list, i, i+1)
		s.some.Store(len(s.list) > 0)
	}
}

// gone notes that the row of key was deleted at a version. That alone is not worth
// a span, but one that touches the key grows.
func (s *emptySpans) gone(key []byte, at version) {
	s.mu.Lock()
	i := s.find(key)
	after := append(bytes.Clone(key), 0)
	touches := i > 0 && bytes.Equal(s.list[i-1].high, key) ||
		i < len(s.list) && bytes.Compare(s.list[i].low, after) <= 0
	s.mu.Unlock()
	if touches { // nobody else adds or cuts meanwhile: see wrote
		s.add(key, after, at)
	}
}

// wrote follows a group of transactions that is visible and not yet published: of
// the keys that it has touched, in order, it has stored rows but for those that are
// gone. Nobody adds spans or cuts them meanwhile: groups are applied one after
// another, and who scans in a transaction has waited for all before it.
func (s *emptySpans) wrote(touched *keyList, gone []int, at version) {
	for i := range touched.len() {
		if len(gone) > 0 && gone[0] == i {
			gone = gone[1:]
			s.gone(touched.at(i), at)
		} else {
			s.cut(touched.at(i))
		}
	}
}

// take appends copies of the spans that overlap the keys from low on and before
// high (nil: all), up to room, to to. Those later than newest are left out.
func (s *emptySpans) take(to []emptySpan, low, high []byte, newest version, room int) []emptySpan {
	if !s.some.Load() {
		return to
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.find(low); i < len(s.list) && len(to) < room; i++ {
		x := s.list[i]
		if high != nil && bytes.Compare(x.low, high) >= 0 {
			break
		}
		if x.at <= newest {
			x.used = true
			to = append(to, emptySpan{low: bytes.Clone(x.low), high: bytes.Clone(x.high), at: x.at})
		}
	}
	return to
}

// takeBack is take for a scan backward: the spans come from high on down.
func (s *emptySpans) takeBack(to []emptySpan, low, high []byte, newest version, room int) []emptySpan {
	if !s.some.Load() {
		return to
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.list) - 1
	if high != nil {
		i, _ = slices.BinarySearchFunc(s.list, high, func(x *emptySpan, k []byte) int { return bytes.Compare(x.low, k) })
		i-- // the last that begins before high
	}
	for ; i >= 0 && len(to) < room; i-- {
		x := s.list[i]
		if bytes.Compare(x.high, low) <= 0 {
			break
		}
		if x.at <= newest {
			x.used = true
			to = append(to, emptySpan{low: bytes.Clone(x.low), high: bytes.Clone(x.high), at: x.at})
		}
	}
	return to
}
