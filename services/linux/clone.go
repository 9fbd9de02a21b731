package linux

import (
	"math"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
)

// leastShared is how many bytes are copied by reference rather than by moving them:
// who does that has all changes stored first.
const leastShared = 64 << 10

// copyRange copies up to length bytes between files of the file service, by reference
// where pages allow it. It advances both offsets.
func copyRange(in, out *openFile, from, to *int64, length int) (int, error) {
	write := func(p []byte) (int, error) {
		n, err := out.writer.WriteAt(p, *to)
		*to += int64(n)
		return n, err
	}
	if length < leastShared || (*from-*to)%file.BlockSize != 0 {
		return copyOut(in, from, length, write)
	}
	head := int(-*from & (file.BlockSize - 1))
	done, err := copyOut(in, from, head, write)
	if err != nil || done < head {
		return done, err
	}
	n, err := shareRange(in, out, *from, *to, int64(length-done))
	*from, *to, done = *from+n, *to+n, done+int(n)
	if err != nil {
		return partly(done, err)
	}
	n2, err := copyOut(in, from, length-done, write)
	return partly(done+n2, err)
}

// shareRange copies by reference what can be of length bytes, and returns how many
// those are. Offsets are multiples of the page size.
func shareRange(in, out *openFile, from, to, length int64) (int64, error) {
	source, target := in.description.(*diskFile), out.description.(*diskFile)
	size := source.inode.Size()
	length = min(length, size-from)
	if from+length < size || to+length < target.inode.Size() {
		length &^= file.BlockSize - 1
	}
	if length < leastShared || source.inode.Mapped() || target.inode.Mapped() {
		return 0, nil
	}
	if err := target.clone(source, from, to, length); err != nil {
		return 0, err
	}
	return length, nil
}

// clone makes a part of the file a copy by reference, durable if that is asked for.
func (d *diskFile) clone(source *diskFile, from, to, length int64) error {
	err := d.inode.CloneFrom(source.inode, from, to, length)
	if err == nil && d.sync {
		err = d.inode.Sync()
	}
	return err
}

// fileCloneRange is the argument of FICLONERANGE.
type fileCloneRange struct {
	fd                 int64
	from, length, into uint64
}

// cloneWhole serves FICLONE: the target becomes a copy of the source, by reference.
func (s *System) cloneWhole(out *openFile, source uintptr) syscall.Errno {
	return s.clone(out, fileCloneRange{fd: int64(int32(source))})
}

// clone serves FICLONERANGE, where a length of 0 is up to the end of the source.
func (s *System) clone(out *openFile, r fileCloneRange) syscall.Errno {
	in, e := s.file(uintptr(r.fd))
	if e != 0 {
		return e
	}
	defer in.release()
	if e := copyable(in, out); e != 0 {
		return e
	}
	if max(r.from, r.length, r.into) > math.MaxInt64 {
		return syscall.EINVAL
	}
	source, target := in.description.(*diskFile), out.description.(*diskFile)
	from, length := int64(r.from), int64(r.length)
	size := source.inode.Size()
	switch {
	case from > size:
		return syscall.EINVAL
	case length == 0:
		length = size - from
	}
	return errno(target.clone(source, from, int64(r.into), length))
}
