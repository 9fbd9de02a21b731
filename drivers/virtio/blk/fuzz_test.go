package blk

import (
	"testing"

	"github.com/tuplix/tuplix/drivers/virtio"
)

// FuzzConfig lets the device say what it likes of itself: it is refused, or
// sectors at the start and at the end can be read.
func FuzzConfig(f *testing.F) {
	d := newDisk(everything, 1<<20)
	f.Add(d.Space, uint64(everything), uint16(64))
	f.Add(make([]byte, 60), uint64(everything), uint16(3))
	f.Fuzz(func(t *testing.T, space []byte, features uint64, size uint16) {
		d := newDisk(features&everything|virtio.FeatureVersion1, 1<<20)
		d.Space, d.Max = space, int(size)
		dev, err := Open(&d.Device, d.Machine)
		if err != nil {
			return
		}
		n := dev.SectorSize()
		if n < unit || n&(n-1) != 0 || dev.Size() < 0 || dev.Size()%int64(n) != 0 || dev.PhysicalSectorSize()%n != 0 {
			t.Fatalf("size %d, sectors of %d and %d", dev.Size(), n, dev.PhysicalSectorSize())
		}
		if size := min(dev.Size(), int64(len(d.content))); size >= int64(n) {
			if _, err := dev.ReadAt(make([]byte, n), 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := dev.ReadAt(make([]byte, n), dev.Size()); err == nil {
			t.Fatal("read behind the end")
		}
	})
}
