package table

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// watched counts what the steps of jobs do with the commit lock.
type watched struct {
	engine.Engine
	steps []stepCount
}

type stepCount struct {
	engine.Tx
	kind          string
	scanned, puts int // keys
	deleted       int
}

func (w *watched) Update(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
	kind, ok := strings.CutPrefix(op.Name, "background ")
	if !ok {
		return w.Engine.Update(ctx, op, fn)
	}
	return w.Engine.Update(ctx, op, func(tx engine.Tx) error {
		s := stepCount{Tx: tx, kind: kind}
		err := fn(&s)
		w.steps = append(w.steps, s)
		return err
	})
}

func (s *stepCount) Scan(r engine.Range, o engine.ScanOptions) engine.Cursor {
	return &countedCursor{s.Tx.Scan(r, o), &s.scanned}
}

func (s *stepCount) Put(k, v []byte) error { s.puts++; return s.Tx.Put(k, v) }

func (s *stepCount) Delete(k []byte) error { s.deleted++; return s.Tx.Delete(k) }

type countedCursor struct {
	engine.Cursor
	n *int
}

func (c *countedCursor) Next() bool {
	ok := c.Cursor.Next()
	if ok {
		*c.n++
	}
	return ok
}

// TestStepsAreShort bounds what a job does with the commit lock, as others wait for that:
// to build an index it reads no rows, but at the end of the table.
func TestStepsAreShort(t *testing.T) {
	const rows, mostEntries, mostCleared = 200, 8, 32
	w := &watched{Engine: model.New(time.Now)}
	db := openOn(t, w, persons1)
	index := IndexDef{Name: "by_name", Parts: []Part{{Column: "name"}}}
	update(t, db, func(tx *Tx) error {
		for i := range uint32(rows) {
			if err := persons1.Insert(tx, &person1{ID: i, Name: fmt.Sprint("p", i)}); err != nil {
				return err
			}
		}
		return tx.AddIndex("persons", index)
	})
	work(t, db)
	entries := 0
	for i, s := range w.steps[:len(w.steps)-1] {
		if s.scanned > 0 || s.puts > mostEntries+1 {
			t.Errorf("step %d of building reads %d rows and writes %d keys", i, s.scanned, s.puts)
		}
		entries += s.puts - 1 // the other is the job's row
	}
	if entries != rows {
		t.Errorf("%d entries of %d rows", entries, rows)
	}
	if last := w.steps[len(w.steps)-1]; last.scanned >= mostEntries+rows {
		t.Errorf("the last step reads %d rows", last.scanned)
	}
	checkDB(t, db)

	w.steps = nil
	update(t, db, func(tx *Tx) error { return tx.DropIndex("persons", index.Name) })
	work(t, db)
	deleted := 0
	for i, s := range w.steps {
		deleted += s.deleted
		if s.kind != jobClear || s.scanned > mostCleared || s.deleted > mostCleared+1 {
			t.Errorf("step %d of clearing (%s) reads %d keys and deletes %d", i, s.kind, s.scanned, s.deleted)
		}
	}
	if deleted != rows+1 { // and the job's row
		t.Errorf("%d keys deleted", deleted)
	}
}

// TestReadAhead changes rows, the table and the index after rows were read ahead.
func TestReadAhead(t *testing.T) {
	const rows = 100
	name := IndexDef{Name: "built", Parts: []Part{{Column: "name"}}}
	age := IndexDef{Name: "built", Parts: []Part{{Column: "age"}}}
	row := func(id uint64, name string) []Value {
		return []Value{value.OfUint(value.Uint32, id), value.OfText(value.String, name), value.OfInt(value.Int8, 0)}
	}
	var before engine.Version
	written := func(fn func(*Rows) error) func(*Tx) error {
		return func(tx *Tx) error {
			r, err := tx.Rows("persons")
			return firstError(err, fn(r))
		}
	}
	drop := func(tx *Tx) error { return tx.DropIndex("persons", "built") }
	for what, changes := range map[string][]func(*Tx) error{
		"nothing":    nil,
		"update":     {written(func(r *Rows) error { return r.Update(row(6, "other")) })},
		"delete":     {written(func(r *Rows) error { return r.Delete(uint32(0)) })},
		"insert":     {written(func(r *Rows) error { return r.Insert(row(17, "new")) })},
		"add":        {written(func(r *Rows) error { return r.Insert(row(2*rows, "new")) })},
		"delete all": {written(func(r *Rows) error { _, err := r.DeleteRange(Span{}); return err })},
		"restore":    {func(tx *Tx) error { return tx.RestoreTable("persons", before) }},
		"add column": {func(tx *Tx) error {
			return tx.AddColumn("persons", ColumnDef{Name: "more", Type: value.Uint64})
		}},
		"drop index":    {drop},
		"another index": {drop, func(tx *Tx) error { return tx.AddIndex("persons", age) }},
	} {
		t.Run(what, func(t *testing.T) {
			db := openDB(t, persons1)
			before = update(t, db, func(tx *Tx) error { return persons1.Insert(tx, &person1{ID: 2, Name: "first"}) })
			update(t, db, func(tx *Tx) error {
				for i := range uint32(rows) {
					if err := persons1.Put(tx, &person1{ID: 2 * i, Name: fmt.Sprint("p", i)}); err != nil {
						return err
					}
				}
				return tx.AddIndex("persons", name)
			})
			job, a := jobOf(t, db), new(ahead)
			if err := db.readAhead(t.Context(), job, a); err != nil || len(a.rows) != aheadSteps*usualStepRows {
				t.Fatalf("%d rows were read ahead: %v", len(a.rows), err)
			}
			for i, change := range changes {
				if i > 0 {
					work(t, db) // its number is free for another job
				}
				update(t, db, change)
			}
			if err := db.readAhead(t.Context(), job, new(ahead)); err != nil {
				t.Error("reading for a job of before:", err)
			}
			for range 3 {
				update(t, db, func(tx *Tx) error {
					_, err := tx.step(job, a)
					return err
				})
			}
			work(t, db)
			checkDB(t, db)
		})
	}
}

// TestAheadStep asks for what was and was not read.
func TestAheadStep(t *testing.T) {
	a := &ahead{from: []byte("b")}
	for _, k := range []string{"b", "d", "f"} {
		a.rows = append(a.rows, keep{row: []byte(k)})
	}
	for _, c := range []struct {
		low  string
		n    int
		want string
	}{{"b", 2, "bd"}, {"b", 3, "bdf"}, {"c", 2, "df"}, {"d\x00", 1, "f"}, {"b", 4, ""}, {"e", 2, ""}, {"a", 1, ""}} {
		got := ""
		for _, f := range a.step([]byte(c.low), c.n) {
			got += string(f.row)
		}
		if got != c.want {
			t.Errorf("%d rows from %q: %q; want %q", c.n, c.low, got, c.want)
		}
	}
}

// jobOf is the only job.
func jobOf(t *testing.T, db *DB) *jobRow {
	t.Helper()
	var jobs []jobRow
	view(t, db, func(tx *Tx) (err error) {
		jobs, err = tx.jobs()
		return err
	})
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	return &jobs[0]
}
