package table

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/value"
)

type narrow struct {
	ID    uint16 `table:"key"`
	Small uint8
	Count int32
	Text  string
	Note  string
	Meta  map[string]int `table:"json"`
	Size  uint32         `table:"default=7"`
}

type wide struct {
	ID    uint64 `table:"key"`
	Small int16
	Count float64
	Text  []byte
	Note  sql.Null[string]
	Meta  string
	Size  sql.Null[int64] `table:"default=7"`
}

var (
	narrows = Declare[narrow]("things")
	wides   = Declare[wide]("things")
)

// TestChangeColumn changes the types of columns below rows of each schema, and
// goes back.
func TestChangeColumn(t *testing.T) {
	db := openDB(t, narrows)
	before := update(t, db, func(tx *Tx) error {
		return firstError(
			narrows.Insert(tx, &narrow{ID: 1, Small: 200, Count: -5, Text: "ab", Note: "n", Meta: map[string]int{"a": 1}, Size: 9}),
			tx.AddIndex("things", IndexDef{Name: "by_text", Parts: []Part{{Column: "text"}}}),
			tx.AddColumn("things", ColumnDef{Name: "late", Type: value.Uint8}))
	})
	work(t, db)
	def, err := wides.Definition()
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *Tx) error {
		for _, c := range append(def.Columns, ColumnDef{Name: "late", Type: value.Decimal, Nullable: true}) {
			if err := tx.ChangeColumn("things", c); err != nil {
				return err
			}
		}
		rows, err := tx.Rows("things")
		if err != nil {
			return err
		}
		row, err := rows.Get("", 1)
		if err == nil && row[7] != value.Zero(value.Decimal) {
			t.Errorf("a column that was added after the row, then changed: %v", row[7])
		}
		return firstError(err, tx.DropColumn("things", "late"), tx.DropIndex("things", "by_text"))
	})
	update(t, db, func(tx *Tx) error { return wides.Insert(tx, &wide{ID: 1 << 40, Small: -1}) })
	view(t, db, func(tx *Tx) error {
		rows, err := collect(wides.Scan(tx, Span{}))
		if err != nil {
			return err
		}
		r := rows[0]
		if r.ID != 1 || r.Small != 200 || r.Count != -5 || string(r.Text) != "ab" || r.Note.V != "n" || !r.Note.Valid || r.Meta != `{"a":1}` || r.Size.V != 9 {
			t.Errorf("%+v", r)
		}
		if len(rows) != 2 || rows[1].Small != -1 || rows[1].Note.Valid || rows[1].Size.Valid {
			t.Errorf("%+v", rows)
		}
		return nil
	})
	work(t, db)
	checkDB(t, db)
	update(t, db, func(tx *Tx) error { return wides.Restore(tx, Span{}, before) })
	view(t, db, func(tx *Tx) error {
		r, err := wides.Get(tx, 1)
		if r.Small != 200 || r.Note.V != "n" {
			t.Errorf("%+v", r)
		}
		return err
	})
	update(t, db, func(tx *Tx) error { return tx.RestoreTable("things", before) })
	update(t, db, func(tx *Tx) error {
		return firstError(tx.DropIndex("things", "by_text"), tx.DropColumn("things", "late"))
	})
	view(t, db, func(tx *Tx) error {
		r, err := narrows.Get(tx, 1)
		if r.Count != -5 || r.Size != 9 {
			t.Errorf("%+v", r)
		}
		return err
	})
	checkDB(t, db)
}

