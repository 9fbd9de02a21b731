package linux

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// oPath marks a descriptor that only names a file (O_PATH).
const oPath = unix.O_PATH

var ioCalls = []call{
	{unix.SYS_READ, (*System).read},
	{unix.SYS_WRITE, (*System).write},
	{unix.SYS_CLOSE, (*System).close},
}

func (s *System) read(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	p, e := buffer(&a[1], a[2])
	if e != 0 {
		f.release()
		return 0, e
	}
	n, err := f.read(p)
	s.accessed(f, n)
	f.release()
	return result(n, err)
}

func (s *System) write(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	p, e := buffer(&a[1], a[2])
	if e != 0 {
		f.release()
		return 0, e
	}
	n, err := f.write(p)
	s.modified(f, n)
	f.release()
	return result(n, err)
}

func (s *System) close(a *[6]uintptr) (int, syscall.Errno) {
	return 0, s.closeDescriptor(int(int32(a[0])))
}

// read is read(2) on the open file, blocking as its flags say.
func (f *openFile) read(p []byte) (int, error) {
	if !f.readable() {
		return 0, syscall.EBADF
	}
	if f.reader != nil {
		f.position.Lock()
		n, err := f.reader.ReadAt(p, f.offset)
		f.offset += int64(n)
		f.position.Unlock()
		return n, err
	}
	n, err := f.description.Read(p)
	if err != syscall.EAGAIN {
		return n, err
	}
	return f.again(syscall.EPOLLIN, f.readTimeout(), func() (int, error) {
		return f.description.Read(p)
	})
}

func (f *openFile) readTimeout() time.Duration {
	if t, ok := f.description.(Timeouts); ok {
		return t.ReadTimeout()
	}
	return 0
}

func (f *openFile) writeTimeout() time.Duration {
	if t, ok := f.description.(Timeouts); ok {
		return t.WriteTimeout()
	}
	return 0
}

// write is write(2) on the open file. A blocking descriptor of a stream
// takes all of p, unless an error comes between.
func (f *openFile) write(p []byte) (int, error) {
	if !f.writable() {
		return 0, syscall.EBADF
	}
	if f.writer != nil {
		return f.writePosition(p)
	}
	n, err := f.description.Write(p)
	if err == nil && n == len(p) || err != nil && err != syscall.EAGAIN {
		return n, err
	}
	return f.writeRest(p, n, err)
}

// writeRest goes on with a write of which n bytes were taken.
func (f *openFile) writeRest(p []byte, n int, err error) (int, error) {
	for err == nil && n < len(p) && f.pollable && !f.nonblocking() {
		var m int
		if m, err = f.description.Write(p[n:]); m > 0 {
			n += m
		}
	}
	if err == syscall.EAGAIN {
		rest := p[n:]
		var m int
		if m, err = f.again(syscall.EPOLLOUT, f.writeTimeout(), func() (int, error) {
			return f.description.Write(rest)
		}); m > 0 {
			n += m
		}
		if err == nil && n < len(p) {
			return f.writeRest(p, n, nil)
		}
	}
	if n > 0 {
		return n, nil // the error will come back with the next write
	}
	return 0, err
}

func (f *openFile) writePosition(p []byte) (int, error) {
	f.position.Lock()
	defer f.position.Unlock()
	if f.flags.Load()&syscall.O_APPEND != 0 {
		n, end, err := f.writer.Append(p)
		if n > 0 {
			f.offset = end
		}
		return n, err
	}
	n, err := f.writer.WriteAt(p, f.offset)
	f.offset += int64(n)
	return n, err
}
