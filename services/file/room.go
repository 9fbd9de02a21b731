package file

import (
	"sync"
	"syscall"
)

// room refuses changes for which the store would have no space when they are stored
// later. It hands out what the store says is free, and asks again when that is used
// up.
type room struct {
	mu   sync.Mutex
	left int64 // bytes that may be written before asking again
}

const (
	// roomStep is the most that is handed out at once, in bytes.
	roomStep = 4 << 20

	// roomFactor is how many times its size a change may take up until the store has
	// compacted it.
	roomFactor = 2
)

// take claims n bytes of space: ENOSPC if there are none.
func (r *room) take(fs *FS, n int) error {
	if fs.options.Space == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left >= int64(n) {
		r.left -= int64(n)
		return nil
	}
	space := fs.options.Space()
	if space.Total == 0 {
		r.left = roomStep // not known: the device itself will say
		return nil
	}
	available := space.Free/roomFactor - fs.pending()
	if available < int64(n) {
		return syscall.ENOSPC
	}
	r.left = min(available/4, roomStep)
	r.left = max(r.left-int64(n), 0)
	return nil
}

// pending is about how many bytes have been changed and not yet stored.
func (fs *FS) pending() int64 {
	j := &fs.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.open.size.Load()
	if j.flushing != nil {
		n += j.flushing.size.Load()
	}
	return n
}

// Space tells the bytes of the device and those that files may still take, for which
// the past may have to go. Where the device does not know, both are 0.
func (fs *FS) Space() (total, free uint64) {
	if fs.options.Space == nil {
		return 0, 0
	}
	space := fs.options.Space()
	if space.Total == 0 {
		return 0, 0
	}
	left := space.Free + space.Past + fs.freedBytes.Load() - fs.pending()
	return uint64(space.Total), uint64(min(max(left, 0), space.Total))
}
