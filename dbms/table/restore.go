package table

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Restore makes the rows of a span of the primary key as they were at an older
// version, in constant time. It is itself a change, which another restore can
// undo. The span's order and limit do not count.
//
// The entries of secondary indexes lie elsewhere. They are repaired in the
// background (DB.Work), and until then read together with those of that version,
// which is right but takes longer. Unique indexes and references are not checked
// across the border of the span: what is wrong there, Check finds, and a unique
// index of which two rows have the same values stays unrepaired until one of them
// is changed.
func (t *Table[T]) Restore(tx *Tx, s Span, to engine.Version) error {
	b, err := tx.bind(t.decl)
	if err != nil {
		return err
	}
	return b.restore(tx, s, to)
}

func (b *binding) restore(tx *Tx, s Span, to engine.Version) error {
	r, err := b.bounds(b.primary(), s)
	if err != nil || r.Empty() {
		return err
	}
	past, err := tx.tableAt(b.id, to)
	if err == nil && past == nil {
		err = errors.New("there was no such table then")
	}
	if err == nil {
		err = b.inherits(past)
	}
	if err != nil {
		return fmt.Errorf("table %s cannot be restored in part: %w", b.name, err)
	}
	if len(b.indexes) == 0 {
		tx.writes++
		return tx.raw.Restore(r, to)
	}
	return tx.change(b.name, func(s *schema) error {
		if err := tx.observe(r); err != nil {
			return err
		}
		tx.writes++
		if err := tx.raw.Restore(r, to); err != nil {
			return err
		}
		if err := tx.addJob(jobRow{Table: s.id, Kind: jobRepair, To: []byte(to), Before: []byte(tx.Version())}, r); err != nil {
			return err
		}
		return tx.reload(s.id)
	})
}

// observe has the transaction conflict with others that write in r, so that what
// it restores is, at its commit, as it is at its Version. Procedures that run one
// after another need nothing for that.
func (t *Tx) observe(r engine.Range) error {
	if t.db.exclusive && !t.interactive {
		return nil
	}
	for _, err := range t.raw.Changes(r, t.Version()) {
		if err != nil {
			return err
		}
	}
	return nil
}

// tableAt returns a table as it was, nil if it was not.
func (t *Tx) tableAt(id uint32, v engine.Version) (*schema, error) {
	past, err := t.At(v)
	if err != nil {
		return nil, err
	}
	c, err := past.catalog()
	if err != nil {
		return nil, err
	}
	return c.tables[id], nil
}

// Ranges are the keys of a table: its rows and indexes, and what the catalog has
// of it.
func (s *schema) ranges() ([]engine.Range, error) {
	boot, err := bootCatalog()
	if err != nil {
		return nil, err
	}
	ranges := []engine.Range{s.everything()}
	for _, d := range systemTables[1:] {
		c := boot.names[d.def.Name]
		r, err := c.dynamic.bounds(c.primary(), Prefix(s.id))
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

// Ranges returns the ranges of keys that make up a table, for restores: its rows and indexes,
// and its rows of the catalog.
func (t *Tx) Ranges(table string) ([]engine.Range, error) {
	s, err := t.table(table)
	if err != nil {
		return nil, err
	}
	return s.ranges()
}

// RestoreTable makes a table as it was at an older version: rows, indexes,
// columns and name, in constant time. The name is that of now, or for a table
// that has been dropped that of then. References to other tables are not checked;
// Check does.
func (t *Tx) RestoreTable(name string, to engine.Version) error {
	return t.alter(name, func() error {
		then, err := t.thenTable(name, to)
		if err != nil {
			return err
		}
		ranges, err := then.ranges()
		if err != nil {
			return err
		}
		t.writes++
		for _, r := range ranges {
			if err := t.raw.Restore(r, to); err != nil {
				return err
			}
		}
		return t.reload(t.family(then.id)...)
	})
}

// thenTable finds the table that is to be restored as it was.
func (t *Tx) thenTable(name string, to engine.Version) (*schema, error) {
	past, err := t.At(to)
	if err != nil {
		return nil, err
	}
	c, err := past.catalog()
	if err != nil {
		return nil, err
	}
	s := c.names[name]
	if now := t.cat.names[name]; now != nil {
		s = c.tables[now.id]
	}
	switch {
	case s == nil:
		return nil, errors.New("there was no such table then")
	case s.id < firstTable:
		return nil, errors.New("it is a table of the catalog; restore the store")
	}
	for _, r := range s.refs {
		if r.parent != s.id && t.cat.tables[r.parent] == nil {
			return nil, fmt.Errorf("it referred to table %s, which has been dropped; restore that first", r.Table)
		}
	}
	return s, nil
}

// family is a table and those that refer to it.
func (t *Tx) family(id uint32) []uint32 {
	ids := []uint32{id}
	for _, r := range t.cat.incoming[id] {
		ids = append(ids, r.child)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// RestoreAll makes the whole store as it was at an older version, in constant
// time: everything but the row of the catalog that numbers tables and schemas.
func (t *Tx) RestoreAll(to engine.Version) error {
	return t.alter("all", func() error {
		past, err := t.At(to)
		if err != nil {
			return err
		}
		if _, found, err := past.epoch(); err != nil || !found {
			return firstError(err, errors.New("the store had no tables then"))
		}
		t.writes++
		store := engine.KeyRange(storeKey())
		for _, r := range []engine.Range{{High: store.Low}, {Low: store.High}} {
			if err := t.raw.Restore(r, to); err != nil {
				return err
			}
		}
		c, err := t.load(t.cat.epoch)
		if err == nil {
			t.cat = c
		}
		return err
	})
}
