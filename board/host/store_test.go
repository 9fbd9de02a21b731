package host

import (
	"path/filepath"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

type note struct {
	ID   uint64 `table:"key"`
	Text string
}

var notes = table.Declare[note]("note")

// TestStore keeps a row in a store on an encrypted file.
func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	o := Options{Size: 64 << 20, Key: []byte("secret"), Encrypt: &Encryption{Kind: blockcrypt.Passphrase, Cost: cheap}}
	for round := range uint64(3) {
		s, err := Open(t.Context(), path, o, store.Options{}, notes)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Update(t.Context(), &engine.Op{}, func(tx *table.Tx) error {
			return notes.Insert(tx, &note{round, "text"})
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Check(t.Context(), func(p engine.Problem) { t.Errorf("%+v", p) })
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(t.Context(), func(tx *table.Tx) error {
			for id := range round + 1 {
				if _, err := notes.Get(tx, id); err != nil {
					t.Errorf("row %d: %v", id, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
