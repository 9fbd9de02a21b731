package linux

import (
	"syscall"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

// The st_dev of the file systems.
const (
	deviceFiles     = 0x0801 // 8:1
	deviceProc      = 0x0014
	deviceSys       = 0x0015
	deviceAnonymous = 0x000e // pipes and the like
)

// diskNode is an inode of the file service.
type diskNode struct{ *file.Inode }

func (diskNode) device() uint64 { return deviceFiles }

func (n diskNode) Lookup(name string) (node, error) {
	child, err := n.Inode.Lookup(name)
	if err != nil {
		return nil, err
	}
	return diskNode{child}, nil
}

func (n diskNode) Parent() (node, error) {
	parent, err := n.Inode.Parent()
	if err != nil {
		return nil, err
	}
	return diskNode{parent}, nil
}

func (n diskNode) open(flags uint32) (Description, error) {
	if err := n.Open(); err != nil {
		return nil, err
	}
	return &diskFile{inode: n.Inode}, nil
}

// diskFile is an open file of the file service.
type diskFile struct {
	inode *file.Inode
	sync  bool // O_SYNC or O_DSYNC; set once, before the first use
	cut   bool // to nothing, as it was opened; likewise
}

func (d *diskFile) node() node { return diskNode{d.inode} }

// FlagsChanged keeps O_SYNC, which fcntl cannot change.
func (d *diskFile) FlagsChanged(flags uint32) {
	if flags&unix.O_DSYNC != 0 && !d.sync {
		d.sync = true
	}
}

func (d *diskFile) Read(p []byte) (int, error)  { return d.ReadAt(p, 0) }
func (d *diskFile) Write(p []byte) (int, error) { return d.WriteAt(p, 0) }

func (d *diskFile) ReadAt(p []byte, off int64) (int, error) { return d.inode.ReadAt(p, off) }

func (d *diskFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := d.inode.WriteAt(p, off)
	return d.written(n, err)
}

func (d *diskFile) Append(p []byte) (int, int64, error) {
	n, end, err := d.inode.Append(p)
	n, err = d.written(n, err)
	return n, end, err
}

// written is the result of a write: a part that was taken is a success, and
// the error comes back with the next.
func (d *diskFile) written(n int, err error) (int, error) {
	if n == 0 {
		return 0, err
	}
	if d.sync {
		if err := d.inode.Sync(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (d *diskFile) Stat(st *syscall.Stat_t) error {
	a := d.inode.Attr()
	fillStat(st, deviceFiles, &a)
	return nil
}

func (d *diskFile) Ready() uint32 { return syscall.EPOLLIN | syscall.EPOLLOUT }

func (d *diskFile) Close() error { return d.inode.Close() }

func (d *diskFile) Size() (int64, error) { return d.inode.Size(), nil }

func (d *diskFile) SeekData(off int64) (int64, error) { return d.inode.SeekData(off) }

func (d *diskFile) SeekHole(off int64) (int64, error) { return d.inode.SeekHole(off) }

func (d *diskFile) Truncate(size int64) error { return d.inode.Truncate(size) }

func (d *diskFile) Sync() error { return d.inode.Sync() }

// Allocate serves fallocate(2). Space is not set aside, since a log-structured
// store has no place to keep it; the size grows as asked.
func (d *diskFile) Allocate(mode uint32, off, n int64) error {
	switch mode {
	case 0:
		if d.inode.Size() < off+n {
			return d.inode.Truncate(off + n)
		}
		return nil
	case unix.FALLOC_FL_KEEP_SIZE:
		return nil
	case unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE:
		return d.inode.PunchHole(off, n)
	case unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE:
		if err := d.inode.PunchHole(off, n); err != nil {
			return err
		}
		if mode&unix.FALLOC_FL_KEEP_SIZE == 0 && d.inode.Size() < off+n {
			return d.inode.Truncate(off + n)
		}
		return nil
	}
	return syscall.EOPNOTSUPP
}
