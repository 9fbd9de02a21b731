package table

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestRestoredOften restores a table again and again to where it has just been, while
// nothing is repaired. There are 2^40 ways then to where it was first, and one index to
// read for each restore.
func TestRestoredOften(t *testing.T) {
	const restores = 40
	type item struct {
		ID    uint32 `table:"key"`
		Group string
	}
	items := Declare[item]("items")
	byGroup := items.Index("group", "group")
	db := openDB(t, items)
	first := update(t, db, func(tx *Tx) error { return items.Insert(tx, &item{1, "then"}) })
	update(t, db, func(tx *Tx) error { return items.Update(tx, &item{1, "now"}) })
	scan := func(group string) (n int) {
		view(t, db, func(tx *Tx) error {
			rows, err := collect(byGroup.Scan(tx, Prefix(group)))
			n = len(rows)
			return err
		})
		return n
	}
	done := make(chan string, 1)
	go func() {
		to := first
		for i := range restores {
			v, err := db.Update(t.Context(), testOp, func(tx *Tx) error { return items.Restore(tx, Span{}, to) })
			if err != nil {
				done <- err.Error()
				return
			}
			to = engine.Version(v)
			if then, now := scan("then"), scan("now"); then != 1 || now != 0 {
				done <- fmt.Sprintf("after %d restores %d rows are as they were, %d as before", i+1, then, now)
				return
			}
		}
		done <- ""
	}()
	select {
	case problem := <-done:
		if problem != "" {
			t.Fatal(problem)
		}
	case <-time.After(time.Minute):
		t.Fatal("a scan by an index reads the same again and again")
	}
	work(t, db)
	if then, now := scan("then"), scan("now"); then != 1 || now != 0 {
		t.Errorf("repaired, %d rows are as they were, %d as before", then, now)
	}
	checkDB(t, db)
}
