package table

import (
	"errors"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
)

type lasting struct {
	ID   int `table:"key"`
	Text string
}

type brief struct {
	ID   int `table:"key"`
	Text string
}

// TestRetain: the rows of a table are forgotten early, and what others were can be read
// as of then, also when the definitions of both have changed since and nobody remembers
// them.
func TestRetain(t *testing.T) {
	clock := &randomClock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	e := alone{model.New(clock.Now)}
	long, short := Declare[lasting]("lasting"), Declare[brief]("brief")
	byText := short.Index("text", "text")
	db := openOn(t, e, long, short)
	put := func(text string) engine.Version {
		return update(t, db, func(tx *Tx) error {
			return errors.Join(long.Put(tx, &lasting{1, text}), short.Put(tx, &brief{1, text}))
		})
	}
	then := put("old")
	if err := db.Retain(t.Context(), testOp, engine.MinRetention, short); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{long.Name(), short.Name()} {
		update(t, db, func(tx *Tx) error {
			return tx.AddIndex(name, IndexDef{Name: "second", Parts: []Part{{Column: "text"}, {Column: "id"}}})
		})
	}
	work(t, db)
	for _, name := range []string{long.Name(), short.Name()} {
		update(t, db, func(tx *Tx) error { return tx.DropIndex(name, "second") })
	}
	work(t, db)
	put("new")
	clock.advance(2 * engine.MinRetention)
	if _, err := e.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	db = openOn(t, e)
	err := db.ViewAt(t.Context(), then, func(tx *Tx) error {
		if row, err := long.Get(tx, 1); err != nil || row.Text != "old" {
			t.Errorf("the other table has %+v, %v", row, err)
		}
		if row, err := short.Get(tx, 1); !errors.Is(err, engine.ErrTooOld) {
			t.Errorf("what is not retained is %+v, %v", row, err)
		}
		for row, err := range byText.Scan(tx, Span{}) {
			if !errors.Is(err, engine.ErrTooOld) {
				t.Errorf("and an index has %+v, %v", row, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
