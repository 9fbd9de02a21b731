package linux

import (
	"encoding/binary"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

var directoryCalls = []call{
	{unix.SYS_GETDENTS64, (*System).getdents64},
}

// directory is an open directory of any file system.
type directory struct {
	n node
}

func openDirectory(n node) (Description, error) {
	if err := pin(n); err != nil {
		return nil, err
	}
	return &directory{n}, nil
}

func (d *directory) node() node                { return d.n }
func (d *directory) Read([]byte) (int, error)  { return 0, syscall.EISDIR }
func (d *directory) Write([]byte) (int, error) { return 0, syscall.EBADF }
func (d *directory) Ready() uint32             { return syscall.EPOLLIN }
func (d *directory) Close() error              { return unpin(d.n) }

func (d *directory) Stat(st *syscall.Stat_t) error {
	a := d.n.Attr()
	fillStat(st, d.n.device(), &a)
	return nil
}

func (d *directory) Sync() error {
	if n, ok := d.n.(diskNode); ok {
		return n.Sync()
	}
	return nil
}

// The positions of the two entries that are not stored.
const (
	positionSelf   = 1
	positionParent = 2
)

// ReadDir lists "." and "..", then the names.
func (d *directory) ReadDir(position int64, emit func(Entry) bool) error {
	self := d.n.Attr().Number
	if position < positionSelf {
		if !emit(Entry{".", self, syscall.DT_DIR, positionSelf}) {
			return nil
		}
	}
	if position < positionParent {
		parent := self
		if n, err := d.n.Parent(); err == nil {
			parent = n.Attr().Number
		} else if err == syscall.ENOENT {
			return syscall.ENOENT // it was removed
		}
		if !emit(Entry{"..", parent, syscall.DT_DIR, positionParent}) {
			return nil
		}
	}
	return d.n.ReadDir(position, func(e file.Entry) bool {
		return emit(Entry{e.Name, e.Number, uint8(e.Mode >> 12), e.Position})
	})
}

// getdents64 fills the buffer with records of this layout, each padded to a
// multiple of 8 bytes (struct linux_dirent64):
//
//	0  inode (8)              18  type (1)
//	8  position behind (8)    19  name, zero-terminated
//	16 length of record (2)
func (s *System) getdents64(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	if !f.readable() {
		return 0, syscall.EBADF
	}
	d, ok := f.description.(Directory)
	if !ok {
		return 0, syscall.ENOTDIR
	}
	p, e := buffer(&a[1], uintptr(uint32(a[2])))
	if e != 0 {
		return 0, e
	}
	f.position.Lock()
	defer f.position.Unlock()
	used, refused := 0, false
	err := d.ReadDir(f.offset, func(e Entry) bool {
		n := putEntry(p[used:], e)
		refused = n == 0
		if !refused {
			used += n
			f.offset = e.Cookie
		}
		return !refused
	})
	if err == nil && used == 0 && refused {
		err = syscall.EINVAL // no room for even one
	}
	if err == nil {
		s.happened(f, unix.IN_ACCESS)
	}
	return result(used, err)
}

const entryHeader = 19

// putEntry encodes an entry and returns its length, 0 if it does not fit.
func putEntry(p []byte, e Entry) int {
	n := (entryHeader + len(e.Name) + 1 + 7) &^ 7
	if n > len(p) {
		return 0
	}
	binary.NativeEndian.PutUint64(p, e.Number)
	binary.NativeEndian.PutUint64(p[8:], uint64(e.Cookie))
	binary.NativeEndian.PutUint16(p[16:], uint16(n))
	p[18] = e.Type
	clear(p[entryHeader+copy(p[entryHeader:n], e.Name) : n])
	return n
}
