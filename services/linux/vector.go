package linux

import (
	"syscall"

	"golang.org/x/sys/unix"
)

var vectorCalls = []call{
	{unix.SYS_READV, (*System).readv},
	{unix.SYS_WRITEV, (*System).writev},
	{unix.SYS_PREADV, (*System).preadv},
	{unix.SYS_PWRITEV, (*System).pwritev},
	{unix.SYS_PREADV2, (*System).preadv2},
	{unix.SYS_PWRITEV2, (*System).pwritev2},
}

// Gatherer is a description that takes several buffers as one write, which
// matters where messages have borders (datagrams) and where pieces are dear
// (streams). It may take a part.
type Gatherer interface {
	WriteVector(parts [][]byte) (int, error)
}

// Scatterer is the reading side of Gatherer.
type Scatterer interface {
	ReadVector(parts [][]byte) (int, error)
}

// here stands for the file's own offset.
const here = -1

func (s *System) readv(a *[6]uintptr) (int, syscall.Errno) { return s.vectored(a, here, false) }

func (s *System) writev(a *[6]uintptr) (int, syscall.Errno) { return s.vectored(a, here, true) }

func (s *System) preadv(a *[6]uintptr) (int, syscall.Errno) { return s.vectoredAt(a, false) }

func (s *System) pwritev(a *[6]uintptr) (int, syscall.Errno) { return s.vectoredAt(a, true) }

// vectoredAt takes the offset from the fourth argument (the fifth would be
// its upper half on 32 bits).
func (s *System) vectoredAt(a *[6]uintptr, write bool) (int, syscall.Errno) {
	off := int64(a[3])
	if off < 0 {
		return 0, syscall.EINVAL
	}
	return s.vectored(a, off, write)
}

func (s *System) preadv2(a *[6]uintptr) (int, syscall.Errno) { return s.vectoredWith(a, false) }

func (s *System) pwritev2(a *[6]uintptr) (int, syscall.Errno) { return s.vectoredWith(a, true) }

// vectoredWith is vectoredAt with flags, where -1 stands for the file's own offset. Of
// the flags, those are known that ask for a write to be durable; polling (RWF_HIPRI) is
// a hint. Others are refused, since their callers count on what they say.
func (s *System) vectoredWith(a *[6]uintptr, write bool) (int, syscall.Errno) {
	off, flags := int64(a[3]), a[5]
	switch {
	case off < 0 && off != here:
		return 0, syscall.EINVAL
	case flags&^(unix.RWF_DSYNC|unix.RWF_SYNC|unix.RWF_HIPRI) != 0:
		return 0, syscall.EOPNOTSUPP
	}
	n, e := s.vectored(a, off, write)
	if e != 0 || n == 0 || !write || flags&(unix.RWF_DSYNC|unix.RWF_SYNC) == 0 {
		return n, e
	}
	if _, e := s.fsync(&[6]uintptr{a[0]}); e != 0 && e != syscall.EINVAL { // a pipe has nothing to sync
		return 0, e
	}
	return n, 0
}

func (s *System) vectored(a *[6]uintptr, off int64, write bool) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	list, e := vectors(&a[1], a[2])
	if e != 0 {
		return 0, e
	}
	if write && !f.writable() || !write && !f.readable() {
		return 0, syscall.EBADF
	}
	if off == here && f.pollable {
		if g, ok := f.description.(Gatherer); ok && write {
			return result(f.gather(g, parts(list)))
		}
		if g, ok := f.description.(Scatterer); ok && !write {
			return result(f.scatter(g, parts(list)))
		}
	}
	n, err := f.each(list, off, write)
	if write {
		s.modified(f, n)
	} else {
		s.accessed(f, n)
	}
	return result(n, err)
}

func parts(list []syscall.Iovec) [][]byte {
	parts := make([][]byte, len(list))
	for i := range list {
		parts[i] = vector(&list[i])
	}
	return parts
}

// gather writes all parts of a blocking descriptor, what fits of another.
func (f *openFile) gather(g Gatherer, parts [][]byte) (int, error) {
	total := 0
	for {
		n, err := g.WriteVector(parts)
		if err == syscall.EAGAIN {
			n, err = f.again(syscall.EPOLLOUT, f.writeTimeout(), func() (int, error) { return g.WriteVector(parts) })
		}
		if err != nil && total > 0 {
			return total, nil
		}
		if err != nil {
			return 0, err
		}
		total += n
		if parts = skip(parts, n); len(parts) == 0 || f.nonblocking() {
			return total, nil
		}
	}
}

func (f *openFile) scatter(g Scatterer, parts [][]byte) (int, error) {
	n, err := g.ReadVector(parts)
	if err != syscall.EAGAIN {
		return n, err
	}
	return f.again(syscall.EPOLLIN, f.readTimeout(), func() (int, error) { return g.ReadVector(parts) })
}

// skip drops the first n bytes of the parts, and parts that are empty.
func skip(parts [][]byte, n int) [][]byte {
	for len(parts) > 0 && n >= len(parts[0]) {
		n -= len(parts[0])
		parts = parts[1:]
	}
	if len(parts) > 0 {
		parts[0] = parts[0][n:]
	}
	return parts
}

// each carries out one transfer for each buffer until one falls short. What
// has arrived is returned rather than waited on.
func (f *openFile) each(list []syscall.Iovec, off int64, write bool) (int, error) {
	total := 0
	for i := range list {
		p := vector(&list[i])
		if len(p) == 0 && len(list) > 1 {
			continue
		}
		if total > 0 && !write && f.pollable && f.description.Ready()&syscall.EPOLLIN == 0 {
			break
		}
		n, err := f.one(p, off, total, write)
		if total += n; err != nil && total == 0 {
			return 0, err
		}
		if err != nil || n < len(p) {
			break
		}
	}
	return total, nil
}

func (f *openFile) one(p []byte, off int64, done int, write bool) (int, error) {
	switch {
	case off == here && write:
		return f.write(p)
	case off == here:
		return f.read(p)
	case write:
		return f.pwrite(p, off+int64(done))
	}
	return f.pread(p, off+int64(done))
}
