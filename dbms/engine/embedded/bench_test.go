package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// The benchmarks hold the engine against raw Pebble with the same options, in the
// same run: for every X there is X/raw.

var (
	benchRows = flag.Int("bench.rows", 1_000_000, "rows that the benchmarks work on")
	ctx       = context.Background()
	benchOp   = &engine.Op{User: "ann", Program: "bench", Task: "t17", Name: "set balance", NoWait: true}
)

const benchMemory = 1 << 30

func benchKey(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint64(append(b[:0], "row/"...), uint64(n)*0x9e3779b97f4a7c15>>20)
}

func benchValue(n int) []byte {
	v := make([]byte, 88)
	for i := range v {
		v[i] = byte("abcdefghijklmnop"[(n>>(i%24)+i)&15])
	}
	return v
}

// benchStores are filled once and kept for all benchmarks that only read.
var benchStores struct {
	sync.Once
	raw    *pebble.DB
	engine *Engine
	early  engine.Version
}

func filled(b *testing.B) (*pebble.DB, *Engine) {
	s := &benchStores
	s.Do(func() {
		s.raw = openRaw(b, vfs.NewMem())
		s.engine = openBench(b, vfs.NewMem())
		fillRaw(b, s.raw, *benchRows)
		s.early = fillEngine(b, s.engine, *benchRows)
	})
	b.ResetTimer()
	b.ReportAllocs()
	return s.raw, s.engine
}

var benchMemTable = flag.Int("bench.memtable", 0, "bytes of a memtable, 0 for what the options give")

func benchOptions() Options {
	return Options{Memory: benchMemory, tune: func(p *pebble.Options) {
		if *benchMemTable > 0 {
			p.MemTableSize = uint64(*benchMemTable)
		}
	}}
}

func openRaw(b testing.TB, fs vfs.FS) *pebble.DB {
	o := benchOptions()
	o.fill()
	p := pebbleOptions(fs, &o)
	p.BlockPropertyCollectors = nil
	p.Logger = pebbleLogger{&Engine{opts: o}}
	db, err := pebble.Open("raw", p)
	if err != nil {
		b.Fatal(err)
	}
	return db
}

func openBench(b testing.TB, fs vfs.FS) *Engine {
	e, err := Open(fs, "store", benchOptions())
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func fillRaw(b testing.TB, db *pebble.DB, rows int) {
	for n := 0; n < rows; {
		batch := db.NewBatch()
		for end := min(n+1000, rows); n < end; n++ {
			must(b, batch.Set(benchKey(nil, n), benchValue(n), nil))
		}
		must(b, batch.Commit(pebble.NoSync))
	}
	must(b, db.Flush())
	must(b, db.Compact(ctx, []byte{0}, []byte{0xff}, false))
}

func fillEngine(b testing.TB, e *Engine, rows int) (last engine.Version) {
	for n := 0; n < rows; {
		var err error
		last, err = e.Update(ctx, benchOp, func(tx engine.Tx) error {
			for end := min(n+1000, rows); n < end; n++ {
				if err := tx.Put(benchKey(nil, n), benchValue(n)); err != nil {
					return err
				}
			}
			return nil
		})
		must(b, err)
	}
	must(b, e.db.Flush())
	must(b, e.db.Compact(ctx, []byte{0}, []byte{0xff}, false))
	return last
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func rawGet(b *testing.B, db *pebble.DB, key []byte) {
	_, c, err := db.Get(key)
	if err != nil {
		b.Fatal(err)
	}
	must(b, c.Close())
}

func BenchmarkGet(b *testing.B) {
	raw, e := filled(b)
	newest := e.last.Load().external()
	b.Run("raw", func(b *testing.B) {
		rng, key := rand.New(rand.NewPCG(1, 1)), []byte(nil)
		b.ReportAllocs()
		for b.Loop() {
			key = benchKey(key, rng.IntN(*benchRows))
			rawGet(b, raw, key)
		}
	})
	view := func(at engine.Version) func(*testing.B) {
		return func(b *testing.B) {
			rng, key := rand.New(rand.NewPCG(1, 1)), []byte(nil)
			get := func(r engine.Reader) error {
				_, found, err := r.Get(key)
				if !found {
					b.Fatal("not found")
				}
				return err
			}
			b.ReportAllocs()
			for b.Loop() {
				key = benchKey(key, rng.IntN(*benchRows))
				must(b, e.View(ctx, at, get))
			}
		}
	}
	b.Run("view", view(""))
	// Something is committed, so that the version below is of the past.
	_, err := e.Update(ctx, benchOp, func(tx engine.Tx) error { return tx.Put([]byte("other"), nil) })
	must(b, err)
	b.Run("viewAt", view(newest))
}

func BenchmarkScan(b *testing.B) {
	raw, e := filled(b)
	const rows = 100_000
	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			it, err := raw.NewIter(nil)
			must(b, err)
			n, size := 0, 0
			for ok := it.First(); ok && n < rows; ok = it.Next() {
				n, size = n+1, size+len(it.Value())
			}
			must(b, it.Close())
		}
	})
	scan := func(at engine.Version) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				must(b, e.View(ctx, at, func(r engine.Reader) error {
					c := r.Scan(engine.PrefixRange([]byte("row/")), engine.ScanOptions{})
					n, size := 0, 0
					for n < rows && c.Next() {
						n, size = n+1, size+len(c.Value())
					}
					return c.Close()
				}))
			}
		}
	}
	b.Run("view", scan(""))
	newest := e.last.Load().external()
	_, err := e.Update(ctx, benchOp, func(tx engine.Tx) error { return tx.Put([]byte("other"), nil) })
	must(b, err)
	b.Run("viewAt", scan(newest))
	newest = e.last.Load().external()
	for n := 0; n < *benchRows; {
		_, err := e.Update(ctx, benchOp, func(tx engine.Tx) error {
			for end := n + 10_000; n < end; n += 10 {
				must(b, tx.Put(benchKey(nil, n), benchValue(n)))
			}
			return nil
		})
		must(b, err)
	}
	b.Run("tenth changed/view", scan(""))
	b.Run("tenth changed/viewAt", scan(newest))
	must(b, e.Compact(ctx))
	b.Run("compacted/view", scan(""))
	b.Run("compacted/viewAt", scan(newest))
}

