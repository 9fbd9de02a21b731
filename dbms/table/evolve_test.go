package table

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
	"github.com/tuplix/tuplix/dbms/table/value"
)

type person1 struct {
	ID   uint32 `table:"key"`
	Name string
	Age  int8
}

type person2 struct {
	ID       uint32 `table:"key"`
	FullName string
	Email    string `table:"default='nobody@example.org'"`
}

var (
	persons1 = Declare[person1]("persons")
	persons2 = Declare[person2]("persons")
	byMail   = persons2.Index("by_mail", "email")
)

// TestEvolve takes a table from one struct to another, while rows of each schema
// are in it.
func TestEvolve(t *testing.T) {
	ctx := context.Background()
	db := openDB(t, persons1)
	old := update(t, db, func(tx *Tx) error {
		for i := range uint32(200) {
			if err := persons1.Insert(tx, &person1{ID: i, Name: fmt.Sprint("p", i), Age: int8(i % 100)}); err != nil {
				return err
			}
		}
		return nil
	})
	err := db.Create(ctx, testOp, persons2)
	var diff *DifferenceError
	if !errors.As(err, &diff) || len(diff.Lines) != 5 {
		t.Fatalf("not told what differs: %v", err)
	}
	update(t, db, func(tx *Tx) error {
		def, err := persons2.Definition()
		if err != nil {
			return err
		}
		return firstError(tx.RenameColumn("persons", "name", "full_name"), tx.DropColumn("persons", "age"),
			tx.AddColumn("persons", def.Columns[2]), tx.AddIndex("persons", def.Indexes[0]))
	})
	view(t, db, func(tx *Tx) error {
		p, err := persons2.Get(tx, 7)
		if p != (person2{ID: 7, FullName: "p7", Email: "nobody@example.org"}) {
			t.Errorf("%+v", p)
		}
		_, notReady := byMail.First(tx, Span{})
		fails(t, "index that is being built", notReady, ErrNotReady)
		_, other := persons1.Get(tx, 7)
		if !errors.As(other, &diff) {
			t.Errorf("the old declaration: %v", other)
		}
		return err
	})
	update(t, db, func(tx *Tx) error { return persons2.Update(tx, &person2{ID: 150, Email: "a@b"}) })
	resume(t, db)
	view(t, db, func(tx *Tx) error {
		p, err := byMail.First(tx, Span{})
		if p.ID != 150 {
			t.Errorf("%+v", p)
		}
		return err
	})
	checkDB(t, db)
	err = db.ViewAt(ctx, old, func(tx *Tx) error {
		p, err := persons1.Get(tx, 99)
		if p.Age != 99 {
			t.Errorf("%+v", p)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// resume does the work of the background step by step, each with a DB of its
// own, as after a crash.
func resume(t *testing.T, db *DB) {
	t.Helper()
	for range 100 {
		again := openOn(t, db.Engine())
		left := 0
		update(t, again, func(tx *Tx) error {
			jobs, err := tx.jobs()
			if left = len(jobs); left == 0 || err != nil {
				return err
			}
			_, err = tx.step(&jobs[0], new(ahead))
			return err
		})
		if left == 0 {
			db.forget()
			return
		}
	}
	t.Fatal("the jobs do not end")
}

// TestUniqueBuildFails: an index whose values are not unique stays unbuilt until they
// are, and then has all rows, also those that earlier steps had built.
func TestUniqueBuildFails(t *testing.T) {
	for _, rows := range []int{1, 2, usualStepRows} {
		for name, mend := range map[string]func(*Rows) error{
			"delete": func(r *Rows) error { return r.Delete(1) },
			"change": func(r *Rows) error {
				return r.Update([]Value{value.OfUint(value.Uint32, 1), value.OfText(value.String, "other"), value.OfInt(value.Int8, 0)})
			},
		} {
			t.Run(fmt.Sprint(name, " beside steps of ", rows), func(t *testing.T) { testUniqueBuildFails(t, rows, mend) })
		}
	}
}

func testUniqueBuildFails(t *testing.T, stepRows int, mend func(*Rows) error) {
	db := openDB(t, persons1)
	db.stepRows = stepRows
	update(t, db, func(tx *Tx) error {
		for i := range uint32(3) {
			if err := persons1.Insert(tx, &person1{ID: i, Name: fmt.Sprint(i / 2)}); err != nil {
				return err
			}
		}
		return tx.AddIndex("persons", IndexDef{Name: "once", Parts: []Part{{Column: "name"}}, Unique: true})
	})
	fails(t, "work", db.Work(context.Background(), testOp), ErrUnique)
	update(t, db, func(tx *Tx) error {
		jobs, err := tx.jobs()
		if len(jobs) != 1 || !strings.Contains(jobs[0].Problem, "once ('0')") {
			t.Errorf("%+v", jobs)
		}
		rows, err2 := tx.Rows("persons")
		if err = firstError(err, err2); err != nil {
			return err
		}
		return mend(rows)
	})
	work(t, db)
	view(t, db, func(tx *Tx) error {
		rows, err := tx.Rows("persons")
		if err != nil {
			return err
		}
		row, err := rows.Get("once", "0")
		if err == nil && row[0].Uint() != 0 {
			t.Error(row)
		}
		return err
	})
	checkDB(t, db)
}

// TestCatalogIsTables reads the catalog as tables, and sees that it cannot be
// written as one.
func TestCatalogIsTables(t *testing.T) {
	db := openDB(t, files)
	update(t, db, func(tx *Tx) error {
		rows, err := tx.Rows("catalog.columns")
		if err != nil {
			return err
		}
		var lines []string
		for row, err := range rows.Scan("", Prefix(firstTable)) {
			if err != nil {
				return err
			}
			lines = append(lines, row[2].String()+" "+row[3].String())
		}
		if got := strings.Join(lines, ", "); got != "inode uint64, parent uint64, name string, size int64, kind string" {
			t.Error(got)
		}
		if rows.Delete(firstTable, 1) == nil || tx.DropTable("catalog.columns") == nil {
			t.Error("the catalog can be destroyed")
		}
		columns, err := tx.Rows("catalog.tables")
		if err != nil {
			return err
		}
		row, err := columns.Get("", firstTable)
		if err == nil && row[1].Text() != "files" {
			t.Error(row)
		}
		return err
	})
}

// TestConcurrentChanges changes tables while others use them, on engines that
// are and are not used by others.
func TestConcurrentChanges(t *testing.T) {
	for _, e := range []engine.Engine{model.New(nil), alone{model.New(nil)}} {
		db := openOn(t, e, persons1)
		var all sync.WaitGroup
		ctx := context.Background()
		for w := range uint32(4) {
			all.Go(func() {
				for i := range uint32(60) {
					_, err := db.Update(ctx, testOp, func(tx *Tx) error {
						rows, err := tx.Rows("persons")
						if err != nil {
							return err
						}
						row := make([]Value, len(rows.Definition().Columns))
						for i, c := range rows.Definition().Columns {
							row[i] = value.Zero(c.Type)
						}
						row[0] = value.OfUint(value.Uint32, uint64(w*1000+i))
						return rows.Put(row)
					})
					if err == nil {
						err = db.View(ctx, func(tx *Tx) error {
							rows, err := tx.Rows("persons")
							if err != nil {
								return err
							}
							for _, err := range rows.Scan("", Span{}) {
								if err != nil {
									return err
								}
							}
							return nil
						})
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 20 {
			update(t, db, func(tx *Tx) error {
				name := fmt.Sprint("c", i)
				return firstError(tx.AddColumn("persons", ColumnDef{Name: name, Type: value.String}),
					tx.AddIndex("persons", IndexDef{Name: "i" + name, Parts: []Part{{Column: name}}}))
			})
			if i%5 == 4 {
				work(t, db)
			}
		}
		all.Wait()
		work(t, db)
		checkDB(t, db)
	}
}

// TestInteractiveConflicts sees that an interactive transaction does not commit
// past a change of the catalog.
func TestInteractiveConflicts(t *testing.T) {
	ctx := context.Background()
	db := openDB(t, persons1)
	tx, err := db.Begin(ctx, testOp)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if err := persons1.Insert(tx, &person1{ID: 1}); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *Tx) error {
		return tx.AddIndex("persons", IndexDef{Name: "x", Parts: []Part{{Column: "name"}}})
	})
	_, err = tx.Commit(ctx)
	fails(t, "commit", err, engine.ErrConflict)
	checkDB(t, db)
}
