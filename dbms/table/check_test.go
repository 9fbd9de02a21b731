package table

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// TestCheckFinds damages a store in each way that Check knows, and sees that it
// is named.
func TestCheckFinds(t *testing.T) {
	s := func(tx *Tx) *schema { return tx.cat.names["files"] }
	rowKey := func(tx *Tx, n int) []byte {
		k, err := s(tx).dynamic.rowKey(nil, []any{n})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	entry := func(tx *Tx, index string, n int) []byte {
		b := s(tx).dynamic
		row := dynamicRow(make([]Value, len(b.cols)))
		if _, err := b.read(tx, row, rowKey(tx, n)); err != nil {
			t.Fatal(err)
		}
		e, err := b.entryOf(nil, b.index(index), row, rowKey(tx, n))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, c := range []struct {
		name   string
		damage func(tx *Tx) error
		want   []string
	}{
		{"nothing", func(*Tx) error { return nil }, nil},
		{"an entry is gone", func(tx *Tx) error { return tx.raw.Delete(entry(tx, "by_name", 2)) },
			[]string{"row 2: index by_name has no entry", "4 entries for 5 rows"}},
		{"an entry is of another row", func(tx *Tx) error { return tx.raw.Put(entry(tx, "by_name", 2), []byte{3}) },
			[]string{"row 2: index by_name has its entry for another row", "row 3: index by_name has an entry for it that it should not have"}},
		{"a row is gone", func(tx *Tx) error { return tx.raw.Delete(rowKey(tx, 4)) },
			[]string{"row 4: index by_name has an entry for it, but there is no such row", "row 4: index by_size", "5 entries for 4 rows"}},
		{"an entry too many", func(tx *Tx) error {
			return tx.raw.Put(append(entry(tx, "by_size", 3), 0), nil)
		}, []string{"index by_size"}},
		{"a row does not decode", func(tx *Tx) error { return tx.raw.Put(rowKey(tx, 1), []byte{9, 9, 9}) },
			[]string{"table files, row 1: stored data is damaged"}},
		{"a check is false", func(tx *Tx) error {
			return rewrite(t, tx, s(tx), rowKey(tx, 3), 3, -7)
		}, []string{"row 3: check size_valid (size >= 0) is false", "row 3: index by_size has an entry for it that it should not have"}},
		{"two rows have what is unique", func(tx *Tx) error {
			return rewrite(t, tx, s(tx), rowKey(tx, 3), 2, "1")
		}, []string{"row 3: index by_name has its entry for another row"}},
		{"a key of no table", func(tx *Tx) error { return tx.raw.Put([]byte{200, 1}, nil) }, []string{"key c801: it belongs to no table"}},
	} {
		db := openDB(t, files)
		update(t, db, func(tx *Tx) error {
			for i := range 5 {
				f := &file{Parent: 1, Name: fmt.Sprint(i), Size: 200, Kind: sql.Null[string]{}}
				if err := files.Insert(tx, f); err != nil {
					return err
				}
			}
			return nil
		})
		update(t, db, func(tx *Tx) error {
			if _, err := tx.catalog(); err != nil {
				return err
			}
			return c.damage(tx)
		})
		var found []string
		view(t, db, func(tx *Tx) error {
			return tx.Check(func(p engine.Problem) { found = append(found, p.Where+": "+p.What) })
		})
		all := strings.Join(found, "\n")
		if (len(c.want) == 0) != (len(found) == 0) {
			t.Errorf("%s: found %q", c.name, found)
		}
		for _, want := range c.want {
			if !strings.Contains(all, want) {
				t.Errorf("%s: %q does not say %q", c.name, found, want)
			}
		}
	}
}

// rewrite changes a column of a stored row, behind the back of indexes, checks and
// references.
func rewrite(t *testing.T, tx *Tx, s *schema, key []byte, column int, to any) error {
	b := s.dynamic
	row := make([]Value, len(b.cols))
	if _, err := b.read(tx, dynamicRow(row), key); err != nil {
		return err
	}
	row[column] = valueOf(t, to)
	var e encoder
	v, err := e.encode(b, dynamicRow(row))
	if err != nil {
		return err
	}
	return tx.raw.Put(key, v)
}

// TestCheckFindsReferences removes a row that others refer to, and one of those.
func TestCheckFindsReferences(t *testing.T) {
	type owner struct {
		ID int64 `table:"key"`
	}
	type owned struct {
		ID    int64 `table:"key"`
		Owner int64
	}
	owners := Declare[owner]("owners")
	things := Declare[owned]("things").Refer("of", owners, "owner")
	things.Index("by_owner", "owner")
	db := openDB(t, owners, things)
	update(t, db, func(tx *Tx) error {
		for id := range int64(3) {
			if err := owners.Insert(tx, &owner{id}); err != nil {
				return err
			}
			if err := things.Insert(tx, &owned{10 + id, id}); err != nil {
				return err
			}
		}
		return nil
	})
	checkDB(t, db)
	update(t, db, func(tx *Tx) error {
		cat, err := tx.catalog()
		if err != nil {
			return err
		}
		k, err := cat.names["owners"].dynamic.rowKey(nil, []any{int64(1)})
		if err != nil {
			return err
		}
		return tx.raw.Delete(k)
	})
	var found []string
	view(t, db, func(tx *Tx) error {
		return tx.Check(func(p engine.Problem) { found = append(found, p.Where+": "+p.What) })
	})
	if len(found) != 1 || !strings.Contains(found[0], "table things, row 11: ") {
		t.Errorf("found %q", found)
	}
}

func valueOf(t *testing.T, x any) Value {
	v, err := value.Of(x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
