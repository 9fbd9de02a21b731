package txn

import (
	"bytes"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// mostRanges bounds the memory of a read set. Above it, neighbours are joined:
// the transaction may then conflict with changes between what it has read.
const mostRanges = 4096

// readset is the ranges that an interactive transaction has read, in no order.
type readset struct {
	ranges []engine.Range
	open   []*tracked // cursors not yet closed
}

// all returns the ranges, those of open cursors included.
func (s *readset) all() []engine.Range {
	for len(s.open) > 0 {
		s.open[0].done()
	}
	return s.ranges
}

func (s *readset) addKey(key []byte) { s.add(engine.KeyRange(key)) }

func (s *readset) addKeys(keys [][]byte) {
	for _, k := range keys {
		s.addKey(k)
	}
}

func (s *readset) addRange(r engine.Range) {
	if !r.Empty() {
		s.add(clone(r))
	}
}

func (s *readset) add(r engine.Range) {
	s.ranges = append(s.ranges, r)
	if len(s.ranges) > mostRanges {
		s.join()
	}
}

// join merges overlapping ranges, and then pairs of neighbours until the set is
// half as large as it may be.
func (s *readset) join() {
	slices.SortFunc(s.ranges, func(a, b engine.Range) int { return bytes.Compare(a.Low, b.Low) })
	s.ranges = joined(s.ranges, func(a, b engine.Range) bool {
		return a.High == nil || bytes.Compare(b.Low, a.High) <= 0
	})
	for len(s.ranges) > mostRanges/2 {
		i := 0
		s.ranges = joined(s.ranges, func(a, b engine.Range) bool {
			i++
			return i%2 == 1
		})
	}
}

// joined merges each range with its predecessor where merge says so.
func joined(ranges []engine.Range, merge func(a, b engine.Range) bool) []engine.Range {
	out := ranges[:1]
	for _, r := range ranges[1:] {
		last := &out[len(out)-1]
		if !merge(*last, r) {
			out = append(out, r)
			continue
		}
		if last.High != nil && (r.High == nil || bytes.Compare(r.High, last.High) > 0) {
			last.High = r.High
		}
	}
	return out
}

// tracked records what part of a range is really read: up to where its cursor
// has come when it is closed, or when the transaction is validated.
type tracked struct {
	engine.Cursor
	reads   *readset
	rng     engine.Range
	reverse bool
	last    []byte // key, nil before the first
	ended   bool
	isDone  bool
}

func (s *readset) track(c engine.Cursor, r engine.Range, reverse bool) engine.Cursor {
	t := &tracked{Cursor: c, reads: s, rng: clone(r), reverse: reverse}
	s.open = append(s.open, t)
	return t
}

func (c *tracked) Next() bool {
	if c.isDone || !c.Cursor.Next() {
		c.ended = true
		return false
	}
	c.last = append(c.last[:0], c.Cursor.Key()...)
	return true
}

func (c *tracked) Close() error {
	c.done()
	return c.Cursor.Close()
}

// done adds to the read set what the cursor has passed; it moves no further.
func (c *tracked) done() {
	if c.isDone {
		return
	}
	c.isDone = true
	c.reads.open = slices.DeleteFunc(c.reads.open, func(o *tracked) bool { return o == c })
	switch {
	case c.ended:
		c.reads.addRange(c.rng)
	case c.last == nil: // nothing was looked at
	case c.reverse:
		c.reads.addRange(engine.Range{Low: c.last, High: c.rng.High})
	default:
		c.reads.addRange(engine.Range{Low: c.rng.Low, High: append(c.last, 0)})
	}
}
