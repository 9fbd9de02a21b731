package table

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Rows found by an index are read a page at a time, the first one small.
const (
	firstFetch = 8
	mostFetch  = 256
)

// scanIndex reads the rows that the entries of r point to.
//
// Usually each entry has its row. There are two cases in which that must be
// looked at: the transaction has written since the scan began, or part of the
// table has been restored and not repaired yet. Then a row counts only if its
// entry is the one by which it was found.
func (b *binding) scanIndex(tx *Tx, x *index, r engine.Range, s Span, row unsafe.Pointer, each func() bool) error {
	in, err := b.candidates(tx, x, r, s)
	if err != nil {
		return err
	}
	f := fetcher{b: b, x: x, tx: tx, in: in, writes: tx.writes, limit: s.limit}
	err = f.run(row, each)
	return errors.Join(err, in.close())
}

// fetcher reads the rows of candidates.
type fetcher struct {
	page
	b       *binding
	x       *index
	tx      *Tx
	in      entries
	writes  int // of the transaction when the scan began
	limit   int
	given   int
	mem     texts
	entries [][]byte
}

func (f *fetcher) run(row unsafe.Pointer, each func() bool) error {
	for size := firstFetch; ; size = min(2*size, mostFetch) {
		more, err := f.fill(size)
		if err == nil {
			err = f.fetch(f.tx)
		}
		if err != nil {
			return err
		}
		for i := range f.keys {
			found, err := f.load(i, row)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			f.given++
			f.tx.trace(1, 0, f.keys[i])
			if !each() || f.given == f.limit {
				return nil
			}
		}
		if !more {
			return nil
		}
	}
}

// fill takes the next candidates.
func (f *fetcher) fill(n int) (more bool, err error) {
	if f.limit > 0 {
		n = min(n, f.limit-f.given)
	}
	f.keys, f.entries = f.keys[:0], f.entries[:0]
	for len(f.keys) < n {
		c, ok, err := f.in.next()
		if err != nil || !ok {
			return false, err
		}
		f.keys = appendCopy(f.keys, c.row)
		f.entries = appendCopy(f.entries, c.entry)
	}
	return true, nil
}

// appendCopy appends a copy of b, in the memory of an earlier one if it fits.
func appendCopy(list [][]byte, b []byte) [][]byte {
	n := len(list)
	if n < cap(list) {
		list = list[:n+1]
		list[n] = append(list[n][:0], b...)
		return list
	}
	return append(list, append(make([]byte, 0, len(b)+16), b...))
}

// load decodes the row of a candidate, and reports whether it counts.
func (f *fetcher) load(i int, row unsafe.Pointer) (bool, error) {
	b, k := f.b, f.keys[i]
	doubtful := f.writes != f.tx.writes || b.unrepaired(k)
	switch {
	case !f.found[i] && doubtful:
		return false, nil
	case !f.found[i]:
		return false, corrupt("table "+b.name+", index "+f.x.Name, "there is an entry without its row "+b.keyName(k[len(b.prefix):]))
	}
	if err := b.decode(row, k[len(b.prefix):], f.value(i), &f.mem); err != nil || !doubtful {
		return err == nil, err
	}
	e, err := b.entryOf(nil, f.x, row, k)
	return e != nil && bytes.Equal(e, f.entries[i]), err
}

