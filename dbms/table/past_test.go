package table

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tuplix/tuplix/dbms/engine"
)

// nullables has a column of each type that may be null.
type nullables struct {
	K uint8 `table:"key"`
	B sql.Null[bool]
	A sql.Null[int8]
	C sql.Null[int16]
	D sql.Null[int32]
	E sql.Null[int64]
	F sql.Null[uint8]
	G sql.Null[uint16]
	H sql.Null[uint32]
	I sql.Null[uint64]
	J sql.Null[float64]
	L sql.Null[decimal.Decimal]
	M sql.Null[string]
	N sql.Null[[]byte]
	O sql.Null[time.Time]
	P sql.Null[time.Duration]
	Q sql.Null[[16]byte]
	R sql.Null[json.RawMessage]
	S sql.Null[meta] `table:"json"`
}

// TestNullables writes each type as null, as its zero and as another value.
func TestNullables(t *testing.T) {
	rows := Declare[nullables]("test.nullable")
	db := openDB(t, rows)
	at := time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC)
	null := nullables{K: 1}
	zero := nullables{K: 2}
	for _, v := range reflect.ValueOf(&zero).Elem().Fields() {
		if valid := v.Kind() == reflect.Struct; valid {
			v.FieldByName("Valid").SetBool(true)
		}
	}
	zero.L.V, zero.N.V, zero.O.V, zero.R.V = decimal.New(0, 0), []byte{}, time.UnixMicro(0).UTC(), json.RawMessage("null")
	full := nullables{K: 3}
	full.B, full.A, full.C, full.D, full.E = some(true), some(int8(-128)), some(int16(-3)), some(int32(1<<30)), some(int64(-1<<62))
	full.F, full.G, full.H, full.I, full.J = some(uint8(255)), some(uint16(65535)), some(uint32(1<<31)), some(uint64(1<<63)), some(-1e300)
	full.L, full.M, full.N, full.O = some(decimal.RequireFromString("-0.001")), some("x\x00y"), some([]byte{0, 255}), some(at)
	full.P, full.Q, full.R, full.S = some(-time.Hour), some([16]byte{15: 1}), some(json.RawMessage(`[1]`)), some(meta{Tags: []string{"a"}})
	all := []nullables{null, zero, full}
	update(t, db, func(tx *Tx) error {
		for i := range all {
			if err := rows.Insert(tx, &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, db, func(tx *Tx) error {
		for _, want := range all {
			got, err := rows.Get(tx, want.K)
			if err != nil {
				return err
			}
			if !got.L.V.Equal(want.L.V) {
				t.Errorf("row %d: decimal %v, want %v", want.K, got.L.V, want.L.V)
			}
			got.L.V = want.L.V
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		}
		return nil
	})
	checkDB(t, db)
}

// keyed is a row whose key has a type.
type keyed[T any] struct {
	Key T `table:"key"`
	Row int
}

// TestKeyTypes has keys of each type that may be one, in their order, forwards and
// backwards.
func TestKeyTypes(t *testing.T) {
	testKeyType(t, false, true)
	testKeyType(t, int8(-128), -1, 0, 127)
	testKeyType(t, int16(-300), 0, 300)
	testKeyType(t, int32(-1<<31), -1, 1<<31-1)
	testKeyType(t, int64(-1<<63), 0, 1<<63-1)
	testKeyType(t, uint8(0), 1, 255)
	testKeyType(t, uint16(0), 256, 65535)
	testKeyType(t, uint32(0), 1<<31)
	testKeyType(t, uint64(0), 1<<63)
	testKeyType(t, -1e300, -1.5, 0, 1e-300, 2)
	testKeyType(t, "", "\x00", "a", "a\x00", "ab", "b")
	testKeyType(t, []byte{}, []byte{0}, []byte{0, 0}, []byte{0, 1}, []byte{255})
	testKeyType(t, [16]byte{}, [16]byte{15: 1}, [16]byte{1})
	testKeyType(t, -time.Hour, 0, time.Microsecond)
	testKeyType(t, time.UnixMicro(-5).UTC(), time.UnixMicro(0).UTC(), time.UnixMicro(1<<50).UTC())
	testKeyType(t, decimal.RequireFromString("-10.5"), decimal.RequireFromString("-1"), decimal.New(0, 0), decimal.RequireFromString("0.001"), decimal.RequireFromString("100"))
}

func testKeyType[T any](t *testing.T, ascending ...T) {
	t.Run(fmt.Sprintf("%T", ascending[0]), func(t *testing.T) {
		rows := Declare[keyed[T]]("test.keyed")
		db := openDB(t, rows)
		update(t, db, func(tx *Tx) error {
			for i := range ascending { // not in their order
				n := (i*7 + 3) % len(ascending)
				if len(ascending) == 7 {
					n = i
				}
				if err := rows.Put(tx, &keyed[T]{ascending[n], n}); err != nil {
					return err
				}
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			for i, k := range ascending {
				if got, err := rows.Get(tx, k); err != nil || got.Row != i || fmt.Sprint(got.Key) != fmt.Sprint(k) {
					t.Errorf("get of %v: %+v, %v", k, got, err)
				}
			}
			for backwards, span := range []Span{{}, Span{}.Reverse()} {
				var order []int
				for row, err := range rows.Scan(tx, span) {
					if err != nil {
						return err
					}
					order = append(order, row.Row)
				}
				if backwards == 1 {
					slices.Reverse(order)
				}
				for i, n := range order {
					if n != i || len(order) != len(ascending) {
						t.Errorf("a scan gives rows %v", order)
						break
					}
				}
			}
			return nil
		})
		checkDB(t, db)
	})
}

// TestGetBatch reads some keys that are there, and some that are not.
func TestGetBatch(t *testing.T) {
	db := openDB(t, files)
	update(t, db, func(tx *Tx) error {
		for i := range 10 {
			if err := files.Insert(tx, &file{Parent: 1, Name: fmt.Sprint(i), Size: int64(i)}); err != nil {
				return err
			}
		}
		return files.Delete(tx, 4)
	})
	read := func(tx *Tx) error {
		var got []string
		err := files.GetBatch(tx, []Key{{9}, {4}, {2}, {99}, {2}, {10}}, func(i int, f file) error {
			got = append(got, fmt.Sprint(i, " ", f.Inode, " ", f.Name))
			return nil
		})
		if want := []string{"0 9 8", "2 2 1", "4 2 1", "5 10 9"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		return err
	}
	view(t, db, read)
	update(t, db, read)
	view(t, db, func(tx *Tx) error {
		stop := fmt.Errorf("enough")
		if err := files.GetBatch(tx, []Key{{1}, {2}}, func(int, file) error { return stop }); err != stop {
			t.Errorf("an error of each: %v", err)
		}
		return nil
	})
}

// TestHistory has a row change, go and come back, and be restored: all versions are
// told, with who and when, and as changes between two versions.
func TestHistory(t *testing.T) {
	db := openDB(t, files)
	as := func(who string, fn func(*Tx) error) engine.Version {
		v, err := db.Update(context.Background(), &engine.Op{User: who, Program: "test", Name: "change", Trace: who == "bob"}, fn)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	begun := time.Now().Add(-time.Second).Truncate(time.Microsecond)
	one := as("ann", func(tx *Tx) error { return files.Insert(tx, &file{Inode: 1, Name: "a", Size: 1}) })
	two := as("bob", func(tx *Tx) error { return files.Update(tx, &file{Inode: 1, Name: "a", Size: 2}) })
	three := as("ann", func(tx *Tx) error { return files.Delete(tx, 1) })
	four := as("eve", func(tx *Tx) error { return files.Restore(tx, Span{}, two) })
	commits := map[engine.Version]engine.Commit{}
	for _, v := range []engine.Version{one, two, three, four} {
		var err error
		if commits[v], err = db.Provenance(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	_, err := db.Provenance(t.Context(), "\xff")
	fails(t, "provenance of what is to come", err, engine.ErrVersion)
	view(t, db, func(tx *Tx) error {
		var got []string
		for p, err := range files.History(tx, 1) {
			if err != nil {
				return err
			}
			c := commits[p.Version]
			if c.Time.Before(begun) || c.Time.After(time.Now().Add(time.Second)) || c.Op.Program != "test" || c.Op.Name != "change" {
				t.Errorf("the commit of a version: %+v", c)
			}
			got = append(got, fmt.Sprintf("%s size=%d deleted=%v hidden=%v", c.Op.User, p.Row.Size, p.Deleted, p.Hidden))
		}
		want := []string{
			"ann size=0 deleted=true hidden=true",
			"bob size=2 deleted=false hidden=false",
			"ann size=1 deleted=false hidden=false",
		}
		if !slices.Equal(got, want) {
			t.Errorf("history:\n\t%q\nwant\n\t%q", got, want)
		}
		got = nil
		for p, err := range files.Changes(tx, Span{}, one) {
			if err != nil {
				return err
			}
			number := slices.Index([]engine.Version{one, two, three, four}, p.Version) + 1
			got = append(got, fmt.Sprintf("%d: size=%d deleted=%v restore=%v", number, p.Row.Size, p.Deleted, p.To == two))
		}
		want = []string{
			"2: size=2 deleted=false restore=false",
			"3: size=0 deleted=true restore=false",
			"4: size=0 deleted=false restore=true",
		}
		if !slices.Equal(got, want) {
			t.Errorf("changes:\n\t%q\nwant\n\t%q", got, want)
		}
		// Where it was asked for, the keys that were read and written are told.
		if keys := commits[two].Keys; len(keys) == 0 || len(commits[one].Keys) != 0 {
			t.Errorf("traced: %q; not traced: %q", keys, commits[one].Keys)
		}
		return nil
	})
	checkDB(t, db)
}
