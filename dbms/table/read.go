package table

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// Key is values of the first columns of an index.
type Key []any

// Get returns the row of a key, by the primary key or a unique index: a value
// for each column of it. It fails with an Error that is ErrNotFound.
func (x *reader[T]) Get(tx *Tx, key ...any) (row T, err error) {
	b, err := tx.bind(x.decl)
	if err != nil {
		return row, err
	}
	p := takeRow[T](tx)
	err = b.get(tx, x.name, unsafe.Pointer(p), key)
	row = *p
	giveRow(tx, p)
	return row, err
}

// Read is Get by the primary key for who has a row with it: the row that is stored takes
// its place. It saves the memory of a list of values.
func (t *Table[T]) Read(tx *Tx, row *T) error {
	b, err := tx.bind(t.decl)
	if err != nil {
		return err
	}
	return b.fillRow(tx, unsafe.Pointer(row))
}

// Peek is Get of a row of the primary key that is used at once: its texts and bytes are
// valid only until the next call with the transaction, and must not be changed. It saves
// copying large ones.
func (t *Table[T]) Peek(tx *Tx, key ...any) (row T, err error) {
	b, err := tx.bind(t.decl)
	if err != nil {
		return row, err
	}
	p := takeRow[T](tx)
	err = b.find(tx, unsafe.Pointer(p), key, &inPlace)
	row = *p
	giveRow(tx, p)
	return row, err
}

// GetBatch reads the rows of several keys in one go, and calls each for those
// that exist, in the order of keys.
func (x *reader[T]) GetBatch(tx *Tx, keys []Key, each func(i int, row T) error) error {
	b, err := tx.bind(x.decl)
	if err != nil {
		return err
	}
	var row T
	return b.getBatch(tx, x.name, keys, unsafe.Pointer(&row), func(i int) error { return each(i, row) })
}

// Scan returns the rows of a span, in the order of the index. What the
// transaction writes during the loop appears in it or not. An error ends it.
//
//	for f, err := range Files.Scan(tx, table.Prefix(dir)) {
//		if err != nil {
//			return err
//		}
//		...
//	}
func (x *reader[T]) Scan(tx *Tx, s Span) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var row T
		more := true
		b, err := tx.bind(x.decl)
		if err == nil {
			err = b.scan(tx, x.name, s, unsafe.Pointer(&row), func() bool { more = yield(row, nil); return more })
		}
		if err != nil && more {
			var none T
			yield(none, err)
		}
	}
}

// First returns the first row of a span, or fails with ErrNotFound.
func (x *reader[T]) First(tx *Tx, s Span) (row T, err error) {
	for row, err := range x.Scan(tx, s.Limit(1)) {
		return row, err
	}
	return row, &Error{Err: ErrNotFound, Table: x.decl.def.Name, Constraint: x.name}
}

// rowKey makes the key of a row from the values of its primary key.
func (b *binding) rowKey(dst []byte, key []any) ([]byte, error) {
	if len(key) != len(b.parts) {
		return dst, fmt.Errorf("table %s: %d values for a key of %d columns", b.name, len(key), len(b.parts))
	}
	return b.appendArgs(append(dst, b.prefix...), b.parts, key)
}

// ownKey returns the key of a row. It is valid until the next call.
func (b *binding) ownKey(tx *Tx, row unsafe.Pointer) ([]byte, error) {
	k, err := b.appendParts(append(tx.key[:0], b.prefix...), row, b.parts)
	tx.key = k
	return k, err
}

func (b *binding) get(tx *Tx, name string, row unsafe.Pointer, key []any) error {
	if name != "" {
		return b.getUnique(tx, name, row, key)
	}
	return b.find(tx, row, key, nil)
}

// find reads the row of the values of a key.
func (b *binding) find(tx *Tx, row unsafe.Pointer, key []any, mem *texts) error {
	k, err := b.rowKey(tx.key[:0], key)
	tx.key = k
	if err != nil {
		return err
	}
	found, err := b.readTo(tx, row, k, mem)
	if err == nil && !found {
		err = &Error{Err: ErrNotFound, Table: b.name, Key: b.keyOf(k)}
	}
	return err
}

// fillRow reads the row with the key of row.
func (b *binding) fillRow(tx *Tx, row unsafe.Pointer) error {
	k, err := b.ownKey(tx, row)
	if err != nil {
		return err
	}
	found, err := b.read(tx, row, k)
	if err == nil && !found {
		err = &Error{Err: ErrNotFound, Table: b.name, Key: b.keyOf(k)}
	}
	return err
}

// read reads the row of a key.
func (b *binding) read(tx *Tx, row unsafe.Pointer, k []byte) (found bool, err error) {
	return b.readTo(tx, row, k, nil)
}

func (b *binding) readTo(tx *Tx, row unsafe.Pointer, k []byte, mem *texts) (found bool, err error) {
	v, found, err := tx.raw.Get(k)
	if err != nil || !found {
		return false, err
	}
	tx.trace(1, 0, k)
	return true, b.decode(row, k[len(b.prefix):], v, mem)
}

// keyOf decodes the key of a row for an error.
func (b *binding) keyOf(k []byte) []Value {
	values, err := b.keyValues(k[len(b.prefix):])
	if err != nil {
		return nil
	}
	return values
}

