package table

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/table/value"
	"github.com/tuplix/tuplix/dbms/txn"
)

// Insert adds a row. It fails with an Error that is ErrExists if there is one
// with its key, and as the other writing methods do with ErrUnique, ErrReference
// and ErrCheck; nothing is changed then. A column declared auto that is 0 is
// numbered, in row too.
func (t *Table[T]) Insert(tx *Tx, row *T) error { return t.write(tx, row, modeInsert) }

// Put adds a row, or replaces the one with its key.
func (t *Table[T]) Put(tx *Tx, row *T) error { return t.write(tx, row, modePut) }

// Update replaces the row with the key of row. It fails with ErrNotFound if
// there is none.
func (t *Table[T]) Update(tx *Tx, row *T) error { return t.write(tx, row, modeUpdate) }

// Delete removes the row of a key. It fails with ErrNotFound if there is none,
// and with ErrReferenced if rows refer to it whose reference does not cascade.
func (t *Table[T]) Delete(tx *Tx, key ...any) error {
	b, err := tx.bind(t.decl)
	if err != nil {
		return err
	}
	return b.delete(tx, key)
}

// Remove is Delete for who has a row with the key. What else is in the row does not count.
func (t *Table[T]) Remove(tx *Tx, row *T) error {
	b, err := tx.bind(t.decl)
	if err != nil {
		return err
	}
	k, err := b.ownKey(tx, unsafe.Pointer(row))
	if err != nil {
		return err
	}
	return b.deleteKey(tx, k)
}

// Forget removes the row of a key, if there is one, for good: it does not become
// history, which is for rows that are large and that nothing refers to any more, also
// not in the past (engine.Forgetter). size is about that of the row, in bytes. The
// table must have no indexes, and no references to it.
func (t *Table[T]) Forget(tx *Tx, size int, key ...any) error {
	b, err := tx.bind(t.decl)
	if err != nil {
		return err
	}
	return b.forget(tx, size, key)
}

// DeleteRange removes the rows of a span, and returns how many.
func (t *Table[T]) DeleteRange(tx *Tx, s Span) (int, error) {
	b, err := tx.bind(t.decl)
	if err != nil {
		return 0, err
	}
	return b.deleteRange(tx, s)
}

func (t *Table[T]) write(tx *Tx, row *T, m mode) error {
	b, err := tx.bind(t.decl)
	if err != nil {
		return err
	}
	p := takeRow[T](tx)
	*p = *row
	err = b.write(tx, unsafe.Pointer(p), m)
	if b.auto >= 0 && m != modeUpdate { // it may have been numbered
		*row = *p
	}
	giveRow(tx, p)
	return err
}

type mode uint8

const (
	modeInsert mode = iota
	modePut
	modeUpdate
)

// entry is what becomes of one entry of an index; nil is none.
type entry struct {
	x        *index
	old, new []byte
}

// write writes a row: first everything is looked at that can forbid it, then the
// row and its entries are written.
func (b *binding) write(tx *Tx, row unsafe.Pointer, m mode) error {
	if !tx.Writable() {
		return txn.ErrReadOnly
	}
	if b.auto >= 0 && m != modeUpdate {
		if err := b.number(tx, row); err != nil {
			return err
		}
	}
	k, err := b.ownKey(tx, row)
	if err != nil {
		return err
	}
	if err := b.check(row, k); err != nil {
		return err
	}
	v, err := tx.row.encode(b, row)
	if err == nil {
		err = tx.raw.CheckSize(k, v)
	}
	if err != nil {
		return err
	}
	if m == modePut && len(b.indexes) == 0 && len(b.refs) == 0 {
		return b.put(tx, k, v)
	}
	old, err := b.before(tx, k, m)
	if err == nil && (len(b.indexes) > 0 || len(b.refs) > 0) {
		err = b.maintain(tx, row, old, k)
	}
	if err != nil {
		return err
	}
	return b.put(tx, k, v)
}

func (b *binding) put(tx *Tx, k, v []byte) error {
	tx.writes++
	tx.trace(0, 1, k)
	return tx.raw.Put(k, v)
}

// before reads the value that a key has before it is written, nil if none, or if it
// makes no difference to the table. It is valid until the next row is written.
func (b *binding) before(tx *Tx, k []byte, m mode) ([]byte, error) {
	v, found, err := tx.raw.Get(k)
	switch {
	case err != nil:
		return nil, err
	case found && m == modeInsert:
		return nil, &Error{Err: ErrExists, Table: b.name, Key: b.keyOf(k)}
	case !found && m == modeUpdate:
		return nil, &Error{Err: ErrNotFound, Table: b.name, Key: b.keyOf(k)}
	case !found || len(b.indexes) == 0 && len(b.refs) == 0: // nobody looks at it
		return nil, nil
	}
	tx.old = append(tx.old[:0], v...)
	return tx.old, nil
}

