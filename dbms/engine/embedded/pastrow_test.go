package embedded

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestRepairWhileReading repairs restores between the two steps of reading a key: that
// it has no present row, and what history has of it. The row was brought back twice, so
// that history shows the end of the first copy where the second begins.
func TestRepairWhileReading(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{NoBackground: true})
	must(t, err)
	update := func(fn func(engine.Tx) error) engine.Version {
		v, err := e.Update(ctx, nil, fn)
		must(t, err)
		return v
	}
	key := []byte("k")
	put := update(func(tx engine.Tx) error { return tx.Put(key, []byte("v")) })
	deleted := update(func(tx engine.Tx) error { return tx.Delete(key) })
	for _, to := range []engine.Version{put, deleted, put, put} {
		update(func(tx engine.Tx) error { return tx.Restore(engine.All, to) })
	}
	must(t, e.View(ctx, "", func(view engine.Reader) error {
		r := view.(*reader)
		raw, err := r.stored(key)
		if raw != nil || err != nil || len(r.active) != 4 {
			t.Fatalf("stored: %x, %v, with %d restores that are not repaired", raw, err, len(r.active))
		}
		must(t, e.repairAll(ctx, pace{}))
		s, err := r.pastAt(key, r.at, endVersion, true)
		if !s.present || string(s.value) != "v" {
			t.Errorf("it is present: %v, %q, since %v", s.present, s.value, s.since)
		}
		return err
	}))
	must(t, check(e))
	must(t, e.Close())
}
