package txn

import (
	"bytes"
	"iter"
	"slices"

	"github.com/google/btree"

	"github.com/tuplix/tuplix/dbms/engine"
)

// write is what a transaction wants to become of a key.
type write struct {
	key     []byte
	value   []byte
	deleted bool
	forget  int // deleted without history: the size of what was there, and one
}

// few is how many writes are kept in a sorted slice. Most transactions write
// fewer; above, a B-tree.
const few = 32

// writeset holds the writes of a transaction, ordered by key, the last write of
// a key winning. A snapshot costs a few words: the two sides share memory until
// one of them changes (the slice is copied, the tree copies its nodes).
type writeset struct {
	small  []write // sorted; unused once big is there
	shared bool    // small belongs to a snapshot too: copy it before changing
	big    *btree.BTreeG[write]
	bytes  int64  // of all keys and values ever written: a bound, not a sum
	arena  []byte // where keys and values are copied to; only ever appended to
}

func less(a, b write) bool { return bytes.Compare(a.key, b.key) < 0 }

func (s *writeset) reset() {
	clear(s.small)
	if s.shared {
		s.small = nil
	}
	*s = writeset{small: s.small[:0], arena: s.arena[:0]}
}

func (s *writeset) empty() bool { return s.len() == 0 }

func (s *writeset) len() int {
	if s.big != nil {
		return s.big.Len()
	}
	return len(s.small)
}

// snapshot returns the set as it is now; s and it may then change apart. They
// append to different arenas.
func (s *writeset) snapshot() writeset {
	c := *s
	c.arena = nil
	if s.big != nil {
		c.big = s.big.Clone()
	} else {
		s.shared, c.shared = true, true
	}
	return c
}

func (s *writeset) put(key, value []byte) error {
	return s.add(write{key: key, value: value})
}

func (s *writeset) delete(key []byte) error {
	return s.add(write{key: key, deleted: true})
}

func (s *writeset) forget(key []byte, size int) error {
	return s.add(write{key: key, deleted: true, forget: size + 1})
}

// add copies w and puts it in its place.
func (s *writeset) add(w write) error {
	s.bytes += int64(len(w.key) + len(w.value))
	if s.bytes > engine.MaxTxBytes {
		return &engine.LimitError{What: "bytes written by a transaction", Size: s.bytes, Limit: engine.MaxTxBytes}
	}
	if s.len() >= engine.MaxWrites {
		return &engine.LimitError{What: "keys written by a transaction", Size: int64(s.len()) + 1, Limit: engine.MaxWrites}
	}
	w.key, w.value = s.keep(w.key), s.keep(w.value)
	if s.big == nil && len(s.small) >= few {
		s.grow()
	}
	if s.big != nil {
		s.big.ReplaceOrInsert(w)
		return nil
	}
	if s.shared {
		s.small, s.shared = slices.Clone(s.small), false
	}
	if n := len(s.small); n == 0 || bytes.Compare(s.small[n-1].key, w.key) < 0 {
		s.small = append(s.small, w)
		return nil
	}
	i, found := s.find(w.key)
	if found {
		s.small[i] = w
	} else {
		s.small = slices.Insert(s.small, i, w)
	}
	return nil
}

func (s *writeset) grow() {
	s.big = btree.NewG(32, less)
	for _, w := range s.small {
		s.big.ReplaceOrInsert(w)
	}
	s.small, s.shared = nil, false
}

// large is from when on a value has memory of its own: in the arena it would be copied
// again as that grows.
const large = 4 << 10

// keep copies b, into the arena if it is small.
func (s *writeset) keep(b []byte) []byte {
	if len(b) >= large {
		return append([]byte(nil), b...)
	}
	n := len(s.arena)
	s.arena = append(s.arena, b...)
	return s.arena[n:len(s.arena):len(s.arena)]
}

func (s *writeset) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(s.small, key, func(w write, key []byte) int {
		return bytes.Compare(w.key, key)
	})
}

func (s *writeset) get(key []byte) (write, bool) {
	if s.empty() {
		return write{}, false
	}
	if s.big != nil {
		return s.big.Get(write{key: key})
	}
	if i, found := s.find(key); found {
		return s.small[i], true
	}
	return write{}, false
}

// all yields the writes in order.
func (s *writeset) all() iter.Seq[write] {
	return func(yield func(write) bool) {
		if s.big != nil {
			s.big.Ascend(yield)
			return
		}
		for _, w := range s.small {
			if !yield(w) {
				return
			}
		}
	}
}

// touches reports whether a key of r is written.
func (s *writeset) touches(r engine.Range) bool {
	_, ok := s.next(r, nil, false)
	return ok
}

// next returns the first write of r after the key last, or the last before it
// if reverse; nil stands for the end that the walk begins from.
func (s *writeset) next(r engine.Range, last []byte, reverse bool) (w write, ok bool) {
	if s.big != nil {
		return s.nextBig(r, last, reverse)
	}
	i := 0
	switch {
	case !reverse && last == nil:
		i, _ = s.find(r.Low)
	case !reverse:
		var found bool
		if i, found = s.find(last); found {
			i++
		}
	case last == nil && r.High == nil:
		i = len(s.small) - 1
	case last == nil:
		i, _ = s.find(r.High)
		i--
	default:
		i, _ = s.find(last)
		i--
	}
	if i < 0 || i >= len(s.small) || !r.Contains(s.small[i].key) {
		return write{}, false
	}
	return s.small[i], true
}

func (s *writeset) nextBig(r engine.Range, last []byte, reverse bool) (w write, ok bool) {
	from := last
	if from == nil {
		from = r.Low
		if reverse {
			from = r.High
		}
	}
	visit := func(x write) bool {
		if last != nil && bytes.Equal(x.key, last) || reverse && last == nil && bytes.Equal(x.key, r.High) {
			return true // the walk begins beside it
		}
		w, ok = x, true
		return false
	}
	switch {
	case !reverse:
		s.big.AscendGreaterOrEqual(write{key: from}, visit)
	case from == nil:
		s.big.Descend(visit)
	default:
		s.big.DescendLessOrEqual(write{key: from}, visit)
	}
	return w, ok && r.Contains(w.key)
}
