package embedded

import "slices"

// ages tells how many bytes of history ended when, so that collecting it early
// takes as much of the oldest as is wanted. It is an estimate: sizes are those
// before compression, and what was there when the store was opened counts as
// spread evenly over time.
//
// The commit lock is held.
type ages struct {
	list  []age // from old to new
	from  version
	grain int64 // bytes from which on an age is followed by another one
}

// age is the history that ended after the one before and up to a version.
type age struct {
	upTo  version
	bytes int64
}

const (
	maxAges  = 128
	minGrain = 16 << 10
)

// reset is for a store with bytes of history between two versions.
func (a *ages) reset(from, upTo version, bytes int64) {
	a.list, a.from, a.grain = a.list[:0], from, minGrain
	if bytes > 0 {
		a.list = append(a.list, age{upTo, bytes})
	}
}

// add notes that bytes of history end at v, the newest version.
func (a *ages) add(v version, bytes int64) {
	if n := len(a.list); n > 1 && a.list[n-1].bytes < a.grain {
		a.list[n-1].upTo = v
		a.list[n-1].bytes += bytes
		return
	}
	if len(a.list) == maxAges {
		a.merge()
	}
	a.list = append(a.list, age{v, bytes})
}

// merge makes one of two ages each.
func (a *ages) merge() {
	half := a.list[:0]
	for pair := range slices.Chunk(slices.Clone(a.list), 2) {
		last := pair[len(pair)-1]
		if len(pair) == 2 {
			last.bytes += pair[0].bytes
		}
		half = append(half, last)
	}
	a.list, a.grain = half, 2*a.grain
}

// total is the size of all.
func (a *ages) total() (n int64) {
	for _, x := range a.list {
		n += x.bytes
	}
	return n
}

// oldest is the version up to which history has so many bytes.
func (a *ages) oldest(bytes int64) version {
	from := a.from
	for _, x := range a.list {
		if bytes < x.bytes {
			return from + portion(x.upTo-from, bytes, x.bytes)
		}
		bytes -= x.bytes
		from = x.upTo
	}
	return from
}

// drop forgets what ended at v or before.
func (a *ages) drop(v version) {
	for len(a.list) > 0 && a.from < v {
		x := &a.list[0]
		if v < x.upTo {
			x.bytes -= int64(portion(version(x.bytes), int64(v-a.from), int64(x.upTo-a.from)))
			a.from = v
			return
		}
		a.from = x.upTo
		a.list = a.list[1:]
	}
	a.from = max(a.from, v)
}

// portion is n * of / total, for n and total beyond what may be multiplied.
func portion(n version, of, total int64) version {
	return version(float64(n) * (float64(of) / float64(total)))
}