// BenchmarkQueue is a transaction that adds a row at the tail of a queue and one
// that takes the row at its head.
func BenchmarkQueue(b *testing.B) {
	for _, q := range []struct{ queued, taken int }{{1000, 0}, {*benchRows, 0}, {1000, *benchRows}} {
		b.Run(fmt.Sprintf("%d after %d", q.queued, q.taken), func(b *testing.B) {
			e := openBench(b, vfs.NewMem())
			tail, value := 0, benchValue(1)
			put := func(tx engine.Tx) error { tail++; return tx.Put(queueKey(tail), value) }
			many := func(n int, fn func(tx engine.Tx) error) {
				for done := 0; done < n; {
					_, err := e.Update(ctx, benchOp, func(tx engine.Tx) (err error) {
						for end := done + 1000; done < end && err == nil; done++ {
							err = fn(tx)
						}
						return err
					})
					must(b, err)
				}
			}
			many(q.queued, put)
			head := 0
			many(q.taken, put)
			many(q.taken, func(tx engine.Tx) error { head++; return tx.Delete(queueKey(head)) })
			b.ReportAllocs()
			for b.Loop() {
				_, err := e.Update(ctx, benchOp, put)
				must(b, err)
				_, err = e.Update(ctx, benchOp, takeHead)
				must(b, err)
			}
			must(b, e.Close())
		})
	}
}

// takeHead deletes the first row of the queue.
func takeHead(tx engine.Tx) error {
	c := tx.Scan(engine.PrefixRange([]byte("q")), engine.ScanOptions{Limit: 1})
	if !c.Next() {
		return errors.Join(c.Err(), errRow)
	}
	key := bytes.Clone(c.Key())
	if err := c.Close(); err != nil {
		return err
	}
	return tx.Delete(key)
}

// BenchmarkWrite is one row per transaction, not synced. "insert" writes new
// keys, "replace" existing ones that it has not read, "procedure" reads the row
// that it writes.
func BenchmarkWrite(b *testing.B) {
	for _, kind := range []string{"insert", "replace"} {
		b.Run("raw/"+kind, func(b *testing.B) {
			db := openRaw(b, vfs.NewMem())
			fillRaw(b, db, *benchRows/10)
			key, value, at := []byte(nil), benchValue(1), writeOrder(kind)
			b.ReportAllocs()
			for b.Loop() {
				key = benchKey(key, at())
				batch := db.NewBatch()
				must(b, batch.Set(key, value, nil))
				must(b, batch.Commit(pebble.NoSync))
				must(b, batch.Close())
			}
			must(b, db.Close())
		})
	}
	for _, kind := range []string{"insert", "replace", "procedure", "bare insert", "bare procedure"} {
		b.Run(kind, func(b *testing.B) {
			e := openBench(b, vfs.NewMem())
			fillEngine(b, e, *benchRows/10)
			e.bare = kind == "bare insert" || kind == "bare procedure"
			read := kind == "procedure" || kind == "bare procedure"
			key, value, at := []byte(nil), benchValue(1), writeOrder(kind)
			put := func(tx engine.Tx) error {
				if read {
					if _, _, err := tx.Get(key); err != nil {
						return err
					}
				}
				tx.Count(1, 1)
				return tx.Put(key, value)
			}
			b.ReportAllocs()
			for b.Loop() {
				key = benchKey(key, at())
				_, err := e.Update(ctx, benchOp, put)
				must(b, err)
			}
			must(b, e.Close())
		})
	}
}

