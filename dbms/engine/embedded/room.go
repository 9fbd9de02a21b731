package embedded

import (
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
	left    int64 // bytes that may be written before asking the volume again
}

// askEvery is how many bytes are written between two looks at what is free.
const askEvery = 1 << 20

func newRoom(fs vfs.FS, dir string, p *pebble.Options) room {
	return room{fs: fs, dir: dir, reserve: 2 * memTables * int64(p.MemTableSize)}
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
	reserve := min(r.reserve, int64(u.TotalBytes/8))
	if deletes {
		if int64(u.AvailBytes) < reserve/deleteShare+need {
			return engine.ErrFull
		}
		return nil
	}
	if int64(u.AvailBytes) < reserve+need {
		return engine.ErrFull
	}
	r.left = min(askEvery, int64(u.AvailBytes)-reserve-need)
	return nil
}
