package blk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/internal/model"
)

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestTransfer writes and reads buffers of many sizes and alignments, with the
// features and limits of several kinds of device.
func TestTransfer(t *testing.T) {
	for name, setup := range map[string]func(d *disk){
		"all":         func(d *disk) {},
		"no features": func(d *disk) { d.Offered = virtio.FeatureVersion1 },
		"one piece":   func(d *disk) { d.Offered = ring },
		"tiny pieces": func(d *disk) { binary.LittleEndian.PutUint32(d.Space[configSizeMax:], 1024) },
		"no tables":   func(d *disk) { d.Offered &^= virtio.FeatureIndirect },
		"tiny ring":   func(d *disk) { d.Max = 4 },
		"one vector":  func(d *disk) { d.Vector = 1 },
		"4K sectors":  func(d *disk) { binary.LittleEndian.PutUint32(d.Space[configBlockSize:], 4096) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(everything, 4<<20)
			setup(d)
			testTransfer(t, d, d.open(t))
		})
	}
}

func testTransfer(t *testing.T, d *disk, dev *Device) {
	sector := dev.SectorSize()
	for i, sectors := range []int{1, 2, 7, 8, 9, 64, 200} {
		for _, misalign := range []int{0, 8, 512, 4095} {
			want := random(uint64(i), sectors*sector+misalign)[misalign:]
			off := int64(i * sector)
			if n, err := dev.WriteAt(want, off); n != len(want) || err != nil {
				t.Fatalf("write of %d sectors: %d, %v", sectors, n, err)
			}
			if !bytes.Equal(d.content[off:off+int64(len(want))], want) {
				t.Fatalf("%d sectors, misaligned by %d: wrong on the medium", sectors, misalign)
			}
			got := make([]byte, len(want)+misalign)[misalign:]
			if n, err := dev.ReadAt(got, off); n != len(got) || err != nil || !bytes.Equal(got, want) {
				t.Fatalf("read of %d sectors, misaligned by %d: %d, %v", sectors, misalign, n, err)
			}
		}
	}
}

