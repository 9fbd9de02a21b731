package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
)

// placed is a row on its way to the order of keys, with some bytes of its key.
type placed struct {
	bytes  uint64
	number uint32
}

// sorted are the rows in the order of their keys.
func (p *bundlePart) sorted() []placed {
	all := make([]placed, p.count)
	for i := range all {
		all[i].number = uint32(i + 1)
	}
	(&placing{part: p}).sort(all, 0)
	return all
}

// placing sorts rows by eight bytes of their keys, and those that have these in common by
// the next eight in which they differ: most keys begin like many others, and to compare
// them from the beginning would read two of them, which are anywhere in memory, for each step.
type placing struct {
	part *bundlePart
	work int
}

// It lets others go first after so much work: comparisons, and keys that were read, which
// take about as long as keyWork of them.
const (
	placingTurn = 1024
	keyWork     = 16
)

// sort sorts rows of which the keys begin with the same bytes, so many at least.
func (p *placing) sort(rows []placed, same int) {
	if len(rows) < 2 {
		return
	}
	same = p.common(rows, same)
	ends := false // a key among these bytes
	for i := range rows {
		var b [8]byte
		ends = copy(b[:], p.key(rows[i])[same:]) < len(b) || ends
		rows[i].bytes = binary.BigEndian.Uint64(b[:])
	}
	slices.SortFunc(rows, func(a, b placed) int {
		p.did(1)
		if !ends || a.bytes != b.bytes {
			return cmp.Compare(a.bytes, b.bytes)
		}
		return bytes.Compare(p.key(a), p.key(b))
	})
	if ends {
		return
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].bytes == rows[0].bytes {
			n++
		}
		p.sort(rows[:n], same+8)
		rows = rows[n:]
	}
}

// common is how many bytes all keys begin with, same or more.
func (p *placing) common(rows []placed, same int) int {
	first := p.key(rows[0])
	all := len(first)
	for _, r := range rows[1:] {
		key := p.key(r)
		all = min(all, len(key))
		if bytes.Equal(key[same:all], first[same:all]) {
			continue
		}
		for all = same; key[all] == first[all]; all++ {
		}
	}
	return all
}

func (p *placing) key(r placed) []byte {
	p.did(keyWork)
	_, key, _ := p.part.stored(p.part.row(r.number))
	return key
}

func (p *placing) did(work int) {
	if p.work += work; p.work >= placingTurn {
		p.work = 0
		runtime.Gosched()
	}
}
