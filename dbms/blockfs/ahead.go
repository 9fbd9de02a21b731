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

// readAt is FS.readAt through the window.
func (a *readAhead) readAt(fs *FS, in *inode, p []byte, off int64) (int, error) {
	if len(p) >= aheadBytes || off < 0 {
		return fs.readAt(in, p, off)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	in.view.RLock()
	version, size := in.version, in.size
	in.view.RUnlock()
	if n := min(int64(len(p)), size-off); n > 0 && (version != a.version || off < a.off || off+n > a.off+int64(len(a.window))) {
		if err := a.fill(fs, in, off, size); err != nil {
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

// fill moves the window to off.
func (a *readAhead) fill(fs *FS, in *inode, off, size int64) error {
	if a.window == nil {
		a.window = make([]byte, aheadBytes+maxSector)
	}
	a.off = alignDown(off, fs.sector)
	a.window = a.window[:min(int64(cap(a.window)), size-a.off)]
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
