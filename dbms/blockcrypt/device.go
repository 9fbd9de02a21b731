package blockcrypt

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

// BlockDevice is the disk below. The contract is that of blockfs.Device: offsets
// and lengths in whole sectors, all methods called concurrently, writes durable
// after Flush.
type BlockDevice interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Flush() error
	Discard(off, n int64) error
	Size() int64
	SectorSize() int
}

// Device is the content of an encrypted device. It keeps the contract of the
// BlockDevice that it is on, and is 1 MiB smaller.
type Device struct {
	dev    BlockDevice
	size   int64
	sector int

	use    sync.RWMutex // held by who uses cipher, so that Close waits for them
	cipher unitCipher   // nil once closed
}

// ErrClosed says that the device was closed.
var ErrClosed = errors.New("blockcrypt: the device is closed")

// newDevice takes its own copy of the key.
func newDevice(dev BlockDevice, key []byte) (*Device, error) {
	c, err := newCipher(key)
	if err != nil {
		return nil, err
	}
	sector := dev.SectorSize()
	size := dev.Size() - dataStart
	return &Device{dev: dev, size: size - size%int64(sector), sector: sector, cipher: c}, nil
}

// Close wipes the expanded keys, as far as they are this package's (doc.go). It
// waits for requests that run; those that come later get ErrClosed. The disk
// below stays open.
func (d *Device) Close() {
	d.use.Lock()
	defer d.use.Unlock()
	if d.cipher != nil {
		d.cipher.wipe()
		d.cipher = nil
	}
}

// begin keeps the keys until the caller unlocks use.
func (d *Device) begin() error {
	d.use.RLock()
	if d.cipher == nil {
		d.use.RUnlock()
		return ErrClosed
	}
	return nil
}

// Size is the capacity in bytes.
func (d *Device) Size() int64 { return d.size }

// SectorSize is the sector size in bytes, that of the disk.
func (d *Device) SectorSize() int { return d.sector }

// Flush makes all completed writes durable.
func (d *Device) Flush() error { return d.dev.Flush() }

// Discard says that the range is no longer needed. Whether it then reads as zeros
// depends on the disk.
func (d *Device) Discard(off, n int64) error {
	if err := blockdev.CheckRange(off, n, d.size, d.sector); err != nil {
		return err
	}
	return d.dev.Discard(dataStart+off, n)
}

// ReadAt fills p from off. After an error p may hold ciphertext.
func (d *Device) ReadAt(p []byte, off int64) (int, error) {
	if err := blockdev.CheckRange(off, int64(len(p)), d.size, d.sector); err != nil {
		return 0, err
	}
	if err := d.begin(); err != nil {
		return 0, err
	}
	defer d.use.RUnlock()
	n, err := d.dev.ReadAt(p, dataStart+off)
	d.decrypt(p[:n-n%unitBytes], off)
	return n, err
}

// transfers are buffers for ciphertext.
var transfers = sync.Pool{New: func() any { return new([transferBytes]byte) }}

// WriteAt writes p at off. A large p is written in parts, in order; after an
// error some of them may be there.
func (d *Device) WriteAt(p []byte, off int64) (int, error) {
	if err := blockdev.CheckRange(off, int64(len(p)), d.size, d.sector); err != nil {
		return 0, err
	}
	if err := d.begin(); err != nil {
		return 0, err
	}
	defer d.use.RUnlock()
	buf := transfers.Get().(*[transferBytes]byte)
	defer transfers.Put(buf)
	done := 0
	for done < len(p) {
		part := buf[:min(len(p)-done, transferBytes)]
		at := off + int64(done)
		d.encrypt(part, p[done:done+len(part)], at)
		n, err := d.dev.WriteAt(part, dataStart+at)
		done += n
		if err != nil {
			return done, err
		}
		if n != len(part) {
			return done, io.ErrShortWrite
		}
	}
	return done, nil
}

func (d *Device) encrypt(to, from []byte, off int64) {
	d.cipher.encrypt(to, from, uint64(off)/unitBytes)
}

// decrypt leaves out units of zeros and takes what lies between them at once.
func (d *Device) decrypt(p []byte, off int64) {
	for i := 0; i < len(p); {
		end := i
		for end < len(p) && !allZero(p[end:end+unitBytes]) {
			end += unitBytes
		}
		if end == i {
			i += unitBytes
			continue
		}
		d.cipher.decrypt(p[i:end], p[i:end], uint64(off+int64(i))/unitBytes)
		i = end
	}
}

var zeros [unitBytes]byte

// allZero tells of a unit whether it was never written.
func allZero(unit []byte) bool { return string(unit) == string(zeros[:len(unit)]) }

// checkDevice refuses a device whose geometry does not suit.
func checkDevice(dev BlockDevice) error {
	s := dev.SectorSize()
	if s < unitBytes || s > maxSector || s&(s-1) != 0 {
		return fmt.Errorf("%w: sectors of %d bytes, which is not a power of two from %d to %d", ErrDevice, s, unitBytes, maxSector)
	}
	if n := dev.Size(); n < minDeviceBytes || n > maxDeviceBytes {
		return fmt.Errorf("%w: %d bytes are not between %d and %d", ErrDevice, n, minDeviceBytes, int64(maxDeviceBytes))
	}
	return nil
}

// readFull fills p or returns an error.
func readFull(dev BlockDevice, p []byte, off int64) error {
	n, err := dev.ReadAt(p, off)
	if n == len(p) && (err == nil || errors.Is(err, io.EOF)) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("blockcrypt: read %d bytes at %d: %w", len(p), off, err)
}

// writeFull writes all of p or returns an error.
func writeFull(dev BlockDevice, p []byte, off int64) error {
	n, err := dev.WriteAt(p, off)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("blockcrypt: write %d bytes at %d: %w", len(p), off, err)
	}
	return nil
}
