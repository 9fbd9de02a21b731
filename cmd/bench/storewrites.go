package main

import (
	"context"
	"encoding/binary"
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
// transactions a second by rate. All rows have been read before.
func (w *world) procedures(rows uint64, rate func(fn func() error) (float64, error)) measurement {
	read := false
	return func(ctx context.Context) (float64, error) {
		s, err := w.store()
		if err != nil {
			return 0, err
		}
		if !read {
			err, read = s.readAll(ctx, rows), true
		}
		if err != nil {
			return 0, err
		}
		o := op("bump")
		return rate(func() error {
			id := rand.Uint64N(rows)
			_, err := s.db.Update(ctx, o, func(tx *table.Tx) error { return s.bump(tx, id) })
			return err
		})
	}
}

// readAll reads rows as procedures do.
func (s *ourStore) readAll(ctx context.Context, rows uint64) error {
	return eachBatch(ctx, s.db, "read", rows, func(tx *table.Tx, id uint64) (err error) {
		sink, err = s.items.Get(tx, id)
		return err
	})
}

// perSecond runs fn on one core, again and again, and returns how often in a second.
func perSecond(fn func() error) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	us, err := timed(fn)
	return 1e6 / us, err
}

// perWork is perSecond in seconds of the processor's time, background work included: how
// fast it is whatever else runs on the host.
func perWork(fn func() error) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	n, used := 0, processorTime()
	_, err := timed(func() error { n++; return fn() })
	return float64(n) / (processorTime() - used).Seconds(), err
}

// proceduresRaw is the least that Pebble takes for what procedures do: a row at random
// is read, decoded and written anew, here without its predecessor, without versions and
// without a record of who did it. 64 of them share a batch, as ours do.
func (w *world) proceduresRaw() measurement { return w.rawProcedures(nil) }

// proceduresRawKept also keeps the predecessor, at a key behind all rows.
func (w *world) proceduresRawKept() measurement {
	var kept []byte
	return w.rawProcedures(func(b *pebble.Batch, key, old []byte) error {
		kept = append(append(append(kept[:0], 2), key...), 0, 0, 0, 0, 0, 0, 0, 0)
		binary.BigEndian.PutUint64(kept[len(kept)-8:], w.rawNext.Add(1))
		return b.Set(kept, old, nil)
	})
}

func (w *world) rawProcedures(keep func(b *pebble.Batch, key, old []byte) error) measurement {
	const together = 64
	read := false
	return func(context.Context) (float64, error) {
		db, err := w.pebble()
		if err != nil {
			return 0, err
		}
		p := &rawProcedure{db: db, batch: db.NewBatch(), keep: keep}
		for id := uint64(0); !read && id < storeRows; id++ {
			if err := p.read(id); err != nil {
				return 0, err
			}
		}
		n := 0
		read = true
		rate, err := perWork(func() error {
			if err := errors.Join(p.read(rand.Uint64N(storeRows)), p.write()); err != nil {
				return err
			}
			if n++; n%together != 0 {
				return nil
			}
			defer func() { p.batch = db.NewBatch() }()
			return errors.Join(p.batch.Commit(pebble.NoSync), p.batch.Close())
		})
		return rate, errors.Join(err, p.batch.Close())
	}
}

// rawProcedure is what bump does, by hand.
type rawProcedure struct {
	db         *pebble.DB
	batch      *pebble.Batch
	keep       func(b *pebble.Batch, key, old []byte) error // nil: nothing
	row        item
	key, value []byte // as they are stored
}

func (p *rawProcedure) read(id uint64) error {
	p.key = rawKey(p.key[:0], id)
	stored, closer, err := p.db.Get(p.key)
	if err != nil {
		return err
	}
	p.value = append(p.value[:0], stored...)
	return errors.Join(p.row.decode(p.key, stored), closer.Close())
}

func (p *rawProcedure) write() error {
	if p.keep != nil {
		if err := p.keep(p.batch, p.key, p.value); err != nil {
			return err
		}
	}
	p.row.Size++
	p.value = p.row.encode(p.value[:0])
	return p.batch.Set(p.key, p.value, nil)
}
