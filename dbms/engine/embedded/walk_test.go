package embedded

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// A flush has an occasion to let others go first at each row, also of those that it
// does not write since they are gone; and nobody else while there is no flush.
func TestWalk(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{NoBackground: true, Log: t.Logf, tune: func(p *pebble.Options) { p.DisableAutomaticCompactions = true }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, e.Close()) })
	const rows = 2000
	for _, remove := range []bool{false, true} {
		_, err := e.Update(t.Context(), &engine.Op{}, func(tx engine.Tx) error {
			for n := range rows {
				write := func() error { return tx.Put(benchKey(nil, n), benchValue(n)) }
				if remove {
					write = func() error { return tx.Delete(benchKey(nil, n)) }
				}
				if err := write(); err != nil {
					return err
				}
			}
			return nil
		})
		must(t, err)
	}
	before := e.walks.keys.Load()
	must(t, e.db.Flush())
	after := e.walks.keys.Load()
	if n := after - before; n < rows {
		t.Errorf("a flush of %d rows that are gone may step back at %d", rows, n)
	}
	if n := e.walks.some.Load(); n != 0 {
		t.Errorf("%d flushes or compactions are still under way", n)
	}
	must(t, e.View(t.Context(), "", func(r engine.Reader) error {
		_, _, err := r.Get(benchKey(nil, 1))
		return err
	}))
	if e.walks.keys.Load() != after {
		t.Error("a reader steps back where nothing is under way")
	}
}