// candidates are the entries of r, and for every restore that is not repaired
// those that the index had for its rows at the version restored to. Where that is not
// possible, because there was no such index or its old entries are no longer kept, they
// are made from the rows.
func (b *binding) candidates(tx *Tx, x *index, r engine.Range, s Span) (entries, error) {
	o := s.options()
	now := &stored{b: b, x: x, c: tx.raw.Scan(r, o)}
	if len(b.jobs) == 0 {
		return now, nil
	}
	m := &merge{sources: []entries{now}, reverse: s.reverse}
	rows := sync.OnceValues(func() (list, error) { return b.fromRows(tx, x, r, s) })
	complete, err := b.restored(tx, x, func(past *Tx, then *binding, old *index, span engine.Range) {
		in := &within{entries: &stored{b: then, x: old, c: past.raw.Scan(r, o)}, b: b, rows: span}
		m.sources = append(m.sources, &kept{entries: in, rows: rows, reverse: s.reverse})
	})
	if err == nil && !complete {
		var made list
		made, err = rows()
		m.sources = append(m.sources, &made)
	}
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// restored calls fn for the versions at which the index has entries of rows that were
// restored and not repaired since: those restored to, and where such rows were not repaired
// there either, those that they had been restored to before. Each is told once: who
// restores again and again to where he has just been has as many of them as restores, but
// twice as many ways to the first with each. It is not complete where that cannot be read.
func (b *binding) restored(tx *Tx, x *index, fn func(past *Tx, then *binding, old *index, span engine.Range)) (complete bool, err error) {
	type restore struct{ to, low, high string }
	seen := make(map[restore]bool)
	complete = true
	for jobs := b.jobs; len(jobs) > 0; jobs = jobs[1:] {
		j := &jobs[0]
		this := restore{string(j.To), string(j.Low), string(j.High)}
		if seen[this] {
			continue
		}
		seen[this] = true
		then, old, past, err := b.at(tx, x, engine.Version(j.To))
		switch {
		case errors.Is(err, engine.ErrTooOld) || err == nil && old == nil:
			complete = false
		case err != nil:
			return false, err
		default:
			fn(past, then, old, j.span())
			jobs = append(slices.Clip(jobs), then.jobs...)
		}
	}
	return complete, nil
}

// at returns the table and the index as they were at a past version, and the transaction
// that reads it; nil if the index was not ready or another one.
func (b *binding) at(tx *Tx, x *index, v engine.Version) (then *binding, old *index, past *Tx, err error) {
	past, err = tx.At(v)
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := past.catalog()
	if err != nil || c.tables[b.id] == nil {
		return nil, nil, nil, err
	}
	s := c.tables[b.id]
	i := slices.IndexFunc(s.indexes, func(y *index) bool { return y.id == x.id && y.ready })
	if i < 0 || !b.sameEntries(x, s, s.indexes[i]) {
		return nil, nil, nil, nil
	}
	return s.dynamic, s.indexes[i], past, nil
}

// sameEntries reports whether an index of now, and one of its number of then,
// make the same entries of the same rows. (After a restore of the table its
// numbers are given again.)
func (b *binding) sameEntries(x *index, then *schema, y *index) bool {
	return x.Unique == y.Unique && x.Where == y.Where && slices.EqualFunc(x.parts, y.parts, func(p, q part) bool {
		return p.Column == q.Column && b.cols[p.col].id == then.cols[q.col].id
	})
}

// fromRows makes the entries of all rows that were restored and not repaired since.
func (b *binding) fromRows(tx *Tx, x *index, r engine.Range, s Span) (list, error) {
	var out list
	for i := range b.jobs {
		err := b.each(tx, b.jobs[i].span(), func(row unsafe.Pointer, k, _ []byte) error {
			e, err := b.dynamic.entryOf(nil, x, row, k)
			if err == nil && e != nil && r.Contains(e) {
				out = append(out, candidate{entry: e, row: slices.Clone(k)})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, candidate.compare)
	out = slices.CompactFunc(out, func(a, b candidate) bool { return a.compare(b) == 0 })
	if s.reverse {
		slices.Reverse(out)
	}
	return out, nil
}

// each calls fn for all rows of a range of keys, as rows of Values that are
// valid during the call.
func (b *binding) each(tx *Tx, rows engine.Range, fn func(row unsafe.Pointer, k, v []byte) error) error {
	values := make([]Value, len(b.cols))
	mem := texts{latest: true}
	c := tx.raw.Scan(rows, engine.ScanOptions{})
	for c.Next() {
		k, v := c.Key(), c.Value()
		err := b.dynamic.decode(dynamicRow(values), k[len(b.prefix):], v, &mem)
		if err == nil {
			err = fn(dynamicRow(values), k, v)
		}
		if err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return errors.Join(c.Err(), c.Close())
}
