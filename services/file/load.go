package file

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// format is the version of the meaning of the tables. Version 1 had no os.shares, and in
// version 2 files did not say in which directory they are; both are read as they are.
// Version 4 is 3 while a restore is under way (restoresteps.go), which older programs would
// not take back.
const (
	format        = 3
	formatInSteps = 4
	firstFormat   = 1
)

// Numbers are set aside in the store so many at a time. Those that are left over when
// the system stops are never used.
const (
	reservedInodes = 1 << 12
	reservedData   = 1 << 16
)

// load prepares the store for use: the counters and the root.
func (fs *FS) load() error {
	err := fs.view(func(tx *table.Tx) error { return fs.loadCounters(tx) })
	if errors.Is(err, table.ErrNotFound) {
		err = fs.format()
	}
	if err == nil && len(fs.reserved.Undo) > 0 {
		if err = fs.goBack(); err == nil {
			err = fs.view(fs.loadCounters)
		}
	}
	if err != nil {
		return err
	}
	fs.nextNumber, fs.nextData = fs.reserved.NextInode, fs.reserved.NextData // none that may have been used
	return fs.separate()
}

// separate tells the store that contents of files are not like other rows.
func (fs *FS) separate() error {
	s, ok := fs.db.Engine().(engine.Separator)
	if !ok {
		return nil
	}
	return fs.view(func(tx *table.Tx) error {
		r, err := tx.KeysOf(data)
		if err == nil {
			s.Separate(r[0])
		}
		return err
	})
}

func (fs *FS) loadCounters(tx *table.Tx) (err error) {
	if fs.reserved, err = counters.Get(tx, uint64(1)); err != nil {
		return err
	}
	if fs.reserved.Format < firstFormat || fs.reserved.Format > formatInSteps {
		return fmt.Errorf("%w: version %d; this one reads versions up to %d", ErrFormat, fs.reserved.Format, formatInSteps)
	}
	if err := fs.loads.reload(tx); err != nil {
		return err
	}
	fs.freedBytes.Store(0)
	for row, err := range freed.Scan(tx, table.Span{}) {
		if err != nil {
			return err
		}
		list, err := decodeFreed(row.Data)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		fs.freedBytes.Add(list.bytes())
	}
	return nil
}

// format makes an empty root directory.
func (fs *FS) format() error {
	now := fs.now()
	root := record{Attr: Attr{
		Number: rootNumber, Mode: syscall.S_IFDIR | 0o755, Links: 2,
		Accessed: now, Modified: now, Changed: now, Born: now,
	}, parent: rootNumber}
	op := fs.op("make the root directory")
	_, err := fs.db.Update(context.Background(), &op, func(tx *table.Tx) error {
		row := root.row()
		fs.nextNumber, fs.nextData = rootNumber+1, 1
		_, err := fs.reserve(tx, fs.nextNumber)
		return firstError(inodes.Put(tx, &row), err)
	})
	if err != nil {
		return err
	}
	return fs.view(func(tx *table.Tx) error { return fs.loadCounters(tx) })
}

// reserve sees that numbers up to these are set aside, and returns what then is, once
// the transaction is committed. commit is held.
func (fs *FS) reserve(tx *table.Tx, nextNumber uint64) (CounterRow, error) {
	r := fs.reserved
	if nextNumber <= r.NextInode && fs.nextData <= r.NextData && r.Format >= format {
		return r, nil
	}
	r.ID, r.Format = 1, max(r.Format, format)
	r.NextInode = max(r.NextInode, nextNumber+reservedInodes)
	r.NextData = max(r.NextData, fs.nextData+reservedData)
	return r, counters.Put(tx, &r)
}

// collectOrphans deletes what had no name left when the system stopped.
func (fs *FS) collectOrphans() error {
	var numbers []uint64
	err := fs.view(func(tx *table.Tx) error {
		numbers = nil
		for row, err := range orphans.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			numbers = append(numbers, row.Inode)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, number := range numbers {
		n, err := fs.inode(number)
		if err != nil {
			return fmt.Errorf("%w: orphan %d cannot be read", ErrDamaged, number)
		}
		if err := n.Open(); err == syscall.ENOENT {
			continue // its last user has just closed it
		} else if err != nil {
			return err
		}
		if err := n.Close(); err != nil {
			return err
		}
	}
	return nil
}
