package table

import (
	"context"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
)

// benchRow is about 100 bytes.
type benchRow struct {
	ID      uint64 `table:"key"`
	Parent  uint64
	Name    string
	Size    int64
	Mode    uint32
	Mtime   time.Time
	Ctime   time.Time
	Digest  [16]byte
	Comment string
	Hidden  bool
}

var (
	benchPlain   = Declare[benchRow]("bench.plain")
	benchIndexed = Declare[benchRow]("bench.indexed")
	benchByName  = benchIndexed.Unique("by_name", "parent", "name")
)

const benchRows = 10_000

func newBenchRow(i int) *benchRow {
	at := time.UnixMicro(1_700_000_000_000_000 + int64(i)).UTC()
	return &benchRow{ID: uint64(i), Parent: uint64(i / 100), Name: fmt.Sprintf("file-%08d.txt", i), Size: int64(i) * 1000, Mode: 0o644,
		Mtime: at, Ctime: at, Digest: [16]byte{byte(i)}, Comment: "a comment of some forty bytes, as they are"}
}

func benchDB(b *testing.B) *DB {
	e, err := embedded.Open(vfs.NewMem(), "store", embedded.Options{NoBackground: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	db := openOn(b, alone{e}, benchPlain, benchIndexed)
	update(b, db, func(tx *Tx) error {
		for i := range benchRows {
			if err := benchPlain.Insert(tx, newBenchRow(i)); err != nil {
				return err
			}
			if err := benchIndexed.Insert(tx, newBenchRow(i)); err != nil {
				return err
			}
		}
		return nil
	})
	return db
}

func BenchmarkGet(b *testing.B) {
	db := benchDB(b)
	view(b, db, func(tx *Tx) error {
		if _, err := benchPlain.Get(tx, 1); err != nil {
			return err
		}
		bound, err := tx.bind(benchPlain.decl)
		if err != nil {
			return err
		}
		b.Run("raw", func(b *testing.B) {
			b.ReportAllocs()
			k := make([]byte, 0, 20)
			for i := range b.N {
				k, _ = bound.rowKey(k[:0], []any{uint64(i*7919) % benchRows})
				if _, found, err := tx.raw.Get(k); !found || err != nil {
					b.Fatal(found, err)
				}
			}
		})
		b.Run("table", func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if _, err := benchPlain.Get(tx, uint64(i*7919)%benchRows); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("unique", func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				n := i * 7919 % benchRows
				if _, err := benchByName.Get(tx, uint64(n/100), "file-00000000.txt"); err != nil && n < 100 {
					b.Fatal(err)
				}
			}
		})
		return nil
	})
}

func BenchmarkScan(b *testing.B) {
	db := benchDB(b)
	view(b, db, func(tx *Tx) error {
		bound, err := tx.bind(benchPlain.decl)
		if err != nil {
			return err
		}
		b.Run("raw", func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; n < b.N; {
				c := tx.raw.Scan(bound.rows(), engine.ScanOptions{})
				for ; n < b.N && c.Next(); n++ {
					if len(c.Key())+len(c.Value()) == 0 {
						b.Fatal("an empty row")
					}
				}
				if err := c.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, scan := range []struct {
			name string
			rows func(func(benchRow, error) bool)
		}{{"table", benchPlain.Scan(tx, Span{})}, {"index", benchByName.Scan(tx, Span{})}} {
			b.Run(scan.name, func(b *testing.B) {
				b.ReportAllocs()
				for n := 0; n < b.N; {
					for _, err := range scan.rows {
						if err != nil {
							b.Fatal(err)
						}
						if n++; n == b.N {
							break
						}
					}
				}
			})
		}
		return nil
	})
}

func BenchmarkWrite(b *testing.B) {
	db := benchDB(b)
	nowait := &engine.Op{NoWait: true}
	bind := func(tx *Tx) *binding {
		bound, err := tx.bind(benchPlain.decl)
		if err != nil {
			b.Fatal(err)
		}
		return bound
	}
	run := func(name string, fn func(tx *Tx, i int) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				_, err := db.Update(context.Background(), nowait, func(tx *Tx) error { return fn(tx, i) })
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	row, e, k, next := newBenchRow(1), encoder{}, []byte(nil), 1_000_000
	rawPut := func(tx *Tx, i int, get bool) (err error) {
		bound := bind(tx)
		row.ID = uint64(i*7919) % benchRows
		k, _ = bound.appendParts(append(k[:0], bound.prefix...), unsafe.Pointer(row), bound.parts)
		v, err := e.encode(bound, unsafe.Pointer(row))
		if err == nil && get {
			_, _, err = tx.raw.Get(k)
		}
		if err != nil {
			return err
		}
		return tx.raw.Put(k, v)
	}
	run("raw put", func(tx *Tx, i int) error { return rawPut(tx, i, false) })
	run("raw get put", func(tx *Tx, i int) error { return rawPut(tx, i, true) })
	run("put", func(tx *Tx, i int) error {
		row.ID = uint64(i*7919) % benchRows
		return benchPlain.Put(tx, row)
	})
	run("update", func(tx *Tx, i int) error {
		row.ID = uint64(i*7919) % benchRows
		return benchPlain.Update(tx, row)
	})
	run("insert", func(tx *Tx, _ int) error {
		next++
		row.ID = uint64(next)
		return benchPlain.Insert(tx, row)
	})
	run("update indexed, entry unchanged", func(tx *Tx, i int) error {
		row := newBenchRow(i * 7919 % benchRows)
		row.Size = int64(i)
		return benchIndexed.Update(tx, row)
	})
}

func BenchmarkCodec(b *testing.B) {
	def, err := benchPlain.Definition()
	if err != nil {
		b.Fatal(err)
	}
	s := newSchema(100, 1, def)
	if err := s.prepare(); err != nil {
		b.Fatal(err)
	}
	bound, err := s.bindingOf(benchPlain.decl)
	if err != nil {
		b.Fatal(err)
	}
	row, e := newBenchRow(77777), encoder{}
	k, _ := bound.appendParts(nil, unsafe.Pointer(row), bound.parts)
	v, _ := e.encode(bound, unsafe.Pointer(row))
	b.Run("encode", func(b *testing.B) {
		b.ReportMetric(float64(len(v)), "bytes")
		for range b.N {
			_, _ = e.encode(bound, unsafe.Pointer(row))
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if err := bound.decode(unsafe.Pointer(row), k, v, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
