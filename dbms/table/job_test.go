package table

import (
	"context"
	"testing"
	"time"
)

// TestPause sees that a job rests after each step, and for longer, while others commit
// and for a while after that, and that its own steps are not others.
func TestPause(t *testing.T) {
	db := openDB(t)
	begun := time.Now()
	p := pause{db: db, begun: begun, seen: db.commits.Load()}
	nothing := func(*Tx) error { return nil }
	step := func() {
		update(t, db, nothing)
		p.steps++
	}
	const short = workSlice / 4
	rest := func(when string, at, worked, want time.Duration) {
		t.Helper()
		now := begun.Add(at)
		p.begun = now.Add(-worked)
		if got := p.rest(now); got != want {
			t.Errorf("%s, after %v of work it rests for %v; want %v", when, worked, got, want)
		}
	}
	rest("at first", 0, 0, 0)
	step()
	rest("after a step", 1, short, 0)
	step()
	step()
	rest("after its own steps", 2, 2*workSlice, 2*workSlice)
	step()
	update(t, db, nothing)
	rest("beside a procedure", 3, short, busyRest*short)
	step()
	rest("soon after that", busyFor, short, busyRest*short)
	step()
	rest("later", 3+busyFor, short, 0)
	tx, err := db.Begin(context.Background(), testOp)
	if err == nil {
		_, err = tx.Commit(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	rest("beside an interactive transaction", 4+busyFor, short, busyRest*short)
}