func (b *binding) getUnique(tx *Tx, name string, row unsafe.Pointer, key []any) error {
	x, err := b.readable(name)
	if err != nil {
		return err
	}
	if !x.Unique || len(key) != len(x.parts) {
		return fmt.Errorf("table %s, index %s: to get a row takes a unique index, and values for all its columns; use Scan", b.name, name)
	}
	if len(b.jobs) == 0 && !slices.Contains(key, nil) {
		found, err := b.getByEntry(tx, x, row, key)
		if found || err != nil {
			return err
		}
		return b.notFound(name, key)
	}
	found := false
	err = b.scan(tx, name, Span{low: key, high: key, until: true, limit: 1}, row, func() bool { found = true; return false })
	if err == nil && !found {
		err = b.notFound(name, key)
	}
	return err
}

// getByEntry reads the row of an entry of a unique index.
func (b *binding) getByEntry(tx *Tx, x *index, row unsafe.Pointer, key []any) (bool, error) {
	e, err := b.appendArgs(append(tx.key[:0], x.prefix...), x.parts, key)
	tx.key = e
	if err != nil {
		return false, err
	}
	pk, found, err := tx.raw.Get(e)
	if err != nil || !found {
		return false, err
	}
	tx.key = append(append(tx.key[:0], b.prefix...), pk...)
	found, err = b.read(tx, row, tx.key)
	if err == nil && !found {
		err = corrupt("table "+b.name+", index "+x.Name, "there is an entry without its row "+b.keyName(tx.key[len(b.prefix):]))
	}
	return found, err
}

func (b *binding) notFound(index string, key []any) error {
	e := &Error{Err: ErrNotFound, Table: b.name, Constraint: index}
	for _, a := range key {
		if v, err := value.Of(a); err == nil {
			e.Key = append(e.Key, v)
		}
	}
	return e
}

// readable returns an index that can be read; "" is the primary key.
func (b *binding) readable(name string) (*index, error) {
	if name == "" {
		return b.primary(), nil
	}
	x := b.index(name)
	switch {
	case x == nil:
		return nil, fmt.Errorf("table %s has no index %s", b.name, name)
	case !x.ready:
		return nil, fmt.Errorf("table %s, index %s: %w", b.name, name, ErrNotReady)
	}
	return x, nil
}

func (b *binding) getBatch(tx *Tx, name string, keys []Key, row unsafe.Pointer, each func(i int) error) error {
	if name != "" {
		for i, key := range keys {
			err := b.getUnique(tx, name, row, key)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err = firstError(err, each(i)); err != nil {
				return err
			}
		}
		return nil
	}
	var p page
	for _, key := range keys {
		k, err := b.rowKey(nil, key)
		if err != nil {
			return err
		}
		p.keys = append(p.keys, k)
	}
	if err := p.fetch(tx); err != nil {
		return err
	}
	for i := range p.keys {
		if !p.found[i] {
			continue
		}
		if err := b.decode(row, p.keys[i][len(b.prefix):], p.value(i), nil); err != nil {
			return err
		}
		tx.trace(1, 0, p.keys[i])
		if err := each(i); err != nil {
			return err
		}
	}
	return nil
}

// scan reads rows into row, and calls each after every one until it says no.
func (b *binding) scan(tx *Tx, name string, s Span, row unsafe.Pointer, each func() bool) error {
	x, err := b.readable(name)
	if err != nil {
		return err
	}
	r, err := b.bounds(x, s)
	if err != nil || r.Empty() {
		return err
	}
	if name != "" {
		return b.scanIndex(tx, x, r, s, row, each)
	}
	return b.scanRows(tx, r, s, row, each)
}

func (b *binding) scanRows(tx *Tx, r engine.Range, s Span, row unsafe.Pointer, each func() bool) error {
	c := tx.raw.Scan(r, s.options())
	n, err := 0, error(nil)
	var mem texts
	for err == nil && (s.limit == 0 || n < s.limit) && c.Next() {
		k, v := c.Key(), c.Value()
		if err = b.decode(row, k[len(b.prefix):], v, &mem); err != nil {
			break
		}
		n++
		if tx.op != nil && tx.op.Trace {
			tx.trace(0, 0, k)
		}
		if !each() {
			break
		}
	}
	tx.read += n
	return errors.Join(err, c.Err(), c.Close())
}

// page is rows that are read together.
type page struct {
	keys   [][]byte // of rows
	arena  []byte
	ends   []int
	starts []int
	found  []bool
}

// fetch reads the values of the keys. They are copied, so that the loop over
// them may use the transaction.
func (p *page) fetch(tx *Tx) error {
	n := len(p.keys)
	p.arena = p.arena[:0]
	p.found, p.starts, p.ends = cleared(p.found, n), cleared(p.starts, n), cleared(p.ends, n)
	return tx.raw.GetBatch(p.keys, func(i int, value []byte) error {
		p.starts[i] = len(p.arena)
		p.arena = append(p.arena, value...)
		p.ends[i], p.found[i] = len(p.arena), true
		return nil
	})
}

func (p *page) value(i int) []byte { return p.arena[p.starts[i]:p.ends[i]] }

func cleared[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	s = s[:n]
	clear(s)
	return s
}