func writeOrder(kind string) func() int {
	rng, n := rand.New(rand.NewPCG(1, 1)), *benchRows
	if kind == "insert" || kind == "bare insert" {
		return func() int { n++; return n }
	}
	return func() int { return rng.IntN(*benchRows / 10) }
}

// BenchmarkOld is a read of the newest of a key's versions, of which there are
// one or a hundred.
func BenchmarkOld(b *testing.B) {
	const rows = 10_000
	for _, versions := range []int{1, 100} {
		b.Run(fmt.Sprint(versions), func(b *testing.B) {
			e := openBench(b, vfs.NewMem())
			for range versions {
				fillOld(b, e, rows)
			}
			must(b, e.db.Flush())
			must(b, e.db.Compact(ctx, []byte{0}, []byte{0xff}, false))
			rng, key := rand.New(rand.NewPCG(1, 1)), []byte(nil)
			get := func(r engine.Reader) error { _, _, err := r.Get(key); return err }
			for b.Loop() {
				key = benchKey(key, rng.IntN(rows))
				must(b, e.View(ctx, "", get))
			}
			must(b, e.Close())
		})
	}
}

// BenchmarkPast reads rows that were replaced a hundred times: the newest, and
// what they were after half of that.
func BenchmarkPast(b *testing.B) {
	const rows, versions = 20_000, 100
	e := openBench(b, vfs.NewMem())
	halfway := engine.Version("")
	for i := range versions {
		fillOld(b, e, rows)
		if i == versions/2 {
			halfway = e.last.Load().external()
		}
	}
	must(b, e.db.Flush())
	must(b, e.db.Compact(ctx, []byte{0}, []byte{0xff}, false))
	rng, key := rand.New(rand.NewPCG(1, 1)), []byte(nil)
	get := func(r engine.Reader) error {
		_, found, err := r.Get(key)
		if !found {
			b.Fatal("not found")
		}
		return err
	}
	for _, at := range []struct {
		name    string
		version engine.Version
	}{{"newest", ""}, {"halfway", halfway}} {
		b.Run(at.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				key = benchKey(key, rng.IntN(rows))
				must(b, e.View(ctx, at.version, get))
			}
		})
	}
	must(b, e.Close())
}

func fillOld(b *testing.B, e *Engine, rows int) {
	for n := 0; n < rows; {
		_, err := e.Update(ctx, benchOp, func(tx engine.Tx) error {
			for end := n + 1000; n < end; n++ {
				if err := tx.Put(benchKey(nil, n), benchValue(n)); err != nil {
					return err
				}
			}
			return nil
		})
		must(b, err)
	}
}

// BenchmarkSync is 64 clients, each of which waits for its commit to be durable.
// It needs a file system that syncs: -test.benchtime 2s in a directory of a disk.
func BenchmarkSync(b *testing.B) {
	b.Run("raw", func(b *testing.B) {
		fs := vfs.Default
		o := benchOptions()
		o.fill()
		p := pebbleOptions(fs, &o)
		p.Logger = pebbleLogger{&Engine{opts: o}}
		db, err := pebble.Open(b.TempDir(), p)
		must(b, err)
		clients(b, func(key []byte) {
			must(b, db.Set(key, key, pebble.Sync))
		})
		must(b, db.Close())
	})
	b.Run("engine", func(b *testing.B) {
		e, err := Open(vfs.Default, b.TempDir(), benchOptions())
		must(b, err)
		op := *benchOp
		op.NoWait = false
		clients(b, func(key []byte) {
			_, err := e.Update(ctx, &op, func(tx engine.Tx) error { return tx.Put(key, key) })
			must(b, err)
		})
		must(b, e.Close())
	})
}

func clients(b *testing.B, commit func(key []byte)) {
	const n = 64
	per := max(b.N/n, 1)
	b.ResetTimer()
	var wg sync.WaitGroup
	for c := range n {
		wg.Go(func() {
			for i := range per {
				commit(benchKey(nil, c<<32|i))
			}
		})
	}
	wg.Wait()
}

// BenchmarkRestore is a restore of so many rows, all of which were changed.
func BenchmarkRestore(b *testing.B) {
	for _, rows := range []int{1000, 100_000, 1_000_000} {
		if rows > *benchRows {
			continue
		}
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			e := openBench(b, vfs.NewMem())
			e.background.stop()
			v := fillEngine(b, e, rows)
			fillEngine(b, e, rows)
			for b.Loop() {
				_, err := e.Update(ctx, &engine.Op{}, func(tx engine.Tx) error { return tx.Restore(engine.All, v) })
				must(b, err)
			}
			must(b, e.Close())
		})
	}
}
