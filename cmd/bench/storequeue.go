package main

import (
	"context"
	"runtime"

	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/table"
)

// queueStore is a table used as a queue: rows are inserted at its tail and taken
// from its head, which is to find the first, read it and delete it.
type queueStore struct{ *ourStore }

// Sizes of the queues.
const (
	shortQueue = 1_000
	longQueue  = 1_000_000
)

// queue returns a queue of so many rows, of which before so many others have been
// taken. What is deleted stays as Pebble left it: it is not compacted on purpose.
func (w *world) queue(name string, length, taken uint64) (*queueStore, error) {
	if q := w.queues[name]; q != nil {
		return q, nil
	}
	w.loading("a queue, " + name)
	s, err := w.openOurs("queue "+name, embedded.Options{})
	if err != nil {
		return nil, err
	}
	q := &queueStore{s}
	put := func(tx *table.Tx, _ uint64) error { return q.put(tx) }
	if err := eachBatch(w.ctx, s.db, "put", length, put); err != nil {
		return nil, err
	}
	err = eachBatch(w.ctx, s.db, "take", taken, func(tx *table.Tx, _ uint64) error {
		if err := q.put(tx); err != nil {
			return err
		}
		return q.take(tx)
	})
	if w.queues == nil {
		w.queues = map[string]*queueStore{}
	}
	w.queues[name] = q
	return q, err
}

func (q *queueStore) put(tx *table.Tx) error {
	row := newItem(q.next.Add(1))
	return q.items.Insert(tx, &row)
}

func (q *queueStore) take(tx *table.Tx) (err error) {
	if sink, err = q.items.First(tx, table.Span{}); err != nil {
		return err
	}
	return q.items.Delete(tx, sink.ID)
}

// queueTurn is a transaction that inserts a row and another that takes one.
func (w *world) queueTurn(name string, length, taken uint64) measurement {
	return func(ctx context.Context) (float64, error) {
		q, err := w.queue(name, length, taken)
		if err != nil {
			return 0, err
		}
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		o := op("queue")
		return timed(func() error {
			if _, err := q.db.Update(ctx, o, q.put); err != nil {
				return err
			}
			_, err := q.db.Update(ctx, o, q.take)
			return err
		})
	}
}

func (w *world) queueShort(ctx context.Context) (float64, error) {
	return w.queueTurn("short", shortQueue, 0)(ctx)
}

func (w *world) queueLong(ctx context.Context) (float64, error) {
	return w.queueTurn("long", longQueue, 0)(ctx)
}

func (w *world) queueTaken(ctx context.Context) (float64, error) {
	return w.queueTurn("after a million", shortQueue, longQueue)(ctx)
}

// queueRate is how many rows a second pass through a short queue.
func (w *world) queueRate(ctx context.Context) (float64, error) {
	us, err := w.queueShort(ctx)
	return 1e6 / us, err
}
