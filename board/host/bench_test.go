package host

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
)

// The rows of the benchmark are many times what its store may cache, and random,
// so that nothing is compressed.
const (
	benchRows  = 400_000
	benchValue = 200 // bytes
)

// BenchmarkEncryption is what encryption costs a store: synced commits of one row
// and of 100, point reads that miss its cache, and scans, on a file and on an
// encrypted one. The file is in the host's page cache, so reads do not wait for a
// disk.
func BenchmarkEncryption(b *testing.B) {
	for name, o := range map[string]Options{
		"plain":     {Size: 1 << 30},
		"encrypted": {Size: 1 << 30, Key: []byte("x"), Encrypt: &Encryption{Kind: blockcrypt.Passphrase, Cost: cheap}},
	} {
		v, err := OpenVolume(filepath.Join(b.TempDir(), "disk"), o)
		check(b, err)
		e, err := store.OpenEngine(v, store.Options{Options: embedded.Options{Memory: embedded.MinMemory}})
		check(b, err)
		rng := rand.New(rand.NewPCG(1, 2))
		for n := 0; n < benchRows; n += 1000 {
			put(b, e, rng, n, 1000, true)
		}
		check(b, e.Sync(b.Context(), ""))
		b.Run("get/"+name, func(b *testing.B) { benchGet(b, e, rng) })
		b.Run("scan/"+name, func(b *testing.B) { benchScan(b, e) })
		for _, rows := range []int{1, 100} {
			b.Run(map[int]string{1: "commit/", 100: "commit100/"}[rows]+name, func(b *testing.B) {
				for n := benchRows; b.Loop(); n += rows {
					put(b, e, rng, n, rows, false)
				}
			})
		}
		check(b, e.Close())
		check(b, v.Close())
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func benchKey(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func put(b *testing.B, e engine.Engine, rng *rand.Rand, from, rows int, noWait bool) {
	_, err := e.Update(context.Background(), &engine.Op{NoWait: noWait}, func(tx engine.Tx) error {
		value := make([]byte, benchValue)
		for n := range rows {
			for i := 0; i < benchValue; i += 8 {
				binary.NativeEndian.PutUint64(value[i:], rng.Uint64())
			}
			if err := tx.Put(benchKey(from+n), value); err != nil {
				return err
			}
		}
		return nil
	})
	check(b, err)
}

func benchGet(b *testing.B, e engine.Engine, rng *rand.Rand) {
	for b.Loop() {
		check(b, e.View(context.Background(), "", func(r engine.Reader) error {
			_, found, err := r.Get(benchKey(rng.IntN(benchRows)))
			if !found {
				b.Error("not found")
			}
			return err
		}))
	}
}

// benchScan reads all rows that the store was filled with.
func benchScan(b *testing.B, e engine.Engine) {
	all := engine.Range{Low: benchKey(0), High: benchKey(benchRows)}
	b.SetBytes(benchRows * benchValue)
	for b.Loop() {
		check(b, e.View(context.Background(), "", func(r engine.Reader) error {
			c := r.Scan(all, engine.ScanOptions{})
			n := 0
			for c.Next() {
				n += len(c.Value())
			}
			if n != benchRows*benchValue {
				b.Errorf("%d bytes", n)
			}
			return c.Close()
		}))
	}
}
