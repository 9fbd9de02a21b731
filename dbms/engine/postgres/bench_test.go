package postgres_test

import (
	"fmt"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/postgres"
)

// The figures depend on the private server, which does not flush to the disk.

func benchmarkStore(b *testing.B) *postgres.Engine {
	e, err := postgres.Open(b.Context(), server.URL, postgres.Options{Schema: newSchema(), CollectEvery: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	_, err = e.Update(b.Context(), nil, func(tx engine.Tx) error {
		for i := range 10_000 {
			if err := tx.Put(fmt.Appendf(nil, "key%06d", i), []byte("value")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func BenchmarkUpdate(b *testing.B) {
	for _, wait := range []bool{false, true} {
		b.Run(fmt.Sprint("durable=", wait), func(b *testing.B) {
			e := benchmarkStore(b)
			i := 0
			for b.Loop() {
				i++
				_, err := e.Update(b.Context(), &engine.Op{NoWait: !wait}, func(tx engine.Tx) error {
					return tx.Put(fmt.Appendf(nil, "key%06d", i%10_000), []byte("other"))
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	e := benchmarkStore(b)
	err := e.View(b.Context(), "", func(r engine.Reader) error {
		i := 0
		for b.Loop() {
			i++
			if _, _, err := r.Get(fmt.Appendf(nil, "key%06d", i%10_000)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkScan(b *testing.B) {
	e := benchmarkStore(b)
	for b.Loop() {
		n := 0
		err := e.View(b.Context(), "", func(r engine.Reader) error {
			c := r.Scan(engine.All, engine.ScanOptions{})
			for c.Next() {
				n++
			}
			return c.Err()
		})
		if err != nil || n != 10_000 {
			b.Fatal(n, err)
		}
	}
}
