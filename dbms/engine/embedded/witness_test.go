package embedded

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// A store whose log has lost its end to damage is refused, unless its owner says
// otherwise; a damaged witness is a problem and no reason to refuse.
func TestWitness(t *testing.T) {
	fs := vfs.NewMem()
	open := func(o Options) (*Engine, error) {
		o.Log = t.Logf
		return Open(fs, "store", o)
	}
	e, err := open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	put := func(tx engine.Tx) error { return tx.Put([]byte("key"), []byte("value")) }
	if _, err := e.Update(t.Context(), &engine.Op{}, put); err != nil {
		t.Fatal(err)
	}
	last := e.last.Load()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w := witnessFile{fs, "store"}
	if seen, err := w.read(); err != nil || seen < last {
		t.Fatalf("closed at %s, the witness says %s, %v", last, seen, err)
	}
	if err := w.write(last + 1000); err != nil { // as if later ones had been lost
		t.Fatal(err)
	}
	if _, err := open(Options{}); !errors.Is(err, engine.ErrCorrupt) {
		t.Fatalf("transactions are missing: %v", err)
	}
	if e, err = open(Options{AcceptLoss: true}); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := fs.OpenReadWrite(w.path(), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff}, 9); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err = open(Options{}); err != nil {
		t.Fatal(err)
	}
	problems := 0
	if err := e.Check(t.Context(), func(engine.Problem) { problems++ }); err != nil || problems != 1 {
		t.Errorf("%d problems, %v", problems, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzWitness(f *testing.F) {
	f.Add(appendWitness(nil, 12345))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseWitness(b)
		if err == nil && string(appendWitness(nil, v)) != string(b) {
			t.Errorf("%x is taken for %s", b, v)
		}
	})
}
