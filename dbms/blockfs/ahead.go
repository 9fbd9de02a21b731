package blockfs

import (
	"io"
	"sync"
)

// readAhead serves a handle that reads from start to end, as compactions and
// scans do block by block, with few large reads of the device. There is no page
// cache below that would do it. The window takes memory from the first read on
// until the handle is closed.
type readAhead struct {
	mu      sync.Mutex
	off     int64
	window  []byte
	version uint64 // of the content in the window
}

// readAt is FS.readAt through the window, which does not reach beyond end.
func (a *readAhead) readAt(fs *FS, in *inode, p []byte, off, end int64) (int, error) {
	if len(p) >= aheadBytes || off < 0 {
		return fs.readAt(in, p, off)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	in.view.RLock()
	version, size := in.version, in.size
	in.view.RUnlock()
	if n := min(int64(len(p)), size-off); n > 0 && (version != a.version || off < a.off || off+n > a.off+int64(len(a.window))) {
		if err := a.fill(fs, in, off, min(size, end)); err != nil {
			return 0, err
		}
		a.version = version // taken before reading: a change since then is noticed
	}
	n := 0
	if off < size {
		n = copy(p, a.window[off-a.off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fill moves the window to off; it ends at end at the latest.
func (a *readAhead) fill(fs *FS, in *inode, off, end int64) error {
	a.off = alignDown(off, fs.sector)
	size := min(aheadBytes+maxSector, end-a.off)
	if int64(cap(a.window)) < size {
		a.window = make([]byte, size)
	}
	a.window = a.window[:size]
	n, err := fs.readAt(in, a.window, a.off)
	a.window = a.window[:n]
	if err == io.EOF {
		err = nil
	}
	if err != nil {
		a.window = a.window[:0]
	}
	return err
}
