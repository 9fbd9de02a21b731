package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Tables end at both ends of a range that is separated, and behind the present rows.
func TestApart(t *testing.T) {
	var e Engine
	ends := func(first string) string {
		_, end, err := e.apart.policy([]byte(first))
		if err != nil {
			t.Fatal(err)
		}
		return string(end)
	}
	if got := ends("dx"); got != "e" {
		t.Errorf("the present ends at %q", got)
	}
	e.Separate(engine.Range{Low: []byte("m"), High: []byte("n")})
	e.Separate(engine.Range{Low: []byte("m"), High: []byte("n")})
	for _, test := range [][2]string{{"c", "dm"}, {"dm", "dn"}, {"dmx", "dn"}, {"dn", "e"}, {"dz", "e"}, {"h", ""}} {
		if got := ends(test[0]); got != test[1] {
			t.Errorf("a table from %q on ends at %q, want %q", test[0], got, test[1])
		}
	}
}

// Long values lie in files of their own, and short ones beside their keys; no table has
// rows both of a range that is separated and of what is around it. So it is after a
// flush, and after a compaction.
func TestLongValuesApart(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{Memory: MinMemory, NoBackground: true})
	must(t, err)
	defer func() { must(t, e.Close()) }()
	e.Separate(engine.Range{Low: []byte("m"), High: []byte("n")})
	const rows, short, long = 50, 4 << 10, 32 << 10
	_, err = e.Update(t.Context(), nil, func(tx engine.Tx) error {
		for i := range rows {
			err := errors.Join(
				tx.Put(fmt.Appendf(nil, "a%03d", i), incompressible(100)),
				tx.Put(fmt.Appendf(nil, "m%03d", i), incompressible(long)),
				tx.Put(fmt.Appendf(nil, "z%03d", i), incompressible(short)))
			if err != nil {
				return err
			}
		}
		return nil
	})
	must(t, err)
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"flush", e.db.Flush},
		{"compaction", func() error { return e.Compact(t.Context()) }},
	} {
		must(t, c.do())
		m := e.db.Metrics().BlobFiles
		if m.LiveCount == 0 || m.ReferencedValueSize < rows*long || m.ReferencedValueSize > rows*(long+100) {
			t.Errorf("after a %s %d files have values of %d bytes, should be %d",
				c.what, m.LiveCount, m.ReferencedValueSize, rows*long)
		}
		apart, others := presentTables(t, e, []byte("dm"), []byte("dn"))
		if apart == 0 || others == 0 {
			t.Errorf("after a %s %d tables have rows of the range, %d have others", c.what, apart, others)
		}
	}
}

// presentTables counts the tables of present rows, of which each must lie in a range of
// keys or outside of it.
func presentTables(t *testing.T, e *Engine, low, high []byte) (within, outside int) {
	t.Helper()
	levels, err := e.db.SSTables()
	must(t, err)
	for _, s := range slices.Concat(levels...) {
		first, last := s.Smallest.UserKey, s.Largest.UserKey
		switch {
		case last[0] < prefixData, first[0] > prefixData:
		case bytes.Compare(last, low) < 0, bytes.Compare(first, high) >= 0:
			outside++
		case bytes.Compare(first, low) >= 0 && bytes.Compare(last, high) < 0:
			within++
		default:
			t.Errorf("a table has rows from %q to %q", first, last)
		}
	}
	return within, outside
}
