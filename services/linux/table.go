package linux

import (
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	// MaxDescriptors bounds the descriptor numbers of the system.
	MaxDescriptors = 1 << 16

	tableChunk = 1 << 10
)

// table maps descriptor numbers to open files. Reading it takes no lock: the
// two levels grow and never move. mu serialises calls that look at a slot and
// then change it (dup2).
type table struct {
	mu     sync.Mutex
	chunks [MaxDescriptors / tableChunk]atomic.Pointer[chunk]
}

type chunk [tableChunk]slot

type slot struct {
	file        atomic.Pointer[openFile]
	closeOnExec atomic.Bool
}

// slot returns the place of fd, nil where no descriptor of its chunk was
// ever used or fd is out of range.
func (t *table) slot(fd int) *slot {
	if uint(fd) >= MaxDescriptors {
		return nil
	}
	c := t.chunks[fd/tableChunk].Load()
	if c == nil {
		return nil
	}
	return &c[fd%tableChunk]
}

// grow returns the place of fd, which is in range, making its chunk.
func (t *table) grow(fd int) *slot {
	p := &t.chunks[fd/tableChunk]
	if p.Load() == nil {
		p.CompareAndSwap(nil, new(chunk))
	}
	return &p.Load()[fd%tableChunk]
}

// get returns the file of the descriptor with a reference taken; the caller
// releases it. nil if the descriptor is not open.
func (t *table) get(fd int) *openFile {
	s := t.slot(fd)
	if s == nil {
		return nil
	}
	for {
		f := s.file.Load()
		if f == nil || f.acquire() {
			return f
		}
	}
}

// file returns the open file of a descriptor argument with a reference that
// the caller releases.
func (s *System) file(fd uintptr) (*openFile, syscall.Errno) {
	f := s.table.get(int(int32(fd)))
	if f == nil {
		return nil, syscall.EBADF
	}
	return f, 0
}

// usableFile is file for calls that do something with the file, which a descriptor
// that only names it (O_PATH) does not allow.
func (s *System) usableFile(fd uintptr) (*openFile, syscall.Errno) {
	f, e := s.file(fd)
	if e == 0 && f.flags.Load()&oPath != 0 {
		f.release()
		return nil, syscall.EBADF
	}
	return f, e
}

// Has tells whether the descriptor is one of this package's, so that a
// kernel which owns others (epoll, eventfd, timerfd) can tell whose call it is.
func (s *System) Has(fd int) bool {
	slot := s.table.slot(fd)
	return slot != nil && slot.file.Load() != nil
}

// Install gives the description the lowest free descriptor. flags are those
// of open(2): the access mode, O_NONBLOCK, O_APPEND and so on; O_CLOEXEC
// sets close-on-exec. On failure the description is closed.
func (s *System) Install(d Description, flags uint32, path string) (int, error) {
	f := s.newOpenFile(d, flags&^syscall.O_CLOEXEC, path)
	fd, e := s.installAt(f, 0, flags&syscall.O_CLOEXEC != 0)
	if e != 0 {
		return -1, closeAfter(d, e)
	}
	return fd, nil
}

// closeAfter closes the description and returns the error that led to it,
// which outweighs one of closing.
func closeAfter(d Description, e syscall.Errno) error {
	_ = d.Close() // e is the news
	return e
}

// installAt gives the file the lowest free descriptor at or above min, and
// with it a reference.
func (s *System) installAt(f *openFile, min int, closeOnExec bool) (int, syscall.Errno) {
	fd, ok := s.kernel.AllocFD(min, f.pollable)
	if !ok {
		return -1, syscall.EMFILE
	}
	if fd >= s.limitDescriptors() {
		s.kernel.FreeFD(fd)
		return -1, syscall.EMFILE
	}
	s.put(fd, f, closeOnExec)
	return fd, 0
}

// put fills a slot whose number the kernel has given.
func (s *System) put(fd int, f *openFile, closeOnExec bool) {
	f.references.Add(1)
	slot := s.table.grow(fd)
	slot.closeOnExec.Store(closeOnExec)
	f.attach(fd)
	slot.file.Store(f)
}

// take empties the slot of fd and returns what was there; the descriptor's
// reference passes to the caller. The number stays allocated.
func (s *System) take(fd int) *openFile {
	slot := s.table.slot(fd)
	if slot == nil {
		return nil
	}
	f := slot.file.Swap(nil)
	if f != nil {
		f.detach(fd)
	}
	return f
}

// closeDescriptor is close(2).
func (s *System) closeDescriptor(fd int) syscall.Errno {
	f := s.take(fd)
	if f == nil {
		return syscall.EBADF
	}
	s.kernel.FreeFD(fd)
	s.closed(f)
	return errno(f.release())
}
