package linux

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

var copyCalls = []call{
	{unix.SYS_SENDFILE, (*System).sendfile},
	{unix.SYS_COPY_FILE_RANGE, (*System).copyFileRange},
	{unix.SYS_SPLICE, (*System).notSupported},
	{unix.SYS_TEE, (*System).notSupported},
	{unix.SYS_VMSPLICE, (*System).notSupported},
}

// notSupported is the answer that makes callers copy by hand.
func (s *System) notSupported(*[6]uintptr) (int, syscall.Errno) { return 0, syscall.EINVAL }

// copyBuffer is the size of the pieces in which files are copied, in bytes.
const copyBuffer = 128 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// sendfile copies from a file to any descriptor. It returns after what a
// non-blocking target takes at once.
func (s *System) sendfile(a *[6]uintptr) (int, syscall.Errno) {
	out, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer out.release()
	in, e := s.file(a[1])
	if e != 0 {
		return 0, e
	}
	defer in.release()
	if !in.readable() || !out.writable() {
		return 0, syscall.EBADF
	}
	if in.reader == nil || out.flags.Load()&syscall.O_APPEND != 0 {
		return 0, syscall.EINVAL
	}
	off, e := newOffset(in, &a[2])
	if e != 0 {
		return 0, e
	}
	defer off.done()
	n, err := copyOut(in, off.at, min(int(a[3]), maxTransfer), out.write)
	s.accessed(in, n)
	s.modified(out, n)
	return result(n, err)
}

// copyFileRange copies between two files.
func (s *System) copyFileRange(a *[6]uintptr) (int, syscall.Errno) {
	if a[5] != 0 {
		return 0, syscall.EINVAL
	}
	in, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer in.release()
	out, e := s.file(a[2])
	if e != 0 {
		return 0, e
	}
	defer out.release()
	if e := copyable(in, out); e != 0 {
		return 0, e
	}
	if in == out && a[1] == 0 && a[3] == 0 {
		return 0, syscall.EINVAL // one offset for both sides
	}
	from, e := newOffset(in, &a[1])
	if e != 0 {
		return 0, e
	}
	defer from.done()
	to, e := newOffset(out, &a[3])
	if e != 0 {
		return 0, e
	}
	defer to.done()
	size := in.description.(*diskFile).inode.Size()
	length := int(min(int64(min(a[4], maxTransfer)), max(size-*from.at, 0)))
	if sameInode(in, out) && *from.at < *to.at+int64(length) && *to.at < *from.at+int64(length) {
		return 0, syscall.EINVAL
	}
	n, err := copyRange(in, out, from.at, to.at, length)
	s.accessed(in, n)
	s.modified(out, n)
	return result(n, err)
}

// copyable checks the two sides of copy_file_range.
func copyable(in, out *openFile) syscall.Errno {
	for _, f := range []*openFile{in, out} {
		if _, ok := f.description.(Directory); ok {
			return syscall.EISDIR
		}
		if _, ok := f.description.(*diskFile); !ok {
			return syscall.EINVAL
		}
	}
	if !in.readable() || !out.writable() || out.flags.Load()&syscall.O_APPEND != 0 {
		return syscall.EBADF
	}
	return 0
}

func sameInode(a, b *openFile) bool {
	x, ok := a.description.(located)
	y, ok2 := b.description.(located)
	return ok && ok2 && x.node() == y.node()
}

// offset is where a copying call reads or writes: the place that an argument
// points to or the file's own offset, taken at the start and put back by done.
// It is not locked meanwhile, since two files can be copied both ways at once.
type offset struct {
	at   *int64
	file *openFile // whose own offset it is, nil if none
}

func newOffset(f *openFile, word *uintptr) (offset, syscall.Errno) {
	if *word != 0 {
		at, e := object[int64](word)
		if e == 0 && *at < 0 {
			e = syscall.EINVAL
		}
		return offset{at: at}, e
	}
	f.position.Lock()
	at := f.offset
	f.position.Unlock()
	return offset{&at, f}, 0
}

func (o offset) done() {
	if o.file != nil {
		o.file.position.Lock()
		o.file.offset = *o.at
		o.file.position.Unlock()
	}
}

// copyOut moves up to length bytes from the file into write, advancing *at
// by what write took.
func copyOut(in *openFile, at *int64, length int, write func([]byte) (int, error)) (int, error) {
	buffer := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buffer)
	total := 0
	for total < length {
		n, err := in.reader.ReadAt(buffer[:min(length-total, copyBuffer)], *at)
		if n == 0 || err != nil {
			return partly(total, err)
		}
		m, err := write(buffer[:n])
		*at += int64(m)
		if total += m; err != nil || m < n {
			return partly(total, err)
		}
	}
	return total, nil
}

// partly is the result of a transfer that stopped: an error only if nothing
// was moved.
func partly(n int, err error) (int, error) {
	if n > 0 {
		return n, nil
	}
	return 0, err
}
