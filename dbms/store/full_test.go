package store_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

// TestFull fills a small device. The writer gets engine.ErrFull and nothing else
// happens; what was there stays readable, deleting works, and then there is room
// again.
func TestFull(t *testing.T) {
	disk := blockdev.NewMemory(24<<20, 512)
	volume, err := blockfs.Open(disk, blockfs.Options{FormatBlank: true})
	check(t, err)
	notes := table.Declare[note]("note")
	var ahead atomic.Int64 // of the clock, in ns
	o := options(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s, err := store.Open(t.Context(), volume, o, notes)
	check(t, err)
	r := rand.New(rand.NewPCG(1, 1))
	want := map[uint16]string{}
	for k := uint16(0); ; k++ {
		text := make([]byte, 20_000)
		for i := range text {
			text[i] = byte('a' + r.IntN(26))
		}
		_, err := s.Update(t.Context(), &engine.Op{Name: "fill"}, func(tx *table.Tx) error {
			return notes.Insert(tx, &note{Key: k, Text: string(text)})
		})
		if errors.Is(err, engine.ErrFull) {
			break
		}
		check(t, err)
		want[k] = string(text)
		if k > 5000 {
			t.Fatal("a device of 24 MiB took 100 MB")
		}
	}
	t.Logf("full with %d rows", len(want))
	compareNotes(t, s, notes, want)

	// Deleting is not refused. Old versions are kept for a minute at least.
	for k := range want {
		if k%20 == 0 {
			update(t, s, "ann", "delete", func(tx *table.Tx) error { return notes.Delete(tx, 0, k) })
			delete(want, k)
		}
	}
	compareNotes(t, s, notes, want)
	check(t, s.Engine().Retain(t.Context(), &engine.Op{Name: "retain"}, engine.All, engine.MinRetention))
	ahead.Store(int64(2 * engine.MinRetention))
	_, err = s.Engine().Collect(t.Context())
	check(t, err)
	update(t, s, "ann", "again", func(tx *table.Tx) error { return notes.Insert(tx, &note{Key: 60_000, Text: "room"}) })
	want[60_000] = "room"
	compareNotes(t, s, notes, want)
	closeWhole(t, s)
}

func compareNotes(t *testing.T, s *store.Store, notes *table.Table[note], want map[uint16]string) {
	t.Helper()
	got := map[uint16]string{}
	check(t, s.View(t.Context(), func(tx *table.Tx) error {
		for n, err := range notes.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			got[n.Key] = n.Text
		}
		return nil
	}))
	if !maps.Equal(got, want) {
		t.Fatalf("%d rows, should be %d, or their contents differ", len(got), len(want))
	}
}
