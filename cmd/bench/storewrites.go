package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/table"
)

// insert returns a procedure that adds one row.
func (s *ourStore) insert(to *table.Table[item]) func(*table.Tx) error {
	return func(tx *table.Tx) error {
		row := newItem(s.next.Add(1))
		return to.Insert(tx, &row)
	}
}

func (s *ourStore) inserts(ctx context.Context, to *table.Table[item]) (float64, error) {
	fn, o := s.insert(to), op("insert")
	return timed(func() error {
		_, err := s.db.Update(ctx, o, fn)
		return err
	})
}

func (w *world) insertOurs(ctx context.Context) (float64, error) {
	s, err := w.store()
	if err != nil {
		return 0, err
	}
	return s.inserts(ctx, s.items)
}

func (w *world) insertIndexed(ctx context.Context) (float64, error) {
	s, err := w.store()
	if err != nil {
		return 0, err
	}
	return s.inserts(ctx, s.indexed)
}

// insertBare is insertOurs without the records of who did it.
func (w *world) insertBare(ctx context.Context) (float64, error) {
	s, err := w.store()
	if err != nil {
		return 0, err
	}
	s.engine.LeaveOutProvenance(true)
	defer s.engine.LeaveOutProvenance(false)
	return s.inserts(ctx, s.items)
}

func (w *world) insertRaw(context.Context) (float64, error)    { return w.rawInserts(1) }
func (w *world) insertRawTwo(context.Context) (float64, error) { return w.rawInserts(2) }

// rawInserts measures batches of a row and of n-1 keys more.
func (w *world) rawInserts(n int) (float64, error) {
	db, err := w.pebble()
	if err != nil {
		return 0, err
	}
	var key, value []byte
	return timed(func() error {
		row := newItem(w.rawNext.Add(1))
		key, value = rawKey(key[:0], row.ID), row.encode(value[:0])
		b := db.NewBatch()
		if err := b.Set(key, value, nil); err != nil {
			return err
		}
		for range n - 1 {
			key[0]++
			if err := b.Set(key, nil, nil); err != nil {
				return err
			}
		}
		return errors.Join(b.Commit(pebble.NoSync), b.Close())
	})
}

// concurrently has n goroutines call fn for a while; the result is calls a
// second.
func concurrently(n int, fn func() error) (float64, error) {
	const turn = 2 * time.Second
	var done atomic.Int64
	errs := make([]error, n)
	var wg sync.WaitGroup
	begun := time.Now()
	for c := range n {
		wg.Go(func() {
			for errs[c] == nil && time.Since(begun) < turn {
				if errs[c] = fn(); errs[c] == nil {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(begun).Seconds(), errors.Join(errs...)
}

func (w *world) commitsOurs(ctx context.Context) (float64, error) {
	s, err := w.store()
	if err != nil {
		return 0, err
	}
	o, fn := durable("insert"), s.insert(s.items)
	return concurrently(storeClients, func() error {
		_, err := s.db.Update(ctx, o, fn)
		return err
	})
}

func (w *world) commitsRaw(context.Context) (float64, error) {
	db, err := w.pebble()
	if err != nil {
		return 0, err
	}
	return concurrently(storeClients, func() error {
		row := newItem(w.rawNext.Add(1))
		return db.Set(rawKey(nil, row.ID), row.encode(nil), pebble.Sync)
	})
}

// procedures measures read and update of one of so many rows on one core, in
// transactions a second.
func (w *world) procedures(rows uint64) measurement {
	return func(ctx context.Context) (float64, error) {
		s, err := w.store()
		if err != nil {
			return 0, err
		}
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		o := op("bump")
		us, err := timed(func() error {
			id := rand.Uint64N(rows)
			_, err := s.db.Update(ctx, o, func(tx *table.Tx) error { return s.bump(tx, id) })
			return err
		})
		return 1e6 / us, err
	}
}
