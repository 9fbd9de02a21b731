package table

import (
	"bytes"
	"errors"
	"slices"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/table/key"
)

// The entries of an index are keys of its own, where pk is the primary key of
// the row as in its own key:
//
//	table, index, columns, pk    of an index that is not unique; the value is empty
//	table, index, columns        of a unique index; the value is pk
//	table, index, columns, pk    of a unique index if one of the columns is null

// entryOf appends the entry of a row, and returns nil if the index does not have
// the row. rowKey is that of the row.
func (b *binding) entryOf(dst []byte, x *index, row unsafe.Pointer, rowKey []byte) ([]byte, error) {
	if x.cond != nil && b.eval(x.cond, row) != expr.True {
		return nil, nil
	}
	dst, err := b.appendParts(append(dst, x.prefix...), row, x.parts)
	if err != nil {
		return nil, err
	}
	if !x.Unique || b.anyNull(row, x.parts) {
		dst = append(dst, rowKey[len(b.prefix):]...)
	}
	return dst, nil
}

func (b *binding) anyNull(row unsafe.Pointer, parts []part) bool {
	for i := range parts {
		if parts[i].Nullable && b.slots[parts[i].col].null(row) {
			return true
		}
	}
	return false
}

// entryValue is the value of an entry.
func (b *binding) entryValue(x *index, rowKey []byte) []byte {
	if x.Unique {
		return rowKey[len(b.prefix):]
	}
	return nil
}

// pkOf returns the primary key that an entry points to.
func (x *index) pkOf(k, v []byte) ([]byte, error) {
	if x.Unique {
		return v, nil
	}
	rest := k[len(x.prefix):]
	for i := range x.parts {
		n, err := key.Skip(rest, x.parts[i].Column)
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return rest, nil
}

// candidate is an entry that may belong to a row.
type candidate struct {
	entry []byte
	row   []byte // key of the row
}

func (c candidate) compare(d candidate) int {
	if n := bytes.Compare(c.entry, d.entry); n != 0 {
		return n
	}
	return bytes.Compare(c.row, d.row)
}

// entries walks over candidates in order.
type entries interface {
	next() (candidate, bool, error)
	close() error
}

// stored are the entries as the index has them.
type stored struct {
	b *binding
	x *index
	c engine.Cursor
	k []byte
}

func (s *stored) next() (candidate, bool, error) {
	if !s.c.Next() {
		return candidate{}, false, s.c.Err()
	}
	pk, err := s.x.pkOf(s.c.Key(), s.c.Value())
	if err != nil {
		return candidate{}, false, corrupt("table "+s.b.name+", index "+s.x.Name, err.Error())
	}
	s.k = append(append(s.k[:0], s.b.prefix...), pk...)
	return candidate{entry: s.c.Key(), row: s.k}, true, nil
}

func (s *stored) close() error { return s.c.Close() }

// list is candidates that were sorted in memory.
type list []candidate

func (l *list) next() (candidate, bool, error) {
	if len(*l) == 0 {
		return candidate{}, false, nil
	}
	c := (*l)[0]
	*l = (*l)[1:]
	return c, true, nil
}

func (l *list) close() error { return nil }

// within are those candidates whose row lies in a range, and was restored and not
// repaired since.
type within struct {
	entries
	b    *binding
	rows engine.Range
}

func (w *within) next() (candidate, bool, error) {
	for {
		c, ok, err := w.entries.next()
		if err != nil || !ok || w.rows.Contains(c.row) && w.b.unrepaired(c.row) {
			return c, ok, err
		}
	}
}

// kept are entries of the past for as long as they can be read. When they turn out
// to be collected, which may be at any moment, it goes on with those of rows.
type kept struct {
	entries
	rows    func() (list, error) // nil: it has gone on already
	reverse bool
	last    candidate // a copy
}

func (o *kept) next() (candidate, bool, error) {
	c, ok, err := o.entries.next()
	if o.rows == nil {
		return c, ok, err
	}
	if errors.Is(err, engine.ErrTooOld) {
		return o.goOn()
	}
	o.last.entry, o.last.row = append(o.last.entry[:0], c.entry...), append(o.last.row[:0], c.row...)
	return c, ok, err
}

// goOn returns the first candidate of rows that is after the last one.
func (o *kept) goOn() (candidate, bool, error) {
	in, err := o.rows()
	if err != nil {
		return candidate{}, false, err
	}
	old := o.entries
	o.entries, o.rows = &in, nil
	// What it could not read has been told by next.
	if err := old.close(); err != nil && !errors.Is(err, engine.ErrTooOld) {
		return candidate{}, false, err
	}
	for {
		c, ok, err := in.next()
		if n := c.compare(o.last); err != nil || !ok || o.last.row == nil || n > 0 && !o.reverse || n < 0 && o.reverse {
			return c, ok, err
		}
	}
}

// merge is several of them in one order, each candidate once.
type merge struct {
	sources []entries
	heads   []candidate // copies
	live    []bool
	started bool
	reverse bool
}

func (m *merge) next() (candidate, bool, error) {
	if !m.started {
		m.started = true
		m.heads, m.live = make([]candidate, len(m.sources)), make([]bool, len(m.sources))
		for i := range m.sources {
			if err := m.advance(i); err != nil {
				return candidate{}, false, err
			}
		}
	}
	best := -1
	for i := range m.sources {
		if m.live[i] && (best < 0 || m.before(m.heads[i], m.heads[best])) {
			best = i
		}
	}
	if best < 0 {
		return candidate{}, false, nil
	}
	c := m.heads[best]
	for i := range m.sources {
		if m.live[i] && c.compare(m.heads[i]) == 0 {
			if err := m.advance(i); err != nil {
				return candidate{}, false, err
			}
		}
	}
	return c, true, nil
}

func (m *merge) before(a, b candidate) bool {
	n := a.compare(b)
	return n < 0 != m.reverse && n != 0
}

func (m *merge) advance(i int) (err error) {
	var c candidate
	c, m.live[i], err = m.sources[i].next()
	m.heads[i] = candidate{entry: slices.Clone(c.entry), row: slices.Clone(c.row)}
	return err
}

func (m *merge) close() (err error) {
	for _, s := range m.sources {
		err = firstError(err, s.close())
	}
	return err
}
