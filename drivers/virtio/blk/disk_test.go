package blk

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/internal/model"
)

// disk is a block device in software.
type disk struct {
	model.Device
	mu      sync.Mutex
	content []byte
	flushes int
	kinds   map[uint32]int
	status  func(kind uint32, sector uint64) uint8 // nil: fine
}

const ring = virtio.FeatureVersion1 | virtio.FeatureIndirect | virtio.FeatureEventIndex

const everything = ring | wanted&^featureReadOnly

func newDisk(features uint64, size int) *disk {
	d := &disk{content: make([]byte, size), kinds: map[uint32]int{}}
	d.Machine = &model.Machine{}
	d.Type = virtio.IDBlock
	d.Offered = features
	d.Vector = 2
	d.Space = make([]byte, 60)
	binary.LittleEndian.PutUint64(d.Space[configCapacity:], uint64(size/unit))
	binary.LittleEndian.PutUint32(d.Space[configSizeMax:], 1<<20)
	binary.LittleEndian.PutUint32(d.Space[configSegMax:], 62)
	binary.LittleEndian.PutUint32(d.Space[configBlockSize:], unit)
	d.Space[configPhysicalExp] = 3
	binary.LittleEndian.PutUint32(d.Space[configDiscardMax:], 16)
	binary.LittleEndian.PutUint32(d.Space[configWriteZeroMax:], 16)
	d.Handle = d.handle
	return d
}

func (d *disk) open(t testing.TB) *Device {
	t.Helper()
	dev, err := Open(&d.Device, d.Machine)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

func (d *disk) handle(_ int, c *model.Chain) (int, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := c.Read()
	kind, sector := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[8:])
	d.kinds[kind]++
	written := c.Room()
	status := uint8(statusOK)
	if d.status != nil {
		status = d.status(kind, sector)
	}
	if status == statusOK {
		d.do(kind, sector*unit, b[headerSize:], c)
	}
	c.Write(written-1, []byte{status})
	return written, false
}

func (d *disk) do(kind uint32, off uint64, data []byte, c *model.Chain) {
	switch kind {
	case typeIn:
		c.Write(0, d.content[off:off+uint64(c.Room()-1)])
	case typeOut:
		copy(d.content[off:], data)
	case typeFlush:
		d.flushes++
	case typeGetID:
		c.Write(0, []byte("serial-1"))
	case typeDiscard, typeWriteZeroes:
		off, n := binary.LittleEndian.Uint64(data)*unit, uint64(binary.LittleEndian.Uint32(data[8:]))*unit
		clear(d.content[off : off+n])
	}
}
