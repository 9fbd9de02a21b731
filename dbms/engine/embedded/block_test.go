package embedded

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestBlock has records come in runs of like ones, with short and long steps between.
func TestBlock(t *testing.T) {
	like := appendSmall(nil, smallRecord(1, 1, 1))
	var b block
	var want []found
	for i, record := range [][]byte{
		like, like, like, appendSmall(nil, smallRecord(2, 1, 1)), like, like, []byte("long"), []byte("long"), like, {0, 0}, {0, 0}, like, like,
	} {
		v := version(1000 + i)
		if i%3 == 2 {
			v += 1 << (7 * i)
		}
		if n := len(want); n > 0 {
			v += want[n-1].version
		}
		want = append(want, found{v, record})
		b.add(v, record)
	}
	var got []found
	must(t, parseBlock(b.bytes, func(v version, record []byte) error {
		got = append(got, found{v, record})
		return nil
	}))
	if !slices.EqualFunc(got, want, func(a, b found) bool {
		return a.version == b.version && string(a.record) == string(b.record)
	}) {
		t.Errorf("%v\nis read as %v", want, got)
	}
	// The first of a block has none before it.
	if err := parseBlock([]byte{blockFormat, 5, 0}, func(version, []byte) error { return nil }); !errors.Is(err, errBlock) {
		t.Errorf("a block that begins with a repetition: %v", err)
	}
}

// TestAuthors has transactions fail that would have given their authors numbers, between
// others of more authors than small records have numbers for.
func TestAuthors(t *testing.T) {
	fs := vfs.NewMem()
	e, err := Open(fs, "store", Options{NoBackground: true})
	must(t, err)
	no := errors.New("no")
	var want []string
	for i := range 600 {
		name := fmt.Sprint("name ", i%300)
		_, err := e.Update(ctx, &engine.Op{Name: "fails " + name}, func(tx engine.Tx) error {
			must(t, tx.Put([]byte("key"), nil))
			return no
		})
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		_, err = e.Update(ctx, &engine.Op{Name: name}, func(tx engine.Tx) error {
			tx.Count(i%10, i%20)
			return tx.Put([]byte("key"), nil)
		})
		must(t, err)
		want = append(want, fmt.Sprint(name, i%10, i%20))
	}
	for _, opened := range []string{"running", "opened again"} {
		var got []string
		must(t, e.View(ctx, "", func(r engine.Reader) error {
			for c, err := range r.Commits("", false) {
				must(t, err)
				if c.Op.Name != "" {
					got = append(got, fmt.Sprint(c.Op.Name, c.RowsRead, c.RowsWritten))
				}
			}
			return nil
		}))
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q", opened, got)
		}
		must(t, e.Check(ctx, func(p engine.Problem) { t.Error(p) }))
		must(t, e.Close())
		e, err = Open(fs, "store", Options{NoBackground: true})
		must(t, err)
	}
	must(t, e.Close())
}
