package store

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/table"
)

// machine is the store of the machine that the program runs on.
var machine atomic.Pointer[Store]

// ErrNone says that the program does not run on a machine that has a store.
var ErrNone = errors.New("this process has no store of a machine: it is not booted by tuplix; on a Linux host open a file by board/host")

// Provide makes s the machine's store: the one that its files are in, too. It is the
// board's to call, once, before the program is initialised.
func Provide(s *Store) { machine.Store(s) }

// OpenHere returns the store of the machine that the program runs on, and sees that
// the given tables are there as declared. It is open already, so that of o only Op
// counts; closing what is returned makes everything durable, and the store stays
// open. It fails with ErrNone in a process of Linux; other errors are those of
// table.Open.
func OpenHere(ctx context.Context, o Options, tables ...table.Declared) (*Store, error) {
	s := machine.Load()
	if s == nil {
		return nil, ErrNone
	}
	if err := s.Create(ctx, &o.Op, tables...); err != nil {
		return nil, err
	}
	return &Store{DB: s.DB, engine: s.engine, log: s.log, op: o.Op, borrowed: true}, nil
}