// TestChangeColumnRefused sees that what could lose something is refused.
func TestChangeColumnRefused(t *testing.T) {
	db := openDB(t, files)
	columns := func(tx *Tx) []ColumnDef {
		d, err := tx.Describe("files")
		if err != nil {
			t.Fatal(err)
		}
		return d.Columns
	}
	for _, c := range []struct {
		column string
		change func(*ColumnDef)
		want   string
	}{
		{"size", func(c *ColumnDef) { c.Type = value.Int32 }, "not every int64 is a int32"},
		{"size", func(c *ColumnDef) { c.Type = value.Decimal }, "index by_size has it"},
		{"size", func(c *ColumnDef) { c.Nullable = true }, "index by_size has it"},
		{"kind", func(c *ColumnDef) { c.Nullable = false }, "may have null"},
		{"inode", func(c *ColumnDef) { c.Type, c.Auto = value.Decimal, false }, "keeps its default"},
		{"inode", func(c *ColumnDef) { c.Nullable = true }, "nullable"},
		{"none", func(c *ColumnDef) { c.Name = "none" }, "there is no column"},
	} {
		update(t, db, func(tx *Tx) error {
			def := columns(tx)[0]
			for _, d := range columns(tx) {
				if d.Name == c.column {
					def = d
				}
			}
			c.change(&def)
			if err := tx.ChangeColumn("files", def); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", def, err)
			}
			return nil
		})
	}
	checkDB(t, db)
}

// TestAddConstraints adds a check and references to tables with rows.
func TestAddConstraints(t *testing.T) {
	db := openDB(t, narrows, persons1)
	update(t, db, func(tx *Tx) error {
		return firstError(narrows.Insert(tx, &narrow{ID: 1, Size: 5}), narrows.Insert(tx, &narrow{ID: 2, Size: 300}),
			persons1.Insert(tx, &person1{ID: 5}),
			tx.AddIndex("things", IndexDef{Name: "by_size", Parts: []Part{{Column: "size"}}}))
	})
	small := CheckDef{Name: "small", Cond: "size<100"}
	owner := ReferenceDef{Name: "owner", Columns: []string{"size"}, Table: "persons", Cascade: true}
	add := func(tx *Tx) (check, reference error) {
		return tx.AddCheck("things", small), tx.AddReference("things", owner)
	}
	update(t, db, func(tx *Tx) error {
		_, notReady := add(tx)
		fails(t, "a reference without its index", notReady, ErrNotReady)
		return nil
	})
	work(t, db)
	update(t, db, func(tx *Tx) error {
		check, reference := add(tx)
		var e *Error
		fails(t, "a check that does not hold", check, ErrCheck)
		if !errors.As(check, &e) || e.Key[0].Uint() != 2 || e.Constraint != "small" {
			t.Errorf("%v", check)
		}
		fails(t, "a reference that does not hold", reference, ErrReference)
		if !strings.Contains(reference.Error(), "row 2: things, owner (300)") {
			t.Errorf("%v", reference)
		}
		rows, err := tx.Rows("things")
		if err != nil {
			return err
		}
		return rows.Delete(2)
	})
	update(t, db, func(tx *Tx) error {
		check, reference := add(tx)
		return firstError(check, reference)
	})
	update(t, db, func(tx *Tx) error {
		rows, err := tx.Rows("things")
		if err != nil {
			return err
		}
		row, err := rows.Get("", 1)
		if err != nil {
			return err
		}
		row[6] = value.OfUint(value.Uint32, 100)
		fails(t, "a row against the check", rows.Put(row), ErrCheck)
		row[6] = value.OfUint(value.Uint32, 99)
		fails(t, "a row against the reference", rows.Put(row), ErrReference)
		return persons1.Delete(tx, 5)
	})
	view(t, db, func(tx *Tx) error {
		rows, err := tx.Rows("things")
		if err != nil {
			return err
		}
		for row, err := range rows.Scan("", Span{}) {
			t.Errorf("%v is left of the cascade, %v", row, err)
		}
		return nil
	})
	checkDB(t, db)
}

// TestAddCheckConflicts sees that a check that is added by an interactive
// transaction is not added past a row that it does not know.
func TestAddCheckConflicts(t *testing.T) {
	ctx := context.Background()
	db := openDB(t, persons1)
	tx, err := db.Begin(ctx, testOp)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if err := tx.AddCheck("persons", CheckDef{Name: "named", Cond: "name <> ''"}); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *Tx) error { return persons1.Insert(tx, &person1{ID: 1}) })
	_, err = tx.Commit(ctx)
	fails(t, "commit", err, engine.ErrConflict)
}
