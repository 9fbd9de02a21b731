package table

import (
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

type meta struct {
	Tags  []string
	Extra map[string]int `json:",omitempty"`
}

type everything struct {
	A       uint32    `table:"key"`
	B       string    `table:"key"`
	C       time.Time `table:"key,desc"`
	Bool    bool
	I8      int8
	I16     int16
	I       int
	U8      uint8
	U16     uint16
	U64     uint64
	F       float64
	Dec     decimal.Decimal
	S       string
	Bin     []byte
	T       time.Time
	D       time.Duration
	ID      [16]byte
	Raw     json.RawMessage
	Meta    meta `table:"json"`
	NS      sql.Null[string]
	NT      sql.Null[time.Time]
	ND      sql.Null[decimal.Decimal]
	NJ      sql.Null[meta] `table:"json"`
	Ignored int            `table:"-"`
	Base
}

// Base adds its fields to another struct.
type Base struct{ Owner string }

var everythings = Declare[everything]("test.everything")

func example() everything {
	at := time.Date(2026, 11, 21, 1, 2, 3, 4000, time.UTC)
	return everything{A: 1, B: "b\x00", C: at, Bool: true, I8: -8, I16: 1600, I: -1 << 40, U8: 255, U16: 65535, U64: 1 << 63, F: -1.5,
		Dec: decimal.RequireFromString("-12.5"), S: "text", Bin: []byte{0, 1}, T: at.Add(time.Hour), D: -time.Second, ID: [16]byte{1, 15: 2},
		Raw: json.RawMessage(`{"x":1}`), Meta: meta{Tags: []string{"a"}}, NS: sql.Null[string]{V: "n", Valid: true},
		NJ: sql.Null[meta]{V: meta{Extra: map[string]int{"k": 1}}, Valid: true}, Base: Base{Owner: "me"}}
}

func TestRoundTrip(t *testing.T) {
	db := openDB(t, everythings)
	want := example()
	update(t, db, func(tx *Tx) error { return everythings.Insert(tx, &want) })
	view(t, db, func(tx *Tx) error {
		got, err := everythings.Get(tx, want.A, want.B, want.C)
		if !got.Dec.Equal(want.Dec) {
			t.Errorf("decimal %v", got.Dec)
		}
		got.Dec = want.Dec
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		return err
	})
	view(t, db, func(tx *Tx) error {
		got, err := everythings.Peek(tx, want.A, want.B, want.C)
		if got.Dec = want.Dec; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("peek gives %+v, %v\nwant %+v", got, err, want)
		}
		_, err = everythings.Get(tx, 2, "", time.Now())
		fails(t, "get of no row", err, ErrNotFound)
		if err.Error()[:22] != "test.everything (2, ''" {
			t.Error(err)
		}
		return nil
	})
	checkDB(t, db)
}

type file struct {
	Inode  uint64 `table:"key,auto"`
	Parent uint64
	Name   string
	Size   int64
	Kind   sql.Null[string]
}

var (
	files  = Declare[file]("files").Check("size_valid", "size >= 0")
	byName = files.Unique("by_name", "parent", "name")
	bySize = files.Index("by_size", "size desc", "name").Where("size > 100")
	byKind = files.Unique("by_kind", "kind")
)

func names(t *testing.T, rows func(func(file, error) bool)) (out []string) {
	t.Helper()
	for f, err := range rows {
		if err != nil {
			t.Error(err)
			break
		}
		out = append(out, f.Name)
	}
	return out
}

func wantNames(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestIndexes(t *testing.T) {
	db := openDB(t, files)
	update(t, db, func(tx *Tx) error {
		for i, name := range []string{"c", "a", "b", "d"} {
			f := file{Parent: 1, Name: name, Size: int64(i * 100)}
			if err := files.Insert(tx, &f); err != nil {
				return err
			}
			if f.Inode != uint64(i+1) {
				t.Errorf("inode %d", f.Inode)
			}
		}
		return nil
	})
	update(t, db, func(tx *Tx) error {
		fails(t, "same key", files.Insert(tx, &file{Inode: 1}), ErrExists)
		fails(t, "same name", files.Insert(tx, &file{Inode: 9, Parent: 1, Name: "a"}), ErrUnique)
		fails(t, "negative", files.Put(tx, &file{Inode: 9, Parent: 1, Name: "x", Size: -1}), ErrCheck)
		fails(t, "no row", files.Update(tx, &file{Inode: 99}), ErrNotFound)
		fails(t, "no row", files.Delete(tx, 99), ErrNotFound)
		wantNames(t, "all", names(t, files.Scan(tx, Span{})), "c", "a", "b", "d")
		wantNames(t, "by name", names(t, byName.Scan(tx, Prefix(1))), "a", "b", "c", "d")
		wantNames(t, "from b to d", names(t, byName.Scan(tx, From(1, "b").To(1, "d"))), "b", "c")
		wantNames(t, "after b through d", names(t, byName.Scan(tx, After(1, "b").Through(1, "d"))), "c", "d")
		wantNames(t, "reverse", names(t, byName.Scan(tx, Prefix(1).Reverse().Limit(3))), "d", "c", "b")
		wantNames(t, "by size", names(t, bySize.Scan(tx, Span{})), "d", "b")
		wantNames(t, "larger", names(t, bySize.Scan(tx, To(300))))
		f, err := byName.Get(tx, 1, "b")
		if err != nil || f.Inode != 3 {
			t.Errorf("%+v, %v", f, err)
		}
		f.Name, f.Size, f.Kind = "z", 500, sql.Null[string]{V: "k", Valid: true}
		return files.Update(tx, &f)
	})
	view(t, db, func(tx *Tx) error {
		wantNames(t, "by name", names(t, byName.Scan(tx, Prefix(1))), "a", "c", "d", "z")
		wantNames(t, "by size", names(t, bySize.Scan(tx, Span{})), "z", "d")
		wantNames(t, "by kind", names(t, byKind.Scan(tx, Prefix("k"))), "z")
		_, err := byName.Get(tx, 1, "b")
		fails(t, "old name", err, ErrNotFound)
		var e *Error
		if !errors.As(err, &e) || e.Table != "files" || e.Constraint != "by_name" || keyText(e.Key) != "1, 'b'" {
			t.Errorf("%+v", e)
		}
		return nil
	})
	checkDB(t, db)
}

// A map that is kept as JSON comes back as it was, nil or empty.
func TestMaps(t *testing.T) {
	type row struct {
		ID uint8          `table:"key"`
		M  map[string]int `table:"json"`
	}
	rows := Declare[row]("maps")
	db := openDB(t, rows)
	for i, want := range []map[string]int{nil, {}, {"a": 1}} {
		update(t, db, func(tx *Tx) error { return rows.Put(tx, &row{ID: 1, M: want}) })
		view(t, db, func(tx *Tx) error {
			got, err := rows.Get(tx, uint8(1))
			if (got.M == nil) != (want == nil) || !maps.Equal(got.M, want) {
				t.Errorf("%d: %v came back as %v", i, want, got.M)
			}
			values, rerr := tx.Rows("maps")
			if rerr == nil {
				var v []Value
				v, rerr = values.Get("", 1)
				text, _ := json.Marshal(want)
				if rerr == nil && v[1].Text() != string(text) {
					t.Errorf("%d: %v is stored as %s", i, want, v[1].Text())
				}
			}
			return errors.Join(err, rerr)
		})
	}
}
