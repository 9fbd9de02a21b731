package embedded

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestSpans: what has lain in tables since before a version is not read by who asks what
// changed after it; what is in memory, or was written over, is found all the same.
func TestSpans(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{NoBackground: true})
	must(t, err)
	defer func() { must(t, e.Close()) }()
	const rows, changed = 20_000, 10
	put := func(i int, value string) engine.Version {
		v, err := e.Update(ctx, &engine.Op{NoWait: true}, func(tx engine.Tx) error { return tx.Put(fmt.Appendf(nil, "key %06d", i), []byte(value)) })
		must(t, err)
		return v
	}
	for i := range rows {
		put(i, "old and long enough for a block to have some dozens of them")
	}
	must(t, e.Compact(ctx))
	looked := func(after engine.Version) (n int) {
		v, err := e.internal(after)
		must(t, err)
		lines, err := e.timelines(engine.All, false, v)
		must(t, err)
		for lines.next() {
			n++
		}
		must(t, lines.close())
		return n
	}
	var versions []engine.Version
	for round := range 3 {
		before := e.last.Load().external()
		versions = append(versions, before)
		for i := range changed {
			put(i*rows/changed, fmt.Sprint("new ", round))
		}
		put(rows+round, "another")
		if n := looked(before); n > rows/10 {
			t.Errorf("round %d: %d rows are looked at to find %d", round, n, changed+1)
		}
		if round == 1 { // all rows are written anew
			must(t, e.Compact(ctx))
		}
		for i, v := range versions {
			if got, want := changesSince(t, e, v), (round+1-i)*(changed+1); got != want {
				t.Errorf("round %d: %d changes since version %d, want %d", round, got, i, want)
			}
		}
	}
}

// TestSpansOfLoads: rows that were loaded are found by who asks what changed after a moment
// before them, also where a compaction has written them anew before anything else was
// committed.
func TestSpansOfLoads(t *testing.T) {
	e := openLoad(t, vfs.NewMem())
	defer func() { must(t, e.Close()) }()
	_, err := e.Update(ctx, nil, func(tx engine.Tx) error { // on both sides, so that they are compacted together
		return errors.Join(tx.Put([]byte("a"), []byte("before")), tx.Put([]byte("z"), []byte("before")))
	})
	must(t, err)
	before := e.last.Load().external()
	const rows = 3000 // many blocks
	l, err := e.Load(ctx, nil, loadRange)
	must(t, err)
	for i := range rows {
		must(t, l.Put(loadKey(i), make([]byte, 50), nil))
	}
	must(t, l.Commit(ctx))
	must(t, e.Compact(ctx))
	if n := changesSince(t, e, before); n != rows {
		t.Errorf("%d changes, want %d", n, rows)
	}
}

// changesSince counts what Changes tells of.
func changesSince(t *testing.T, e *Engine, after engine.Version) (n int) {
	t.Helper()
	must(t, e.View(ctx, "", func(r engine.Reader) error {
		for _, err := range r.Changes(engine.All, after) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}))
	return n
}
