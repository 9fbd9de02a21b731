package blk

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/virtio"
)

// Limits of a queue: requests in flight, and pieces of one request. With these
// a request moves up to 504 KiB of scattered pages, and the tables of the
// deepest queue take 256 KiB.
const (
	queueSize = 128
	maxPieces = 128
)

// Device is a virtio block device. All methods are safe for concurrent use and
// block until the device has answered.
type Device struct {
	dev      *virtio.Device
	queue    *virtio.Queue[*request]
	limits   limits
	requests sync.Pool

	mu      sync.Mutex // guards waiting; held around Submit, so that room is seen
	room    sync.Cond  // chains came back or the device failed
	waiting int

	poller poller
	counts counts // see Stats
}

// limits are what the device says of itself, checked.
type limits struct {
	size        int64
	sector      int
	physical    int
	pieces      int    // pieces of data in one request
	pieceSize   uint32 // bytes of a piece, 0: any
	readOnly    bool
	flush       bool
	discard     int64 // most bytes of one request, 0: not offered
	writeZeroes int64
}

// Open starts the block device behind t.
func Open(t virtio.Transport, m virtio.Machine) (*Device, error) {
	dev, err := virtio.Open(t, m, virtio.Options{Type: virtio.IDBlock, Features: wanted, Queues: 1})
	if err != nil {
		return nil, err
	}
	d := &Device{dev: dev}
	d.room.L = &d.mu
	d.requests.New = func() any { return d.newRequest() }
	if err := d.start(); err != nil {
		dev.Fail(err)
		return nil, err
	}
	return d, nil
}

func (d *Device) start() error {
	l, err := readLimits(d.dev)
	if err != nil {
		return err
	}
	q, err := virtio.NewQueue[*request](d.dev, 0, virtio.QueueConfig{Size: queueSize, Indirect: maxPieces})
	if err != nil {
		return err
	}
	if q.MaxChain() < 3 {
		return fmt.Errorf("virtio-blk: a queue of %d cannot hold a request", q.MaxChain())
	}
	l.pieces = min(l.pieces, q.MaxChain()-2, maxPieces-2)
	if l.sector > pageSize && l.span(pageSize-1) < l.sector {
		return fmt.Errorf("virtio-blk: a sector of %d bytes does not fit the %d pieces of a request", l.sector, l.pieces)
	}
	d.limits, d.queue = l, q
	d.dev.OnFail(d.fail)
	d.dev.Start()
	go q.Serve(d.complete, d.wakeWaiting)
	return nil
}

func readLimits(dev *virtio.Device) (limits, error) {
	l := limits{sector: unit, pieces: 1, readOnly: dev.Has(featureReadOnly), flush: dev.Has(featureFlush)}
	var capacity uint64
	blockSize, exp := uint32(unit), uint8(0)
	err := dev.Config(configLen(dev), func(r mmio.Registers) {
		capacity = virtio.Read64(r, configCapacity)
		if dev.Has(featureSizeMax) {
			l.pieceSize = r.Read32(configSizeMax)
		}
		if dev.Has(featureSegMax) {
			l.pieces = int(min(r.Read32(configSegMax), math.MaxInt32))
		}
		if dev.Has(featureBlockSize) {
			blockSize = r.Read32(configBlockSize)
		}
		if dev.Has(featureTopology) {
			exp = r.Read8(configPhysicalExp)
		}
		if dev.Has(featureDiscard) {
			l.discard = int64(r.Read32(configDiscardMax)) * unit
		}
		if dev.Has(featureWriteZeroes) {
			l.writeZeroes = int64(r.Read32(configWriteZeroMax)) * unit
		}
	})
	if err != nil {
		return l, err
	}
	return l, l.check(capacity, blockSize, exp)
}

// configLen returns how much of the configuration the agreed features use.
func configLen(dev *virtio.Device) int {
	switch {
	case dev.Has(featureWriteZeroes):
		return configWriteZeroMax + 4
	case dev.Has(featureDiscard):
		return configDiscardMax + 4
	case dev.Has(featureTopology):
		return configPhysicalExp + 1
	case dev.Has(featureBlockSize):
		return configBlockSize + 4
	case dev.Has(featureSegMax), dev.Has(featureSizeMax):
		return configSegMax + 4
	}
	return configCapacity + 8
}

