package blockfs

import (
	"slices"
	"sync"
	"sync/atomic"
)

// fetches are the stretches of files that Prefetch has announced. A stretch is read
// from the device in few large pieces, by whoever reads in it first. There are few at
// a time, so that who announces much holds little memory.
type fetches struct {
	any  atomic.Bool // there is one
	mu   sync.Mutex
	list []*fetch // the newest last
}

// fetch is a stretch of a file that is about to be read from start to end.
type fetch struct {
	in       *inode
	off, end int64
	ahead    readAhead
}

// announce adds a stretch, in place of an older one of the same file, or of the
// oldest of all.
func (s *fetches) announce(in *inode, off, end int64) {
	f := &fetch{in: in, off: off, end: end}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(x *fetch) bool { return x.in == in && x.off < end && off < x.end })
	if len(s.list) == maxFetches {
		s.list = slices.Delete(s.list, 0, 1)
	}
	s.list = append(s.list, f)
	s.any.Store(true)
}

// find returns the stretch that holds n bytes from off, nil if there is none.
func (s *fetches) find(in *inode, off, n int64) *fetch {
	if !s.any.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.list {
		if f.in == in && f.off <= off && off+n <= f.end {
			return f
		}
	}
	return nil
}

// forget drops a stretch that was read to its end, and its memory.
func (s *fetches) forget(f *fetch) { s.drop(func(x *fetch) bool { return x == f }) }

// forgetFile drops those of a file.
func (s *fetches) forgetFile(in *inode) { s.drop(func(x *fetch) bool { return x.in == in }) }

func (s *fetches) drop(which func(*fetch) bool) {
	if !s.any.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, which)
	s.any.Store(len(s.list) > 0)
}

// readFetched is FS.readAt by way of the stretches.
func (fs *FS) readFetched(in *inode, p []byte, off int64) (int, error) {
	f := fs.fetches.find(in, off, int64(len(p)))
	if f == nil {
		return fs.readAt(in, p, off)
	}
	n, err := f.ahead.readAt(fs, in, p, off, f.end)
	if off+int64(n) == f.end {
		fs.fetches.forget(f)
	}
	return n, err
}
