package embedded

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestKeptIterators reads a row as it was: the iterator for that is made once, serves
// all older versions, and goes when Pebble has written tables anew.
func TestKeptIterators(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{NoBackground: true})
	must(t, err)
	var versions []engine.Version
	for i := range 5 {
		v, err := e.Update(ctx, &engine.Op{NoWait: true}, func(tx engine.Tx) error { return tx.Put([]byte("k"), []byte{byte(i)}) })
		must(t, err)
		versions = append(versions, v)
	}
	must(t, e.Sync(ctx, ""))
	must(t, e.unpack()) // what is pending needs no iterator
	read := func(i int) {
		t.Helper()
		must(t, e.View(ctx, versions[i], func(r engine.Reader) error {
			value, found, err := r.Get([]byte("k"))
			if !found || len(value) != 1 || int(value[0]) != i {
				t.Errorf("version %d shows %x, found %v", i, value, found)
			}
			return err
		}))
	}
	idle := func(want int) {
		t.Helper()
		if n := len(e.kept.idle); n != want {
			t.Errorf("%d iterators are kept, not %d", n, want)
		}
	}
	for i := range 4 {
		read(3 - i)
		idle(1)
	}
	must(t, e.Compact(ctx))
	e.kept.sweeps.Wait()
	idle(0)
	read(1)
	must(t, e.Close())
}

// TestPastCacheIsRight asks the cache for versions around those of its row.
func TestPastCacheIsRight(t *testing.T) {
	var c pastCache
	c.init(MinMemory)
	r := row{since: 10, value: []byte("v")}
	stored := make([]byte, r.size())
	r.put(stored)
	c.put([]byte("k"), stored, 20)
	for at, want := range map[version]bool{9: false, 10: true, 19: true, 20: false} {
		if got := c.get(nil, []byte("k"), hash([]byte("k")), at) != nil; got != want {
			t.Errorf("at %d: %v", at, got)
		}
	}
	if c.get(nil, []byte("other"), hash([]byte("other")), 15) != nil {
		t.Error("another key has the row")
	}
}

// TestPastWithoutGuess reads a row of history that is in memory when nothing is known of
// its key any more: no iterator is needed for it. Versions beside it are looked for.
func TestPastWithoutGuess(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{NoBackground: true})
	must(t, err)
	key := []byte("k")
	var versions []engine.Version
	for i := range 4 {
		v, err := e.Update(ctx, nil, func(tx engine.Tx) error { return tx.Put(key, []byte{byte(i)}) })
		must(t, err)
		versions = append(versions, v)
	}
	read := func(i int) (iterators int) {
		t.Helper()
		e.kept.drop()
		must(t, e.View(ctx, versions[i], func(r engine.Reader) error {
			value, found, err := r.Get(key)
			if !found || len(value) != 1 || int(value[0]) != i {
				t.Errorf("version %d shows %x, found %v", i, value, found)
			}
			return err
		}))
		return len(e.kept.idle)
	}
	read(1) // its present row is later: that is noted
	read(1) // now it is in memory
	clear(e.guesses.places)
	e.guesses.lean.Store(-maxLean)
	if n := read(1); n != 0 {
		t.Errorf("it took %d iterators", n)
	}
	for _, i := range []int{0, 2, 3, 1} {
		read(i)
	}
	must(t, e.Close())
}
