package linux

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

var positionCalls = []call{
	{unix.SYS_PREAD64, (*System).pread},
	{unix.SYS_PWRITE64, (*System).pwrite},
	{unix.SYS_LSEEK, (*System).lseek},
}

func (s *System) pread(a *[6]uintptr) (int, syscall.Errno) {
	return s.positioned(a, (*openFile).pread, (*System).accessed)
}

func (s *System) pwrite(a *[6]uintptr) (int, syscall.Errno) {
	return s.positioned(a, (*openFile).pwrite, (*System).modified)
}

// positioned is pread(2) and pwrite(2).
func (s *System) positioned(a *[6]uintptr, do func(f *openFile, p []byte, off int64) (int, error), tell func(*System, *openFile, int)) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	n, err := 0, error(syscall.EINVAL)
	if off := int64(a[3]); off >= 0 {
		var p []byte
		if p, e = buffer(&a[1], a[2]); e != 0 {
			err = e
		} else {
			n, err = do(f, p, off)
			tell(s, f, n)
		}
	}
	f.release()
	return result(n, err)
}

func (f *openFile) pread(p []byte, off int64) (int, error) {
	if !f.readable() {
		return 0, syscall.EBADF
	}
	if f.reader == nil {
		return 0, f.noPosition()
	}
	return f.reader.ReadAt(p, off)
}

// noPosition is the errno for a positioned call on what has no positions.
func (f *openFile) noPosition() syscall.Errno {
	if _, ok := f.description.(Directory); ok {
		return syscall.EISDIR
	}
	return syscall.ESPIPE
}

// pwrite on a descriptor with O_APPEND appends, as Linux does.
func (f *openFile) pwrite(p []byte, off int64) (int, error) {
	switch {
	case !f.writable():
		return 0, syscall.EBADF
	case f.writer == nil:
		return 0, f.noPosition()
	case f.flags.Load()&syscall.O_APPEND != 0:
		n, _, err := f.writer.Append(p)
		return n, err
	}
	return f.writer.WriteAt(p, off)
}

func (s *System) lseek(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	at, err := f.seek(int64(a[1]), int(int32(a[2])))
	f.release()
	return result(int(at), err)
}

// seek moves the offset of a file or of a directory.
func (f *openFile) seek(off int64, whence int) (int64, error) {
	if f.flags.Load()&oPath != 0 {
		return 0, syscall.EBADF
	}
	sized, ok := f.description.(Seeker)
	if _, ok := f.description.(*inotify); ok {
		return 0, nil // it has an offset that means nothing, and stays
	}
	if _, directory := f.description.(Directory); !ok && !directory {
		return 0, syscall.ESPIPE
	}
	f.position.Lock()
	defer f.position.Unlock()
	at, err := f.seekTarget(sized, off, whence)
	if err == nil && at < 0 {
		err = syscall.EINVAL
	}
	if err != nil {
		return 0, err
	}
	f.offset = at
	return at, nil
}

// seekTarget is where a seek leads; sized is nil for a directory.
func (f *openFile) seekTarget(sized Seeker, off int64, whence int) (int64, error) {
	switch {
	case whence == unix.SEEK_SET:
		return off, nil
	case whence == unix.SEEK_CUR:
		return plus(f.offset, off)
	case sized == nil:
		return 0, syscall.EINVAL
	case whence == unix.SEEK_END:
		size, err := sized.Size()
		if err != nil {
			return 0, err
		}
		return plus(size, off)
	case whence == unix.SEEK_DATA:
		return sized.SeekData(off)
	case whence == unix.SEEK_HOLE:
		return sized.SeekHole(off)
	}
	return 0, syscall.EINVAL
}

func plus(a, b int64) (int64, error) {
	if b > 0 && a > math.MaxInt64-b {
		return 0, syscall.EOVERFLOW
	}
	return a + b, nil
}
