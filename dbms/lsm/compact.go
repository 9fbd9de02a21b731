package lsm

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Compactor has Pebble rewrite tables, one compaction at a time. The zero value is
// ready.
//
// Pebble could cut a range by itself, and be told of a context. But when a
// compaction that is one of several fails, or the context ends, Pebble 2.1.7 takes
// those that wait off its list without forgetting the one that it has picked to run
// next. When that one's turn comes, it panics on a goroutine of its own ("did not
// find manual compaction"), and the program ends. A device that is full makes
// compactions fail. So there is only ever one here, and nothing ends it: who gives
// up leaves it to whoever comes next.
type Compactor struct {
	mu      sync.Mutex
	pending chan error // of the compaction that was begun last
}

// Compact rewrites the tables that hold keys from low to before high, so that what
// was deleted or replaced there takes no room any more. It goes piece by piece of
// the keys, each of tables of about so many bytes, since a compaction gives back
// what it has replaced only at its end; after each it asks whether that is enough.
//
// Errors: the cause why ctx ended, and those of the volume. What was done until then
// stays done. Calls take turns.
func (c *Compactor) Compact(ctx context.Context, db *pebble.DB, low, high []byte, piece int64, enough func() bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := flush(ctx, db); err != nil {
		return err
	}
	cuts, err := cut(db, low, high, piece)
	if err != nil {
		return err
	}
	for _, end := range append(cuts, high) {
		if err := c.one(ctx, db, low, end); err != nil {
			return err
		}
		if low = end; enough() {
			break
		}
	}
	return nil
}

// one does one compaction, after the one that somebody has given up to wait for.
func (c *Compactor) one(ctx context.Context, db *pebble.DB, low, high []byte) error {
	if c.pending != nil {
		// How it ended does not matter: this one comes to the same keys, or others.
		if ended, _ := c.wait(ctx); !ended {
			return context.Cause(ctx)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	done := make(chan error, 1)
	c.pending = done
	go func() { done <- db.Compact(context.Background(), low, high, false) }()
	_, err := c.wait(ctx)
	return err
}

// wait waits for the compaction under way, and tells whether it has ended.
func (c *Compactor) wait(ctx context.Context) (ended bool, err error) {
	select {
	case err := <-c.pending:
		c.pending = nil
		return true, err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// flush writes out what is in memory only. Where that fails Pebble tries again, so
// the wait for it must end with ctx.
func flush(ctx context.Context, db *pebble.DB) error {
	done, err := db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cut divides a range of keys at the beginnings of tables, so that what lies between
// two cuts has about most bytes, with the large values that Pebble keeps outside of its
// tables: a compaction may write those anew, too.
func cut(db *pebble.DB, low, high []byte, most int64) ([][]byte, error) {
	list, err := pieces(db, low, high)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b piece) int { return bytes.Compare(a.begin, b.begin) })
	var cuts [][]byte
	size := int64(0)
	for i := range list {
		if b := list[i].begin; size >= most && bytes.Compare(b, low) > 0 {
			cuts, low, size = append(cuts, b), b, 0
		}
		size += list[i].size
	}
	return cuts, nil
}
