package table

import (
	"context"
	"testing"
	"time"
)

// TestPause sees that a job rests for longer while others commit, and that its own
// steps are not others.
func TestPause(t *testing.T) {
	db := openDB(t)
	p := pause{db: db, seen: db.commits.Load()}
	nothing := func(*Tx) error { return nil }
	step := func() {
		update(t, db, nothing)
		p.steps++
	}
	share := func(when string, want time.Duration) {
		t.Helper()
		if got := p.share(); got != want {
			t.Errorf("%s it rests %d times as long as it works; want %d", when, got, want)
		}
	}
	share("at first", 1)
	step()
	step()
	share("after its own steps", 1)
	step()
	update(t, db, nothing)
	share("beside a procedure", busyRest)
	share("after that", 1)
	tx, err := db.Begin(context.Background(), testOp)
	if err == nil {
		_, err = tx.Commit(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	share("beside an interactive transaction", busyRest)
}
