package file

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// lockDelay is for how long changes of locks are collected before their rows are written.
const lockDelay = 500 * time.Millisecond

// lockRows has os.locks follow the locks that programs hold. Locks are held in memory, by
// whoever serves the calls: a row for each would make a lock, of which a database takes
// several for each of its transactions, cost a transaction of the store's.
type lockRows struct {
	held  atomic.Pointer[func() []LockRow]
	armed atomic.Bool // they have changed, and a batch is about to be written
}

// FollowLocks has os.locks follow what held returns, which is called on a goroutine of its
// own. Whoever changes the locks calls LocksChanged.
func (fs *FS) FollowLocks(held func() []LockRow) { fs.locks.held.Store(&held) }

// LocksChanged has the rows of locks written soon, within a second. It never blocks.
func (fs *FS) LocksChanged() {
	if !fs.locks.armed.Load() && fs.locks.armed.CompareAndSwap(false, true) {
		time.AfterFunc(lockDelay, func() { fs.background(fs.writeLocks) })
	}
}

// writeLocks writes what is different.
func (fs *FS) writeLocks() error {
	fs.locks.armed.Store(false)
	var held []LockRow
	if f := fs.locks.held.Load(); f != nil {
		held = (*f)()
	}
	op := fs.op("write down locks")
	op.NoWait = true
	_, err := fs.db.Update(context.Background(), &op, func(tx *table.Tx) error { return setLocks(tx, held) })
	return err
}

func setLocks(tx *table.Tx, held []LockRow) error {
	now := make(map[LockRow]bool, len(held))
	for _, row := range held {
		now[row] = true
	}
	var gone []LockRow
	for row, err := range locks.Scan(tx, table.Span{}) {
		if err != nil {
			return err
		}
		if !now[row] {
			gone = append(gone, row)
		}
		delete(now, row)
	}
	for _, row := range gone {
		if err := locks.Delete(tx, row.Inode, row.Kind, row.Start, row.Number); err != nil {
			return err
		}
	}
	for row := range now {
		if err := locks.Put(tx, &row); err != nil {
			return err
		}
	}
	return nil
}

// forgetLocks removes the rows of locks that were held when the machine went down.
func (fs *FS) forgetLocks() error {
	err := fs.view(func(tx *table.Tx) error {
		_, err := locks.First(tx, table.Span{})
		return err
	})
	if errors.Is(err, table.ErrNotFound) {
		return nil
	}
	return firstError(err, fs.writeLocks())
}
