package main

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/table"
)

var sink item // what was read goes here

func (w *world) readOurs(ctx context.Context) (float64, error) {
	s, err := w.store()
	if err != nil {
		return 0, err
	}
	return s.reads(ctx, "", storeRows)
}

// reads measures Views that read one row each.
func (s *ourStore) reads(ctx context.Context, at engine.Version, rows uint64) (float64, error) {
	return timed(func() error {
		id := rand.Uint64N(rows)
		return s.db.ViewAt(ctx, at, func(tx *table.Tx) (err error) {
			sink, err = s.items.Get(tx, id)
			return err
		})
	})
}

func (w *world) readRaw(context.Context) (float64, error) {
	db, err := w.pebble()
	if err != nil {
		return 0, err
	}
	var key []byte
	return timed(func() error {
		key = rawKey(key[:0], rand.Uint64N(storeRows))
		value, closer, err := db.Get(key)
		if err != nil {
			return err
		}
		return errors.Join(sink.decode(key, value), closer.Close())
	})
}

func (w *world) scanOurs(ctx context.Context) (float64, error) {
	s, err := w.store()
	if err != nil {
		return 0, err
	}
	us, err := timed(func() error {
		from := rand.Uint64N(storeRows - scanRows)
		return s.db.View(ctx, func(tx *table.Tx) error {
			for row, err := range s.items.Scan(tx, table.From(from).Limit(scanRows)) {
				if err != nil {
					return err
				}
				sink = row
			}
			return nil
		})
	})
	return us / scanRows, err
}

func (w *world) scanRaw(context.Context) (float64, error) {
	db, err := w.pebble()
	if err != nil {
		return 0, err
	}
	us, err := timed(func() error {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: rawKey(nil, rand.Uint64N(storeRows-scanRows))})
		if err != nil {
			return err
		}
		ok := it.First()
		for i := 0; ok && i < scanRows; i++ {
			if err := sink.decode(it.Key(), it.Value()); err != nil {
				return errors.Join(err, it.Close())
			}
			ok = it.Next()
		}
		return errors.Join(it.Error(), it.Close())
	})
	return us / scanRows, err
}

// fewStore is the same few rows twice, all of them cached: in one store as they
// were inserted, in the other each replaced a hundred times.
type fewStore struct {
	fresh, old *ourStore
	loaded     engine.Version // of fresh, when it was full
	halfway    engine.Version // of old, after half of the replacements
	reopened   bool           // both have been opened again, so that all rows are read from blocks
}

func (w *world) fewRows() (*fewStore, error) {
	if w.few != nil {
		return w.few, nil
	}
	w.loading("two small stores, one with old versions")
	f, err := new(fewStore), error(nil)
	if f.fresh, err = w.smallStore("fresh"); err != nil {
		return nil, err
	}
	if f.loaded, err = version(w.ctx, f.fresh.db); err != nil {
		return nil, err
	}
	if f.old, err = w.smallStore("old"); err != nil {
		return nil, err
	}
	for i := range oldVersions {
		if err := f.old.replace(w.ctx, fewRows); err != nil {
			return nil, err
		}
		if i == oldVersions/2 {
			if f.halfway, err = version(w.ctx, f.old.db); err != nil {
				return nil, err
			}
		}
	}
	// Something later, so that what was loaded is no longer the newest version.
	if _, err = f.fresh.db.Update(w.ctx, op("insert"), f.fresh.insert(f.fresh.indexed)); err != nil {
		return nil, err
	}
	if err := errors.Join(f.fresh.engine.Compact(w.ctx), f.old.engine.Compact(w.ctx)); err != nil {
		return nil, err
	}
	w.few = f
	return f, f.old.readAt(w.ctx, f.halfway, fewRows)
}

// readAt reads rows as they were, each once.
func (s *ourStore) readAt(ctx context.Context, at engine.Version, rows uint64) error {
	return s.db.ViewAt(ctx, at, func(tx *table.Tx) (err error) {
		for id := uint64(0); id < rows && err == nil; id++ {
			sink, err = s.items.Get(tx, id)
		}
		return err
	})
}

func (w *world) smallStore(name string) (*ourStore, error) {
	s, err := w.openOurs(name, embedded.Options{})
	if err != nil {
		return nil, err
	}
	return s, s.load(w.ctx, fewRows)
}

// reopenedRows is fewRows when both stores have been opened again: what procedures have
// written is in memory, and what nobody has replaced is not.
func (w *world) reopenedRows() (*fewStore, error) {
	f, err := w.fewRows()
	if err != nil || f.reopened {
		return f, err
	}
	f.reopened = true
	if err := errors.Join(f.fresh.engine.Close(), f.old.engine.Close()); err != nil {
		return nil, err
	}
	if f.fresh, err = w.openOurs("fresh", embedded.Options{}); err != nil {
		return nil, err
	}
	f.old, err = w.openOurs("old", embedded.Options{})
	return f, err
}

func (w *world) readFew(ctx context.Context, of func(*fewStore) (*ourStore, engine.Version)) (float64, error) {
	f, err := w.fewRows()
	if err != nil {
		return 0, err
	}
	s, at := of(f)
	return s.reads(ctx, at, fewRows)
}

func (w *world) readReopened(ctx context.Context, of func(*fewStore) *ourStore) (float64, error) {
	f, err := w.reopenedRows()
	if err != nil {
		return 0, err
	}
	return of(f).reads(ctx, "", fewRows)
}

func (w *world) readFresh(ctx context.Context) (float64, error) {
	return w.readFew(ctx, func(f *fewStore) (*ourStore, engine.Version) { return f.fresh, "" })
}

func (w *world) readNewest(ctx context.Context) (float64, error) {
	return w.readReopened(ctx, func(f *fewStore) *ourStore { return f.old })
}

func (w *world) readOnly(ctx context.Context) (float64, error) {
	return w.readReopened(ctx, func(f *fewStore) *ourStore { return f.fresh })
}

func (w *world) readUnchanged(ctx context.Context) (float64, error) {
	return w.readFew(ctx, func(f *fewStore) (*ourStore, engine.Version) { return f.fresh, f.loaded })
}

func (w *world) readOld(ctx context.Context) (float64, error) {
	return w.readFew(ctx, func(f *fewStore) (*ourStore, engine.Version) { return f.old, "" })
}

func (w *world) readChanged(ctx context.Context) (float64, error) {
	return w.readFew(ctx, func(f *fewStore) (*ourStore, engine.Version) { return f.old, f.halfway })
}
