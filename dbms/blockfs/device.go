package blockfs

import (
	"errors"
	"fmt"
	"io"
)

// Device is the block device under a volume: a disk, a file that plays one, or
// a wrapper around either (encryption at rest is such a wrapper; it needs
// nothing from this package).
//
// All methods may be called concurrently. The guarantees relied upon:
//
//   - a sector is written whole or not at all when power fails;
//   - a write that returned is seen by every later read;
//   - what was written before Flush was called is durable when it returns nil;
//   - nothing is promised about the order or completeness of other writes.
type Device interface {
	// ReadAt fills p from byte offset off; both are multiples of SectorSize.
	ReadAt(p []byte, off int64) (int, error)
	// WriteAt writes p at byte offset off; both are multiples of SectorSize. The
	// device may hold on to the data until Flush.
	WriteAt(p []byte, off int64) (int, error)
	// Flush makes all completed writes durable.
	Flush() error
	// Discard says that n bytes from off are no longer needed. It is advice:
	// reading them later may give anything.
	Discard(off, n int64) error
	// Size is the capacity in bytes.
	Size() int64
	// SectorSize is the unit of writing in bytes, a power of two, at least 512.
	SectorSize() int
}

// readDevice fills p or returns an error; it never gives back a short read.
func readDevice(dev Device, p []byte, off int64) error {
	n, err := dev.ReadAt(p, off)
	if n == len(p) && (err == nil || errors.Is(err, io.EOF)) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("blockfs: read %d bytes at %d: %w", len(p), off, err)
}

// writeDevice writes all of p or returns an error.
func writeDevice(dev Device, p []byte, off int64) error {
	n, err := dev.WriteAt(p, off)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("blockfs: write %d bytes at %d: %w", len(p), off, err)
	}
	return nil
}

// checkDevice refuses a device whose geometry this package cannot use.
func checkDevice(dev Device) error {
	s := dev.SectorSize()
	if s < minSector || s > maxSector || s&(s-1) != 0 {
		return fmt.Errorf("%w: sectors of %d bytes, which is not a power of two from %d to %d", ErrDevice, s, minSector, maxSector)
	}
	if dev.Size() < minDeviceBytes {
		return fmt.Errorf("%w: its %d bytes are too few, at least %d are needed", ErrDevice, dev.Size(), minDeviceBytes)
	}
	if dev.Size()/blockSize > maxDeviceBlocks {
		return fmt.Errorf("%w: its %d bytes are too many", ErrDevice, dev.Size())
	}
	return nil
}

func alignDown(n, unit int64) int64 { return n - n%unit }

func alignUp(n, unit int64) int64 { return alignDown(n+unit-1, unit) }
