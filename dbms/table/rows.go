package table

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// Rows is a table for code that knows it only at run time, such as SQL. A row is
// a Value for each column, in the order of the definition. It is good for the
// transaction that it was made by, as long as that does not change the table.
type Rows struct {
	tx  *Tx
	b   *binding
	def *Definition
}

// Rows returns a table by its name, a table of the catalog included.
func (t *Tx) Rows(table string) (*Rows, error) {
	s, err := t.table(table)
	if err != nil {
		return nil, err
	}
	return &Rows{tx: t, b: s.dynamic, def: s.definition()}, nil
}

// Definition returns what the table is made of. It must not be changed.
func (r *Rows) Definition() *Definition { return r.def }

// Get returns the row of a key, by the primary key if index is "", or a unique
// index. It fails with an Error that is ErrNotFound.
func (r *Rows) Get(index string, key ...any) ([]Value, error) {
	values := make([]Value, len(r.b.cols))
	if err := r.b.get(r.tx, index, dynamicRow(values), key); err != nil {
		return nil, err
	}
	return values, nil
}

// Scan returns the rows of a span of the primary key if index is "", or of an
// index. A row is valid until the next.
func (r *Rows) Scan(index string, s Span) iter.Seq2[[]Value, error] {
	return func(yield func([]Value, error) bool) {
		values := make([]Value, len(r.b.cols))
		more := true
		err := r.b.scan(r.tx, index, s, dynamicRow(values), func() bool { more = yield(values, nil); return more })
		if err != nil && more {
			yield(nil, err)
		}
	}
}

// Insert is Table.Insert. Values are converted to the types of their columns.
func (r *Rows) Insert(row []Value) error { return r.write(row, modeInsert) }

// Put is Table.Put.
func (r *Rows) Put(row []Value) error { return r.write(row, modePut) }

// Update is Table.Update.
func (r *Rows) Update(row []Value) error { return r.write(row, modeUpdate) }

func (r *Rows) write(row []Value, m mode) error {
	if err := r.mayWrite(); err != nil {
		return err
	}
	if len(row) != len(r.b.cols) {
		return fmt.Errorf("table %s: %d values for %d columns", r.b.name, len(row), len(r.b.cols))
	}
	for i, v := range row {
		v, err := value.Convert(v, r.b.cols[i].Type)
		if err == nil && v.IsNull() && !r.b.cols[i].Nullable {
			err = errors.New("it cannot be null")
		}
		if err != nil {
			return r.b.columnError(i, err)
		}
		row[i] = v
	}
	return r.b.write(r.tx, dynamicRow(row), m)
}

func (r *Rows) mayWrite() error {
	if r.b.id < firstTable {
		return fmt.Errorf("table %s is the catalog's; it is changed by changing tables", r.b.name)
	}
	return nil
}

// Delete is Table.Delete.
func (r *Rows) Delete(key ...any) error {
	if err := r.mayWrite(); err != nil {
		return err
	}
	return r.b.delete(r.tx, key)
}

// DeleteRange is Table.DeleteRange.
func (r *Rows) DeleteRange(s Span) (int, error) {
	if err := r.mayWrite(); err != nil {
		return 0, err
	}
	return r.b.deleteRange(r.tx, s)
}

// Restore is Table.Restore.
func (r *Rows) Restore(s Span, to engine.Version) error {
	if err := r.mayWrite(); err != nil {
		return err
	}
	return r.b.restore(r.tx, s, to)
}

// Past is a version of a row.
type Past[T any] struct {
	Row     T              // with its key only, if Deleted
	Version engine.Version // the transaction that wrote it; DB.Provenance tells who that was, and when
	Until   engine.Version // the one that replaced it; zero: it is the newest
	Deleted bool           // Version deleted the row
	Hidden  bool           // a restore has since gone back to before it
	To      engine.Version // not zero: not a row, but a restore to this version
}

// History returns the versions of a row, newest first, those that a restore has
// hidden included.
func (t *Table[T]) History(tx *Tx, key ...any) iter.Seq2[Past[T], error] {
	return func(yield func(Past[T], error) bool) {
		b, err := tx.bind(t.decl)
		var k []byte
		if err == nil {
			k, err = b.rowKey(nil, key)
		}
		if err != nil {
			yield(Past[T]{}, err)
			return
		}
		t.past(b, tx.raw.History(k), yield)
	}
}

// Changes returns what became of the rows of a span of the primary key by
// transactions later than from, in the order of versions and then keys.
func (t *Table[T]) Changes(tx *Tx, s Span, from engine.Version) iter.Seq2[Past[T], error] {
	return func(yield func(Past[T], error) bool) {
		b, err := tx.bind(t.decl)
		var r engine.Range
		if err == nil {
			r, err = b.bounds(b.primary(), s)
		}
		if err != nil {
			yield(Past[T]{}, err)
			return
		}
		t.past(b, tx.raw.Changes(r, from), yield)
	}
}

func (t *Table[T]) past(b *binding, rows iter.Seq2[engine.Row, error], yield func(Past[T], error) bool) {
	for row, err := range rows {
		p := Past[T]{Version: row.Version, Until: row.Until, Deleted: row.Deleted, Hidden: row.Hidden, To: row.To}
		if err == nil && row.Restore == nil {
			err = b.pastRow(unsafe.Pointer(&p.Row), row)
		}
		if !yield(p, err) || err != nil {
			return
		}
	}
}

func (b *binding) pastRow(row unsafe.Pointer, r engine.Row) error {
	if !bytes.HasPrefix(r.Key, b.prefix) {
		return corrupt("table "+b.name, "a version of a key outside of the table")
	}
	k := r.Key[len(b.prefix):]
	if r.Deleted {
		return b.decodeKey(row, k, b.room(0, k, nil))
	}
	return b.decode(row, k, r.Value, nil)
}