func (b *binding) check(row unsafe.Pointer, k []byte) error {
	for i := range b.checks {
		if err := b.checkOne(&b.checks[i], row, k); err != nil {
			return err
		}
	}
	return nil
}

func (b *binding) checkOne(c *check, row unsafe.Pointer, k []byte) error {
	if b.eval(c.cond, row) == expr.False {
		return &Error{Err: ErrCheck, Table: b.name, Constraint: c.Name, Key: b.keyOf(k)}
	}
	return nil
}

// maintain checks references and unique indexes for a new row, and brings the
// indexes from the old value of its key, if any, to the new one.
func (b *binding) maintain(tx *Tx, row unsafe.Pointer, old, k []byte) error {
	var was unsafe.Pointer
	if old != nil {
		var err error
		if was, err = b.decodeOld(tx, k, old); err != nil {
			return err
		}
	}
	if err := b.checkReferences(tx, row, was, k); err != nil {
		return err
	}
	changes, err := b.changes(tx, row, was, k)
	if err != nil {
		return err
	}
	for _, e := range changes {
		if e.new != nil && e.x.Unique && !bytes.Equal(e.old, e.new) {
			if err := b.checkUnique(tx, e.x, e.new, row, k); err != nil {
				return err
			}
		}
	}
	return b.apply(tx, changes, k)
}

// decodeOld decodes a row to memory that is valid until the next call.
func (b *binding) decodeOld(tx *Tx, k, v []byte) (unsafe.Pointer, error) {
	tx.values = cleared(tx.values, len(b.cols))
	tx.mem.latest = true
	row := dynamicRow(tx.values)
	return row, b.dynamic.decode(row, k[len(b.prefix):], v, &tx.mem)
}

// changes works out the entries before and after. Either row may be nil. They
// are valid until the next call.
func (b *binding) changes(tx *Tx, row, was unsafe.Pointer, k []byte) ([]entry, error) {
	tx.entries, tx.arena = tx.entries[:0], tx.arena[:0]
	for _, x := range b.indexes {
		e := entry{x: x}
		var err error
		if was != nil {
			e.old, err = b.dynamic.arenaEntry(tx, x, was, k)
		}
		if err == nil && row != nil {
			e.new, err = b.arenaEntry(tx, x, row, k)
		}
		if err != nil {
			return nil, err
		}
		tx.entries = append(tx.entries, e)
	}
	return tx.entries, nil
}

func (b *binding) arenaEntry(tx *Tx, x *index, row unsafe.Pointer, k []byte) ([]byte, error) {
	e, err := b.entryOf(tx.arena[len(tx.arena):], x, row, k)
	if e != nil && cap(tx.arena)-len(tx.arena) >= len(e) {
		tx.arena = tx.arena[:len(tx.arena)+len(e)]
	} else if e != nil {
		tx.arena = e // its end; what was before is kept by its entries
	}
	return e[:len(e):len(e)], err
}

