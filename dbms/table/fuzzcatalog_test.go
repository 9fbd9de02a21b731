package table

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
	"github.com/tuplix/tuplix/dbms/table/value"
	"github.com/tuplix/tuplix/dbms/txn"
)

// catalogSample makes a store whose catalog has something of everything.
func catalogSample(t testing.TB) engine.Engine {
	e := alone{model.New(nil)}
	db := openOn(t, e, persons1, narrows)
	before := update(t, db, func(tx *Tx) error {
		return firstError(narrows.Insert(tx, &narrow{ID: 1}), persons1.Insert(tx, &person1{ID: 0}),
			tx.AddIndex("persons", IndexDef{Name: "by_name", Parts: []Part{{Column: "name"}}, Unique: true, Where: "age > 5"}),
			tx.AddCheck("persons", CheckDef{Name: "age_valid", Cond: "age >= 0"}),
			tx.CreateTable(Definition{Name: "t", Columns: []ColumnDef{{Name: "id", Type: value.Uint64, Auto: true}, {Name: "of", Type: value.Uint32}},
				Key: []Part{{Column: "id"}}, Indexes: []IndexDef{{Name: "by_of", Parts: []Part{{Column: "of"}}}},
				References: []ReferenceDef{{Name: "of", Columns: []string{"of"}, Table: "persons"}}}))
	})
	update(t, db, func(tx *Tx) error {
		rows, err := tx.Rows("t")
		if err != nil {
			return err
		}
		return rows.Insert([]Value{value.OfUint(value.Uint64, 0), value.OfUint(value.Uint32, 0)})
	})
	update(t, db, func(tx *Tx) error {
		rows, err := tx.Rows("t")
		if err != nil {
			return err
		}
		return firstError(rows.Restore(Span{}, before),
			tx.ChangeColumn("things", ColumnDef{Name: "small", Type: value.Int64, Nullable: true}),
			tx.DropColumn("things", "note"))
	})
	return e
}

// FuzzCatalog puts any row into a catalog, or in place of one that is there. What
// comes of it are errors, or tables that can be used.
func FuzzCatalog(f *testing.F) {
	err := catalogSample(f).View(context.Background(), "", func(r engine.Reader) error {
		c := r.Scan(engine.Range{Low: []byte{1}, High: []byte{8}}, engine.ScanOptions{})
		for c.Next() {
			f.Add(slices.Clone(c.Key()), slices.Clone(c.Value()))
		}
		return errors.Join(c.Err(), c.Close())
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key, row []byte) {
		if len(key) == 0 || key[0] == 0 || key[0] > 7 || engine.CheckSize(key, row, engine.DefaultMaxValue) != nil {
			return
		}
		e := catalogSample(t)
		if _, err := e.Update(t.Context(), nil, func(tx engine.Tx) error { return tx.Put(key, row) }); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		db, err := Open(ctx, txn.New(e), testOp)
		if err != nil {
			return
		}
		useTables(ctx, db)
		if ctx.Err() != nil {
			t.Fatal("it takes for ever")
		}
	})
}

// useTables does with each table what can be done. Errors are as they should be.
func useTables(ctx context.Context, db *DB) {
	_, _ = db.Update(ctx, testOp, func(tx *Tx) error {
		names, err := tx.Tables()
		for _, name := range names {
			rows, err := tx.Rows(name)
			if err != nil {
				continue
			}
			for _, x := range append([]IndexDef{{}}, rows.Definition().Indexes...) {
				for _, err := range rows.Scan(x.Name, Span{}) {
					if err != nil {
						break
					}
				}
			}
			row := make([]Value, len(rows.Definition().Columns))
			for i, c := range rows.Definition().Columns {
				row[i] = value.Zero(c.Type)
			}
			_ = rows.Put(row)
			_, _ = rows.DeleteRange(Span{})
		}
		_ = tx.AddColumn("persons", ColumnDef{Name: "more", Type: value.String})
		return err
	})
	_ = db.Work(ctx, testOp)
	_ = db.View(ctx, func(tx *Tx) error { return tx.Check(func(engine.Problem) {}) })
}