// TestConcurrent runs a random workload of many goroutines, each on its own
// part, and compares with a copy in memory.
func TestConcurrent(t *testing.T) {
	const part, workers = 1 << 17, 16
	d := newDisk(everything, workers*part)
	d.Max = 16 // less than the workers want
	dev := d.open(t)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			if err := churn(dev, int64(w*part), part, uint64(w)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := dev.queue.InFlight(); n != 0 {
		t.Errorf("%d requests left in flight", n)
	}
}

func churn(dev *Device, base int64, size int, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 2))
	shadow := make([]byte, size)
	for i := range 60 {
		off := r.IntN(size/unit) * unit
		n := (1 + r.IntN(min(40, (size-off)/unit))) * unit
		buf := random(seed+uint64(i), n)
		if r.IntN(2) == 0 {
			copy(shadow[off:], buf)
			if _, err := dev.WriteAt(buf, base+int64(off)); err != nil {
				return err
			}
			continue
		}
		if _, err := dev.ReadAt(buf, base+int64(off)); err != nil {
			return err
		}
		if !bytes.Equal(buf, shadow[off:off+n]) {
			return fmt.Errorf("worker %d: wrong data at %d", seed, off)
		}
		if r.IntN(8) == 0 {
			if err := dev.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestProperties(t *testing.T) {
	d := newDisk(everything, 1<<20)
	dev := d.open(t)
	if dev.Size() != 1<<20 || dev.SectorSize() != 512 || dev.PhysicalSectorSize() != 4096 || dev.ReadOnly() {
		t.Errorf("size %d, sectors %d and %d", dev.Size(), dev.SectorSize(), dev.PhysicalSectorSize())
	}
	if s, err := dev.Serial(); s != "serial-1" || err != nil {
		t.Errorf("serial %q, %v", s, err)
	}
	if err := dev.Flush(); err != nil || d.flushes != 1 {
		t.Errorf("flush: %v, %d seen", err, d.flushes)
	}
}

func TestRanges(t *testing.T) {
	for name, features := range map[string]uint64{"offered": everything, "not offered": everything &^ (featureDiscard | featureWriteZeroes)} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(features, 1<<20)
			dev := d.open(t)
			copy(d.content, random(1, len(d.content)))
			if err := dev.WriteZeroes(unit, 100*unit); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(d.content[unit:101*unit], make([]byte, 100*unit)) || d.content[0] == 0 && d.content[1] == 0 {
				t.Error("zeroes are not where they belong")
			}
			if err := dev.Discard(0, 1<<20); err != nil {
				t.Fatal(err)
			}
			if got, want := d.kinds[typeDiscard] > 0, features&featureDiscard != 0; got != want {
				t.Errorf("discard requests sent: %v", got)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	d := newDisk(everything, 1<<20)
	d.status = func(kind uint32, sector uint64) uint8 {
		switch {
		case kind == typeGetID:
			return statusUnsupported
		case sector >= 1000:
			return statusIOError
		case sector >= 900:
			return 77
		}
		return statusOK
	}
	dev := d.open(t)
	buf := make([]byte, 512)
	for name, c := range map[string]struct {
		err  error
		want syscall.Errno
	}{
		"io error":    {second(dev.ReadAt(buf, 1000*unit)), syscall.EIO},
		"odd status":  {second(dev.ReadAt(buf, 900*unit)), syscall.EIO},
		"unsupported": {second(dev.Serial()), syscall.EOPNOTSUPP},
		"beyond":      {second(dev.ReadAt(buf, 1<<20)), syscall.EINVAL},
		"negative":    {second(dev.ReadAt(buf, -512)), syscall.EINVAL},
		"misaligned":  {second(dev.WriteAt(buf[:100], 0)), syscall.EINVAL},
		"overflow":    {dev.Discard(512, 1<<63-512), syscall.EINVAL},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	// The part before a failed piece counts.
	if n, err := dev.ReadAt(make([]byte, 600*unit), 500*unit); n == 0 || n >= 500*unit || !errors.Is(err, syscall.EIO) {
		t.Errorf("partial read: %d, %v", n, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestReadOnly(t *testing.T) {
	dev := newDisk(everything|featureReadOnly, 1<<20).open(t)
	for _, err := range []error{second(dev.WriteAt(make([]byte, 512), 0)), dev.Discard(0, 512), dev.WriteZeroes(0, 512)} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("write to a read-only device: %v", err)
		}
	}
	if _, err := dev.ReadAt(make([]byte, 512), 0); err != nil || !dev.ReadOnly() {
		t.Error(err)
	}
}

// TestBadConfig offers configurations that no device has.
func TestBadConfig(t *testing.T) {
	for name, change := range map[string]func(d *disk){
		"huge":        func(d *disk) { binary.LittleEndian.PutUint64(d.Space, 1<<63) },
		"odd blocks":  func(d *disk) { binary.LittleEndian.PutUint32(d.Space[configBlockSize:], 1000) },
		"no pieces":   func(d *disk) { binary.LittleEndian.PutUint32(d.Space[configSegMax:], 0) },
		"tiny pieces": func(d *disk) { binary.LittleEndian.PutUint32(d.Space[configSizeMax:], 100) },
		"short":       func(d *disk) { d.Space = d.Space[:20] },
		"ring of 2":   func(d *disk) { d.Max = 2 },
		"no memory":   func(d *disk) { d.Machine.Limit(1000) },
	} {
		d := newDisk(everything, 1<<20)
		change(d)
		if _, err := Open(&d.Device, d.Machine); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// TestHostile fails the device under load: every call must return, with EIO.
func TestHostile(t *testing.T) {
	const room, more = 8, 20
	for name, c := range map[string]struct {
		writers int
		lie     func(q *model.Queue)
	}{
		"unknown id": {more, func(q *model.Queue) { q.Lie(9999, 0, 1) }},
		// A writer that waits for room would take the ID after the first answer,
		// and the second would be as good.
		"id twice":     {room, func(q *model.Queue) { q.Lie(0, 0, 1); q.Lie(0, 0, 1) }},
		"index jump":   {more, func(q *model.Queue) { q.Lie(1, 0, 300) }},
		"index jump -": {more, func(q *model.Queue) { q.Lie(1, 0, 0xffff) }},
	} {
		for _, vectors := range []int{1, 2} {
			t.Run(fmt.Sprint(name, vectors), func(t *testing.T) { testHostile(t, room, c.writers, c.lie, vectors) })
		}
	}
}

func testHostile(t *testing.T, room, writers int, lie func(q *model.Queue), vectors int) {
	d := newDisk(everything, 1<<20)
	d.Vector = vectors
	d.Max = room
	held := make(chan struct{}, writers)
	d.Handle = func(int, *model.Chain) (int, bool) { // never answers
		held <- struct{}{}
		return 0, true
	}
	dev := d.open(t)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			if n, err := dev.WriteAt(make([]byte, 4096), 0); n != 0 || !errors.Is(err, syscall.EIO) {
				t.Errorf("write to a failed device: %d, %v", n, err)
			}
		})
	}
	for range room {
		<-held
	}
	lie(d.Queue(0))
	wg.Wait()
	if dev.Err() == nil {
		t.Error("device is not marked failed")
	}
	if err := dev.Flush(); !errors.Is(err, syscall.EIO) {
		t.Errorf("flush after failure: %v", err)
	}
}

// TestWrittenTooMuch is a device that claims to have written more than it was
// given.
func TestWrittenTooMuch(t *testing.T) {
	d := newDisk(everything, 1<<20)
	d.Handle = func(_ int, c *model.Chain) (int, bool) { return c.Room() + 1, false }
	dev := d.open(t)
	if _, err := dev.ReadAt(make([]byte, 512), 0); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
}
