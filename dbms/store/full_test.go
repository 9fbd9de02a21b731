package store_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

// TestFull fills a small device. The writer gets engine.ErrFull and nothing else
// happens; what was there stays readable, and the store closes and opens as before.
func TestFull(t *testing.T) {
	disk := blockdev.NewMemory(32<<20, 512)
	volume, err := blockfs.Open(disk, blockfs.Options{FormatBlank: true})
	check(t, err)
	notes := table.Declare[note]("note")
	s := open(t, volume, notes)
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
			t.Fatal("a device of 32 MiB took 100 MB")
		}
	}
	t.Logf("full with %d rows", len(want))
	compareNotes(t, s, notes, want)

	closeWhole(t, s)
	s, err = store.Open(t.Context(), volume, options(t), notes)
	check(t, err)
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
