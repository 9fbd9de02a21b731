package table

import (
	"errors"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
)

type lamp struct {
	ID    uint64 `table:"key"`
	Color string
	Watts int64
}

// An index that a table is declared to have had goes when a store is opened that has it,
// and so do its entries.
func TestHad(t *testing.T) {
	e := alone{model.New(time.Now)}
	before := Declare[lamp]("lamps")
	byColor := before.Index("color", "color")
	before.Index("watts", "watts")
	db := openOn(t, e, before)
	var entries engine.Range
	update(t, db, func(tx *Tx) (err error) {
		entries, err = byColor.Range(tx, Span{})
		return firstError(err, before.Insert(tx, &lamp{1, "red", 40}), before.Insert(tx, &lamp{2, "red", 60}))
	})
	after := Declare[lamp]("lamps").Had("color", "shape")
	byWatts := after.Index("watts", "watts")
	for range 2 { // the second time there is nothing to do
		db = openOn(t, e, after)
		work(t, db)
		update(t, db, func(tx *Tx) error { return after.Put(tx, &lamp{1, "blue", 80}) })
		checkDB(t, db)
	}
	view(t, db, func(tx *Tx) error {
		if x, err := byWatts.First(tx, From(int64(61))); x != (lamp{1, "blue", 80}) || err != nil {
			t.Errorf("by watts: %+v, %v", x, err)
		}
		c := tx.Raw().Scan(entries, engine.ScanOptions{})
		for c.Next() {
			t.Errorf("there is still an entry %q", c.Key())
		}
		return firstError(c.Err(), c.Close())
	})
	var different *DifferenceError
	if err := db.Create(t.Context(), testOp, before); !errors.As(err, &different) {
		t.Errorf("declared as before: %v", err)
	}
}

// Written shows what the transaction has made of rows, and what it has undone is not
// among it.
func TestWritten(t *testing.T) {
	lamps := Declare[lamp]("lamps")
	lamps.Index("color", "color")
	db := openDB(t, lamps)
	update(t, db, func(tx *Tx) error {
		return firstError(lamps.Insert(tx, &lamp{1, "red", 1}), lamps.Insert(tx, &lamp{2, "red", 2}), lamps.Insert(tx, &lamp{3, "red", 3}))
	})
	want := func(tx *Tx, s Span, rows ...Write[lamp]) {
		t.Helper()
		for w, err := range lamps.Written(tx, s) {
			if err != nil || len(rows) == 0 || w != rows[0] {
				t.Fatalf("written %+v, %v; want %+v", w, err, rows)
			}
			rows = rows[1:]
		}
		if len(rows) > 0 {
			t.Errorf("not written: %+v", rows)
		}
	}
	gone, blue, more := Write[lamp]{lamp{ID: 1}, true}, Write[lamp]{Row: lamp{2, "blue", 2}}, Write[lamp]{Row: lamp{9, "red", 9}}
	update(t, db, func(tx *Tx) error {
		want(tx, Span{})
		err := firstError(lamps.Insert(tx, &more.Row), lamps.Delete(tx, uint64(1)), lamps.Update(tx, &blue.Row))
		mark := tx.Savepoint()
		err = firstError(err, lamps.Delete(tx, uint64(9)), lamps.Delete(tx, uint64(3)))
		want(tx, From(uint64(3)), Write[lamp]{lamp{ID: 3}, true}, Write[lamp]{lamp{ID: 9}, true})
		tx.RollbackTo(mark)
		want(tx, Span{}, gone, blue, more)
		want(tx, Span{}.Reverse(), more, blue, gone)
		want(tx, Prefix(uint64(2)), blue)
		if r, err := lamps.Range(tx, Span{}); err != nil || tx.Current(r) || !tx.CurrentBut() {
			t.Errorf("of what it has written, it sees more than others know: %v", err)
		}
		return err
	})
}
