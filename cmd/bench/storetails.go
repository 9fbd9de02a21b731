package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/table"
)

// tailStore is a store for commits in the foreground while something goes on in
// the background. Its clock can be put forward, so that versions get too old.
type tailStore struct {
	*ourStore
	dir   string
	ahead atomic.Int64 // of the wall clock, nanoseconds
}

const (
	tailRows     = 200_000
	tailReplaced = 10 // times that each is replaced before a collection
	tailTurn     = 5 * time.Second
	tailWindow   = 1000 // commits
)

func (w *world) tailStore() (*tailStore, error) {
	if w.tails != nil {
		return w.tails, nil
	}
	w.loading("a store whose clock can be put forward")
	t := &tailStore{dir: w.path("tails")}
	now := func() time.Time { return time.Now().Add(time.Duration(t.ahead.Load())) }
	var err error
	if t.ourStore, err = w.openOurs("tails", embedded.Options{Now: now, Retention: engine.MinRetention}); err != nil {
		return nil, err
	}
	w.tails = t
	return t, t.load(w.ctx, tailRows)
}

// tail commits durably until done is closed, and returns the 99th percentile of
// how long a commit takes, in microseconds: the median of those of windows, as one
// moment in which the host did something else would be all of it. Rows go to a table
// of their own, so that the catalog may change that of the items.
func (t *tailStore) tail(ctx context.Context, done <-chan struct{}) (float64, error) {
	var took, percentiles []float64
	o, fn := durable("insert"), t.insert(t.indexed)
	for {
		begun := time.Now()
		if _, err := t.db.Update(ctx, o, fn); err != nil {
			return 0, err
		}
		if took = append(took, microseconds(time.Since(begun))); len(took) == tailWindow {
			percentiles = append(percentiles, percentile99(took))
			took = took[:0]
		}
		select {
		case <-done:
			if len(percentiles) == 0 {
				return percentile99(took), nil
			}
			return median(percentiles), nil
		default:
		}
	}
}

// percentile99 sorts what took so long.
func percentile99(took []float64) float64 {
	slices.Sort(took)
	return took[len(took)*99/100]
}

// beside measures the tail while work is at work.
func (t *tailStore) beside(ctx context.Context, work func() error) (float64, error) {
	done, failed := make(chan struct{}), error(nil)
	go func() {
		defer close(done)
		failed = work()
	}()
	p99, err := t.tail(ctx, done)
	<-done
	return p99, errors.Join(err, failed)
}

func (w *world) tailAlone(ctx context.Context) (float64, error) {
	t, err := w.tailStore()
	if err != nil {
		return 0, err
	}
	return t.beside(ctx, func() error {
		timer := time.NewTimer(tailTurn)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		return ctx.Err()
	})
}

// tailCollecting measures beside the collection of millions of versions.
func (w *world) tailCollecting(ctx context.Context) (float64, error) {
	t, err := w.tailStore()
	if err != nil {
		return 0, err
	}
	for range tailReplaced {
		if err := t.replace(ctx, tailRows); err != nil {
			return 0, err
		}
	}
	if err := t.settle(ctx); err != nil { // replacing is not what is measured
		return 0, err
	}
	t.ahead.Add(int64(2 * engine.MinRetention))
	return t.beside(ctx, func() error {
		c, err := t.engine.Collect(ctx)
		if err == nil && c.Versions < tailReplaced*tailRows {
			err = fmt.Errorf("collected %d versions of %d", c.Versions, tailReplaced*tailRows)
		}
		return err
	})
}

// settle compacts, and waits until the tables that are replaced by that are removed: on a
// file system that tells the disk at once what has become free, a flush waits for it.
func (t *tailStore) settle(ctx context.Context) error {
	if err := t.engine.Compact(ctx); err != nil {
		return err
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		tables := int64(0)
		for _, n := range t.engine.Metrics().LevelFiles {
			tables += n
		}
		files, err := filepath.Glob(filepath.Join(t.dir, "*.sst"))
		if err != nil || int64(len(files)) <= tables {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
}

// tailIndexing measures beside the building of an index.
func (w *world) tailIndexing(ctx context.Context) (float64, error) {
	t, err := w.tailStore()
	if err != nil {
		return 0, err
	}
	const index = "built"
	name := t.items.Name()
	_, err = t.db.Update(ctx, op("add index"), func(tx *table.Tx) error {
		return tx.AddIndex(name, table.IndexDef{Name: index, Parts: []table.Part{{Column: "owner"}, {Column: "size", Descending: true}}})
	})
	if err != nil {
		return 0, err
	}
	p99, err := t.beside(ctx, func() error { return t.db.Work(ctx, op("work")) })
	if err == nil {
		_, err = t.db.Update(ctx, op("drop index"), func(tx *table.Tx) error { return tx.DropIndex(name, index) })
	}
	if err == nil {
		err = t.db.Work(ctx, op("work"))
	}
	return p99, err
}
