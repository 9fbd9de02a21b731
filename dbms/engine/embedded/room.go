package embedded

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// room sees that a transaction does not begin to write what the device has no
// room for: a log that cannot be written is the end of the store, until it is
// opened again. So a transaction is refused while what is free is less than what
// Pebble may need to write down what it has taken already. What makes room is not
// refused, a change of retention and the removal of what is beyond it; and deleting
// may use most of what is kept back, though the rows stay in history for a while.
//
// The commit lock is held.
type room struct {
	fs      vfs.FS
	dir     string
	reserve int64
	left    int64  // bytes that may be written before asking the volume again
	full    func() // is called when a transaction is refused
}

// askEvery is how many bytes are written between two looks at what is free.
const askEvery = 1 << 20

func newRoom(fs vfs.FS, dir string, p *pebble.Options, full func()) room {
	return room{fs: fs, dir: dir, reserve: 2 * memTables * int64(p.MemTableSize), full: full}
}

// reclaim has Pebble give back the space of what was deleted and collected, now
// rather than when it would come to it. It does not wait.
func (e *Engine) reclaim() {
	if !e.reclaiming.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer e.reclaiming.Store(false)
		_, err := e.Collect(e.background.ctx)
		if err == nil {
			err = e.Compact(e.background.ctx)
		}
		if err != nil && e.background.ctx.Err() == nil {
			e.opts.Log("store: making room: %v", err)
		}
	}()
}

// What is kept back of a device, in bytes: for the log, for memory to be written
// down, and for compactions, without which nothing that is deleted is ever free.
const (
	reserveShare = 4 // of the device
	minReserve   = 10 << 20
	maxReserve   = 256 << 20
)

// of is the reserve on a device of that size, at most half of it.
func (r *room) of(total int64) int64 {
	return min(max(r.reserve, total/reserveShare, minReserve), maxReserve, total/2)
}

// deleteShare of the reserve is kept back from transactions that only delete.
const deleteShare = 4

// take sets size bytes aside, or refuses with engine.ErrFull.
func (r *room) take(size int, deletes bool) error {
	need := 2 * int64(size) // in the log and in a table
	if r.left -= need; r.left >= 0 {
		return nil
	}
	r.left = 0
	u, err := r.fs.GetDiskUsage(r.dir)
	if err != nil {
		r.left = askEvery // a volume that cannot tell (vfs.NewMem) is endless
		return nil
	}
	reserve := r.of(int64(u.TotalBytes))
	if deletes && int64(u.AvailBytes) >= reserve/deleteShare+need {
		return nil
	}
	if int64(u.AvailBytes) < reserve+need {
		r.full()
		return engine.ErrFull
	}
	r.left = min(askEvery, int64(u.AvailBytes)-reserve-need)
	return nil
}

// Space tells the bytes of the device, and those that transactions may still take;
// both are 0 where the volume cannot tell.
func (e *Engine) Space() (total, free uint64, err error) {
	u, err := e.room.fs.GetDiskUsage(e.room.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return 0, 0, nil
	}
	reserve := uint64(e.room.of(int64(u.TotalBytes)))
	return u.TotalBytes, u.AvailBytes - min(u.AvailBytes, reserve), err
}
