package file

import (
	"context"
	"sync"
	"syscall"
	"time"
)

// room keeps the device from filling up to where Pebble could not write its
// log, which it does not survive. It hands out what the device says is free,
// less a reserve for the log, flushes, compactions and for deleting, and asks
// again when that is used up.
type room struct {
	mu        sync.Mutex
	left      int64     // bytes that may be written before asking again
	full      time.Time // when the answer was last: nothing
	reclaimer sync.Mutex
}

const (
	// roomStep is the most that is handed out at once, in bytes: what is
	// written takes more space than its size until it is compacted.
	roomStep = 4 << 20

	// reserveShare of the device is kept back, within the two bounds: what
	// lsm.Fit lets Pebble have on the way, and room for a compaction to write
	// its new tables. Without that room no deletion would ever free anything.
	reserveShare = 4
	minReserve   = 8 << 20
	maxReserve   = 256 << 20

	// fullRetry is how soon a full device is asked again.
	fullRetry = 100 * time.Millisecond
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
	if time.Since(r.full) < fullRetry {
		return syscall.ENOSPC
	}
	total, free, err := fs.options.Space()
	if err != nil {
		r.left = roomStep // not known: the device itself will say
		return nil
	}
	available := int64(free) - reserve(total)
	if available < int64(n) {
		r.full = time.Now()
		go fs.reclaim()
		return syscall.ENOSPC
	}
	r.left = min(available/4, roomStep)
	r.left = max(r.left-int64(n), 0)
	return nil
}

// reserve is what is kept back of a device, in bytes; at most half of it.
func reserve(total uint64) int64 {
	r := min(max(total/reserveShare, minReserve), maxReserve)
	return int64(min(r, total/2))
}

// reclaim makes Pebble give back the space of what was deleted, now rather
// than when it would come to it.
func (fs *FS) reclaim() {
	if !fs.space.reclaimer.TryLock() {
		return
	}
	defer fs.space.reclaimer.Unlock()
	fs.closing.RLock()
	defer fs.closing.RUnlock()
	if fs.closed || fs.failed.Load() {
		return
	}
	err := fs.db.Flush()
	if err == nil {
		// In many small compactions: a single one would need as much space
		// again as there is data.
		err = fs.db.Compact(context.Background(), []byte{table}, []byte{table + 1}, true)
	}
	if err != nil {
		fs.options.Log("file: reclaiming space: %v", err)
	}
}

// Space tells the bytes of the device and those that files may still take.
// Where the device does not know, both are 0.
func (fs *FS) Space() (total, free uint64) {
	if fs.options.Space == nil {
		return 0, 0
	}
	total, free, err := fs.options.Space()
	if err != nil {
		return 0, 0
	}
	return total, free - min(free, uint64(reserve(total)))
}