// check takes over the sizes if they make sense.
func (l *limits) check(capacity uint64, blockSize uint32, exp uint8) error {
	switch {
	case capacity > math.MaxInt64/unit:
		return fmt.Errorf("virtio-blk: capacity of %d sectors", capacity)
	case blockSize < unit || blockSize > 1<<16 || blockSize&(blockSize-1) != 0:
		return fmt.Errorf("virtio-blk: blocks of %d bytes", blockSize)
	case l.pieces < 1 || l.pieceSize != 0 && l.pieceSize < blockSize:
		return fmt.Errorf("virtio-blk: requests of %d pieces of %d bytes", l.pieces, l.pieceSize)
	}
	l.sector = int(blockSize)
	l.size = int64(capacity*unit) &^ int64(blockSize-1)
	l.physical = l.sector
	if exp < 12 {
		l.physical <<= exp
	}
	l.discard &^= int64(blockSize - 1)
	l.writeZeroes &^= int64(blockSize - 1)
	return nil
}

// Size returns the size of the device in bytes, a multiple of SectorSize.
func (d *Device) Size() int64 { return d.limits.size }

// SectorSize returns the unit of all offsets and lengths: a power of two from
// 512 to 65536.
func (d *Device) SectorSize() int { return d.limits.sector }

// PhysicalSectorSize returns the unit that the medium writes as a whole, a
// multiple of SectorSize.
func (d *Device) PhysicalSectorSize() int { return d.limits.physical }

// ReadOnly reports whether the device takes no writes.
func (d *Device) ReadOnly() bool { return d.limits.readOnly }

// ReadAt reads len(p) bytes at offset off, both multiples of SectorSize. On
// error n bytes from the start of p are good.
func (d *Device) ReadAt(p []byte, off int64) (n int, err error) {
	return d.transfer(typeIn, p, off)
}

// WriteAt writes p at offset off, both multiples of SectorSize. p must not
// change until it returns. On error the first n bytes are written, and any of
// the others may be.
func (d *Device) WriteAt(p []byte, off int64) (n int, err error) {
	if d.limits.readOnly {
		return 0, errReadOnly
	}
	return d.transfer(typeOut, p, off)
}

// Flush makes all writes durable that have returned.
func (d *Device) Flush() error {
	if !d.limits.flush {
		return d.dev.Err()
	}
	return d.single(typeFlush, nil, 0)
}

// Discard tells the device that n bytes at off are not needed; their content is
// undefined after. Without effect on a device that does not offer it.
func (d *Device) Discard(off, n int64) error {
	if err := d.checkRange(off, n); err != nil {
		return err
	}
	if d.limits.discard == 0 {
		return d.dev.Err()
	}
	return d.ranges(typeDiscard, off, n, d.limits.discard)
}

// WriteZeroes makes n bytes at off read as zero; by plain writes where the
// device knows no shorter way.
func (d *Device) WriteZeroes(off, n int64) error {
	if err := d.checkRange(off, n); err != nil {
		return err
	}
	if d.limits.writeZeroes == 0 {
		return d.writeZeroes(off, n)
	}
	err := d.ranges(typeWriteZeroes, off, n, d.limits.writeZeroes)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return d.writeZeroes(off, n)
	}
	return err
}

const zeroesSize = 128 << 10

func (d *Device) writeZeroes(off, n int64) error {
	zeroes := make([]byte, min(n, zeroesSize))
	for n > 0 {
		part := min(n, int64(len(zeroes)))
		if _, err := d.WriteAt(zeroes[:part], off); err != nil {
			return err
		}
		off, n = off+part, n-part
	}
	return nil
}

// Serial returns the device's serial number (QEMU: serial=), at most 20 bytes.
// EOPNOTSUPP where there is none.
func (d *Device) Serial() (string, error) {
	id := make([]byte, idSize)
	if err := d.single(typeGetID, id, 0); err != nil {
		return "", err
	}
	if end := bytes.IndexByte(id, 0); end >= 0 {
		id = id[:end]
	}
	return string(id), nil
}

// Err returns why the device failed for good, or nil.
func (d *Device) Err() error { return d.dev.Err() }

var errReadOnly = fmt.Errorf("virtio-blk: device is read-only: %w", syscall.EROFS)

func (d *Device) checkRange(off, n int64) error {
	if d.limits.readOnly {
		return errReadOnly
	}
	return d.checkBounds(off, n)
}

func (d *Device) checkBounds(off, n int64) error {
	mask := int64(d.limits.sector - 1)
	if off < 0 || n < 0 || off&mask != 0 || n&mask != 0 || off > d.limits.size-n {
		return fmt.Errorf("virtio-blk: %d bytes at %d of a device of %d with sectors of %d: %w",
			n, off, d.limits.size, d.limits.sector, syscall.EINVAL)
	}
	return nil
}