// apply writes what has changed. Where a restore is not repaired the index may
// lack the old entry, or have the new one for another row: both are written.
func (b *binding) apply(tx *Tx, changes []entry, k []byte) error {
	doubtful := len(b.jobs) > 0 && b.unrepaired(k)
	for _, e := range changes {
		same := bytes.Equal(e.old, e.new)
		if e.old != nil && !same {
			if err := b.dropEntry(tx, e.x, e.old, k); err != nil {
				return err
			}
		}
		var err error
		switch {
		case e.new == nil || same && !doubtful:
		case same:
			// Rows that were restored may have what another row has, too. Its
			// entry stays; this one's is found as that of a restored row.
			if err = b.addEntry(tx, keep{e.x, e.new, k}); errors.Is(err, ErrUnique) {
				err = nil
			}
		default:
			err = tx.raw.Put(e.new, b.entryValue(e.x, k))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropEntry removes an entry, unless it is another row's: that of a restored row, or
// of one that an index has been built for so far, while this one's turn has not come.
func (b *binding) dropEntry(tx *Tx, x *index, e, k []byte) error {
	if x.Unique && (len(b.jobs) > 0 || !x.ready) {
		v, found, err := tx.raw.Get(e)
		if err != nil || !found || !bytes.Equal(v, k[len(b.prefix):]) {
			return err
		}
	}
	return tx.raw.Delete(e)
}

// checkUnique sees that no other row has the entry.
func (b *binding) checkUnique(tx *Tx, x *index, e []byte, row unsafe.Pointer, k []byte) error {
	taken := false
	if len(b.jobs) == 0 {
		v, found, err := tx.raw.Get(e)
		if err != nil {
			return err
		}
		taken = found && !bytes.Equal(v, k[len(b.prefix):])
	} else {
		other, err := b.owners(tx, x, e)
		if err != nil {
			return err
		}
		taken = slices.ContainsFunc(other, func(o []byte) bool { return !bytes.Equal(o, k) })
	}
	if taken {
		return &Error{Err: ErrUnique, Table: b.name, Constraint: x.Name, Key: b.values(row, x.parts)}
	}
	return nil
}

// owners returns the keys of the rows that have an entry, whatever the index
// itself says of them.
func (b *binding) owners(tx *Tx, x *index, e []byte) ([][]byte, error) {
	var keys [][]byte
	values := make([]Value, len(b.cols))
	row := dynamicRow(values)
	err := b.dynamic.scanIndex(tx, x, engine.KeyRange(e), Span{}, row, func() bool {
		k, err := b.dynamic.appendParts(slices.Clone(b.prefix), row, b.parts)
		keys = append(keys, k)
		return err == nil
	})
	return keys, err
}

func (b *binding) delete(tx *Tx, key []any) error {
	k, err := b.rowKey(tx.key[:0], key)
	tx.key = k
	if err != nil {
		return err
	}
	return b.deleteKey(tx, k)
}

// deleteKey deletes the row of a key in tx.key.
func (b *binding) deleteKey(tx *Tx, k []byte) error {
	if len(tx.cat.incoming[b.id]) > 0 {
		k = slices.Clone(k) // others are deleted meanwhile
	}
	found, err := b.remove(tx, k)
	if err == nil && !found {
		err = &Error{Err: ErrNotFound, Table: b.name, Key: b.keyOf(k)}
	}
	return err
}

func (b *binding) forget(tx *Tx, size int, key []any) error {
	if len(b.indexes) > 0 || len(tx.cat.incoming[b.id]) > 0 {
		return fmt.Errorf("table %s: rows with indexes or references cannot be forgotten", b.name)
	}
	k, err := b.rowKey(nil, key)
	if err != nil {
		return err
	}
	if err := tx.raw.Forget(k, size); err != nil {
		return err
	}
	tx.writes++
	tx.trace(0, 1, k)
	return nil
}

func (b *binding) deleteRange(tx *Tx, s Span) (n int, err error) {
	if !tx.Writable() {
		return 0, txn.ErrReadOnly
	}
	r, err := b.bounds(b.primary(), s)
	if err != nil || r.Empty() {
		return 0, err
	}
	if len(b.indexes) == 0 && len(tx.cat.incoming[b.id]) == 0 && s.limit == 0 {
		n, err = tx.raw.DeleteRange(r)
		tx.written += n
		tx.writes++
		return n, err
	}
	mark := tx.Savepoint()
	c := tx.raw.Scan(r, s.options())
	for err == nil && (s.limit == 0 || n < s.limit) && c.Next() {
		found := false
		if found, err = b.remove(tx, slices.Clone(c.Key())); found {
			n++
		}
	}
	if err = errors.Join(err, c.Err(), c.Close()); err != nil {
		tx.RollbackTo(mark)
		return 0, err
	}
	return n, nil
}

// remove deletes the row of a key, with its entries, and what cascades from it.
func (b *binding) remove(tx *Tx, k []byte) (found bool, err error) {
	if !tx.Writable() {
		return false, txn.ErrReadOnly
	}
	v, found, err := tx.raw.Get(k)
	if err != nil || !found {
		return false, err
	}
	tx.writes++
	tx.trace(0, 1, k)
	incoming := tx.cat.incoming[b.id]
	if len(b.indexes) == 0 && len(incoming) == 0 {
		return true, tx.raw.Delete(k)
	}
	tx.old = append(tx.old[:0], v...)
	was, err := b.decodeOld(tx, k, tx.old)
	if err != nil {
		return true, err
	}
	var key []Value
	if len(incoming) > 0 {
		key = b.dynamic.values(was, b.parts)
		mark := tx.Savepoint()
		defer func() {
			if err != nil {
				tx.RollbackTo(mark)
			}
		}()
	}
	changes, err := b.changes(tx, nil, was, k)
	if err == nil {
		err = b.apply(tx, changes, k)
	}
	if err == nil {
		err = tx.raw.Delete(k)
	}
	for i := 0; i < len(incoming) && err == nil; i++ {
		err = b.removeReferring(tx, incoming[i], key)
	}
	return true, err
}

// number fills in a column declared auto, and keeps the sequence ahead of those
// that the caller chose.
func (b *binding) number(tx *Tx, row unsafe.Pointer) error {
	s := &b.slots[b.auto]
	n := s.number(row)
	if s.typ == value.Int64 && int64(n) < 0 {
		return nil
	}
	next, err := tx.sequence(b.id, autoSequence, n)
	if err == nil && n == 0 && !s.setNumber(row, next) {
		err = fmt.Errorf("table %s: the numbers of column %s are used up", b.name, b.cols[b.auto].Name)
	}
	if s.form == formValue && err == nil && n == 0 {
		*(*Value)(unsafe.Add(row, s.offset)) = value.OfUint(s.typ, next)
	}
	return err
}
