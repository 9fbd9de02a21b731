package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/backup"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/txn"
)

// Dir is the directory of the store on its volume.
const Dir = "store"

// ErrPart refuses a store in which a backup was not loaded to its end.
var ErrPart = errors.New("the store holds a part of a backup only, since loading it was interrupted: load it again into an empty store")

// Options say how a store is opened. The zero value is sensible.
type Options struct {
	embedded.Options

	// Op is on whose behalf the store's own transactions are: the creation of
	// tables, and background work.
	Op engine.Op
}

// Store is an open store. All methods may be called concurrently.
type Store struct {
	*table.DB

	engine   *embedded.Engine
	log      func(format string, args ...any)
	op       engine.Op
	stop     context.CancelFunc
	worker   sync.WaitGroup
	borrowed bool // it is the machine's, and stays open
}

// Open opens the store of a volume, makes one where there is none, and sees that
// the given tables are there as declared (table.Open says how). Errors: those of
// embedded.Open and table.Open, and ErrPart.
func Open(ctx context.Context, volume vfs.FS, o Options, tables ...table.Declared) (*Store, error) {
	e, err := OpenEngine(volume, o)
	if err != nil {
		return nil, err
	}
	s := &Store{engine: e, log: o.Log, op: o.Op}
	if s.log == nil {
		s.log = func(string, ...any) {}
	}
	if err := s.open(ctx, tables); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return s, nil
}

// OpenEngine opens what is below the tables, for those who work on all keys
// alike: loading a backup, checking a store that does not open.
func OpenEngine(volume vfs.FS, o Options) (*embedded.Engine, error) {
	return embedded.Open(volume, Dir, o.Options)
}

func (s *Store) open(ctx context.Context, tables []table.Declared) error {
	part, err := backup.Interrupted(ctx, s.engine)
	if err != nil {
		return err
	}
	if part {
		return ErrPart
	}
	if s.DB, err = table.Open(ctx, txn.New(s.engine), &s.op, tables...); err != nil {
		return err
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.worker.Go(func() { s.work(ctx) })
	return nil
}

// work does what is to be done in the background, as it comes up.
func (s *Store) work(ctx context.Context) {
	err := s.Run(ctx, &s.op, func(err error) { s.log("store: work in the background: %v", err) })
	if ctx.Err() == nil {
		s.log("store: no more work is done in the background: %v", err)
	}
}

// Check reads everything and proves that it is whole: what the engine stores, and
// that rows, indexes and constraints agree. Each violation is reported; the error
// is only about not being able to go on.
func (s *Store) Check(ctx context.Context, report func(engine.Problem)) error {
	if err := s.engine.Check(ctx, report); err != nil {
		return fmt.Errorf("check of what is stored: %w", err)
	}
	return s.View(ctx, func(tx *table.Tx) error { return tx.Check(report) })
}

// Sync makes everything durable that has been committed.
func (s *Store) Sync(ctx context.Context) error { return s.engine.Sync(ctx, "") }

// Owed tells whether something is to be durable before words leave the machine: Sync
// sees to that (engine.Engine.Owed). It is cheap, and never blocks.
func (s *Store) Owed() bool { return s.engine.Owed() != "" }

// Close ends the work in the background, makes everything durable and lets go of
// the volume.
func (s *Store) Close() error {
	if s.borrowed {
		return s.Sync(context.Background())
	}
	s.stop()
	s.worker.Wait()
	return s.engine.Close()
}

// Space tells how much room there is on the device; it is zero where the volume
// cannot tell.
func (s *Store) Space() engine.Space { return s.engine.Space() }

// MakeRoom returns when transactions may take n bytes more, for which history goes
// before its time where that is needed; engine.ErrFull where nothing can be done
// about it.
func (s *Store) MakeRoom(ctx context.Context, n int64) error { return s.engine.MakeRoom(ctx, n) }
