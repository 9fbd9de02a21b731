package file

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// What a file no longer has stays in os.data for as long as the past can be read in
// which it had it, and a row of os.freed says so. When the horizon of os.extents has
// passed the transaction that wrote this row, nothing can refer to the data any more:
//
//	written ──► freed (a row of os.freed) ──► horizon passes ──► forgotten, with the row
//
// The horizon passes when the retention ends. It is moved before that where the past
// has more than its share of the device, the oldest first, and up to the present where
// there is no room for what is to be written.

const (
	// pastShare is how much of the device data may have that is kept for the past
	// only; beyond it half of that goes.
	pastShare = 4

	// pastUnknown is the same on a device that does not tell its size, in bytes.
	pastUnknown = 64 << 20

	// purgeInterval is how often what is beyond the horizon is looked for while
	// there are changes.
	purgeInterval = time.Minute

	purgeRows = 64 // of os.freed, in one transaction
)

// mostPast is how many bytes data may have that is kept for the past only.
func (fs *FS) mostPast() int64 {
	if fs.options.Past > 0 {
		return fs.options.Past
	}
	if fs.options.Space != nil {
		if total := fs.options.Space().Total; total > 0 {
			return total / pastShare
		}
	}
	return pastUnknown
}

// tidy keeps the past within its share.
func (fs *FS) tidy() error {
	if fs.freedBytes.Load() == 0 {
		return nil
	}
	fs.collecting.Lock()
	defer fs.collecting.Unlock()
	most := fs.mostPast()
	if fs.freedBytes.Load() > most {
		to, err := fs.cutPast(most / 2)
		if err == nil {
			err = fs.expire(to)
		}
		if err != nil {
			return err
		}
	} else if fs.options.Now().Sub(fs.purged) < purgeInterval {
		return nil
	}
	return fs.purge()
}

// claim sets space aside for n bytes, and gives up the past where that is needed.
// ENOSPC.
func (fs *FS) claim(n int) error {
	if fs.space.take(fs, n) == nil {
		return nil
	}
	fs.collecting.Lock()
	defer fs.collecting.Unlock()
	if fs.space.take(fs, n) == nil {
		return nil
	}
	if err := fs.makeRoom(n); err != nil {
		if !errors.Is(err, engine.ErrFull) {
			fs.options.Log("file: making room: %v", err)
		}
		return syscall.ENOSPC
	}
	return fs.space.take(fs, n)
}

// makeRoom gives up the past for the sake of the present, until there is room for n
// bytes. collecting is held.
func (fs *FS) makeRoom(n int) error {
	if err := fs.flush(); err != nil && err != syscall.ENOSPC {
		return err
	}
	if fs.freedBytes.Load() > 0 {
		var now engine.Version
		err := fs.view(func(tx *table.Tx) error { now = tx.Version(); return nil })
		if err == nil {
			err = fs.expire(now)
		}
		if err == nil {
			err = fs.purge()
		}
		if err != nil {
			return err
		}
	}
	if fs.options.MakeRoom == nil {
		return engine.ErrFull
	}
	return fs.options.MakeRoom(context.Background(), roomFactor*(int64(n)+fs.pending()))
}

// cutPast is the version at which the newest data that was freed has so many bytes.
func (fs *FS) cutPast(keep int64) (to engine.Version, err error) {
	err = fs.view(func(tx *table.Tx) error {
		keep := keep
		for row, err := range freed.Scan(tx, table.Span{}.Reverse()) {
			if err != nil {
				return err
			}
			list, err := decodeFreed(row.Data)
			if err != nil {
				return err
			}
			if keep -= list.bytes(); keep > 0 {
				continue
			}
			for v, err := range freed.History(tx, row.ID) {
				if err == nil {
					to = v.Version
				}
				return err
			}
		}
		return nil
	})
	return to, err
}

// expire ends the past of the tree of files before a version, as far as there is one.
func (fs *FS) expire(before engine.Version) error {
	e, ok := fs.db.Engine().(engine.Expirer)
	if !ok || before == "" {
		return nil
	}
	ranges, err := fs.ranges()
	if err != nil {
		return err
	}
	op := fs.op("give up the past of files")
	return e.Expire(context.Background(), &op, before, ranges...)
}

// ranges are the keys of the rows of the tree of files.
func (fs *FS) ranges() (ranges []engine.Range, err error) {
	err = fs.view(func(tx *table.Tx) (err error) {
		ranges, err = tx.KeysOf(tree...)
		return err
	})
	return ranges, err
}

// purge forgets data to which no version refers that can be read. collecting is held.
func (fs *FS) purge() error {
	fs.purged = fs.options.Now()
	horizon, err := fs.horizon()
	if err != nil {
		return err
	}
	var rows []uint64
	err = fs.db.ViewAt(context.Background(), horizon, func(tx *table.Tx) error {
		for row, err := range freed.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			rows = append(rows, row.ID)
		}
		return nil
	})
	if errors.Is(err, engine.ErrTooOld) || errors.Is(err, table.ErrNoTable) || errors.Is(err, table.ErrNoCatalog) {
		return nil // it has moved on, or there were no files then
	}
	for part := range slices.Chunk(rows, purgeRows) {
		if err == nil {
			err = fs.forget(part)
		}
	}
	return err
}

// horizon is the oldest version at which extents can be read.
func (fs *FS) horizon() (h engine.Version, err error) {
	var r []engine.Range
	err = fs.view(func(tx *table.Tx) (err error) {
		r, err = tx.KeysOf(extents)
		return err
	})
	if err == nil {
		h, err = fs.db.Engine().Horizon(context.Background(), r[0])
	}
	return h, err
}

// forget removes data that was freed.
func (fs *FS) forget(rows []uint64) error {
	var gone int64
	op := fs.op("forget data of files")
	op.NoWait = true
	_, err := fs.db.Update(context.Background(), &op, func(tx *table.Tx) error {
		gone = 0
		for _, id := range rows {
			n, err := forgetRow(tx, id)
			if err != nil {
				return err
			}
			gone += n
		}
		return nil
	})
	if err == nil {
		fs.freedBytes.Add(-gone)
	}
	return err
}

func forgetRow(tx *table.Tx, id uint64) (int64, error) {
	row, err := freed.Get(tx, id)
	if errors.Is(err, table.ErrNotFound) {
		return 0, nil
	}
	var list freedList
	if err == nil {
		list, err = decodeFreed(row.Data)
	}
	for _, d := range list {
		if err == nil {
			err = data.Forget(tx, int(d.pages)*BlockSize, d.id)
		}
	}
	if err == nil {
		err = freed.Forget(tx, len(row.Data), id)
	}
	return list.bytes(), err
}
