package blockdev

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// File is a device kept in a file, or a block device of the host. It holds an
// exclusive lock (flock) on it, so that two programs do not use one volume.
type File struct {
	f      *os.File
	size   int64
	sector int
	made   bool
}

// OpenFile opens the device at path. Where there is no file, or an empty one, and
// create is positive, it makes one of that many bytes, sparse. sector is the
// sector size to present, a power of two of at least 512.
func OpenFile(path string, create int64, sector int) (*File, error) {
	if sector < 512 || sector&(sector-1) != 0 {
		return nil, fmt.Errorf("blockdev: sector size %d: want a power of two of at least 512", sector)
	}
	flags := os.O_RDWR
	if create > 0 {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	size, made, err := prepare(f, create)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("blockdev: %s: %w", path, err), f.Close())
	}
	return &File{f: f, size: size - size%int64(sector), sector: sector, made: made}, nil
}

// prepare locks f and finds out its size, which it gives an empty file.
func prepare(f *os.File, create int64) (size int64, made bool, err error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return 0, false, fmt.Errorf("in use by another program: %w", err)
	}
	size, err = f.Seek(0, io.SeekEnd) // also right for block devices
	if err != nil || size > 0 || create <= 0 {
		return size, false, err
	}
	return create, true, f.Truncate(create)
}

// Made tells whether the file was absent or empty before.
func (d *File) Made() bool { return d.made }

// Size is the capacity in bytes.
func (d *File) Size() int64 { return d.size }

// SectorSize is the sector size in bytes.
func (d *File) SectorSize() int { return d.sector }

// ReadAt fills p from off.
func (d *File) ReadAt(p []byte, off int64) (int, error) {
	if err := CheckRange(off, int64(len(p)), d.size, d.sector); err != nil {
		return 0, err
	}
	return d.f.ReadAt(p, off)
}

// WriteAt writes p at off.
func (d *File) WriteAt(p []byte, off int64) (int, error) {
	if err := CheckRange(off, int64(len(p)), d.size, d.sector); err != nil {
		return 0, err
	}
	return d.f.WriteAt(p, off)
}

// Flush waits until all writes are on the host's disk (fdatasync).
func (d *File) Flush() error { return unix.Fdatasync(int(d.f.Fd())) }

// Discard gives the host its space back, where the host's file system can.
func (d *File) Discard(off, n int64) error {
	if err := CheckRange(off, n, d.size, d.sector); err != nil {
		return err
	}
	return unix.Fallocate(int(d.f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

// Close gives the lock up and closes the file. It does not flush.
func (d *File) Close() error { return d.f.Close() }
