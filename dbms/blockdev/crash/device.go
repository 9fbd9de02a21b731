package crash

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

// ErrPowerCut is returned by every operation after the power cut.
var ErrPowerCut = errors.New("crash: power cut")

// Op is a kind of device operation.
type Op int

// The operations of a device.
const (
	Read Op = iota
	Write
	Flush
	Discard
)

// Device is a disk with a volatile cache. Reads see all completed writes; only
// flushed ones are sure to survive Crash. It satisfies blockfs.Device.
//
//	WriteAt ──► cache: versions of each sector, in order ──Flush──► stable
//	                                  │
//	                  Crash: each sector keeps one of its versions,
//	                  or none, as the seed has it
type Device struct {
	mu     sync.Mutex
	stable *blockdev.Memory
	cache  map[int64][][]byte // by sector number: the versions since the flush
	hook   func(op Op, off, n int64) error
	counts [4]int
	left   int // operations until the power cut; negative: none is set
	cut    bool
	lives  bool    // the device goes on working after the cut, to no avail
	image  *Device // then, what was at the moment of the cut
}

// New makes a device of size bytes of zeros.
func New(size int64, sector int) *Device { return From(blockdev.NewMemory(size, sector)) }

// From makes a device that starts with the content of m, which it takes over.
func From(m *blockdev.Memory) *Device {
	return &Device{stable: m, cache: map[int64][][]byte{}, left: -1}
}

// Size is the capacity in bytes.
func (d *Device) Size() int64 { return d.stable.Size() }

// SectorSize is the sector size in bytes.
func (d *Device) SectorSize() int { return d.stable.SectorSize() }

// SetHook has f called before each operation, with the byte range (zero for a
// flush). An error of f is the operation's, which then has no effect. f runs with
// the device locked.
func (d *Device) SetHook(f func(op Op, off, n int64) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook = f
}

// CutAfter sets the power cut: n more writes, flushes and discards succeed, the
// next one takes place only in part, and it and all others fail with ErrPowerCut.
func (d *Device) CutAfter(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = n
}

// ForkAfter is CutAfter for programs that do not stand a failing disk: the device
// goes on working after the cut, and Crash gives what the disk was at the cut. A
// program must not count on what it did since Cut became true.
func (d *Device) ForkAfter(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.lives = n, true
}

// Cut tells whether the power is gone.
func (d *Device) Cut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cut
}

// Count returns how many operations of a kind were begun.
func (d *Device) Count(op Op) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[op]
}

// enter begins an operation; d.mu is held. last tells that the power goes out
// during it.
func (d *Device) enter(op Op, off, n int64) (last bool, err error) {
	if d.cut && !d.lives {
		return false, ErrPowerCut
	}
	d.counts[op]++
	if d.hook != nil {
		if err := d.hook(op, off, n); err != nil {
			return false, err
		}
	}
	if op == Read || d.left < 0 || d.cut {
		return false, nil
	}
	if d.left > 0 {
		d.left--
		return false, nil
	}
	d.cut = true
	if d.lives {
		d.image = From(d.stable.Clone())
		d.image.cache = maps.Clone(d.cache)
	}
	return !d.lives, nil
}

// ReadAt fills p from off.
func (d *Device) ReadAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.enter(Read, off, int64(len(p))); err != nil {
		return 0, err
	}
	n, err := d.stable.ReadAt(p, off)
	s := d.SectorSize()
	for i := 0; i < n; i += s {
		if v := d.cache[(off+int64(i))/int64(s)]; len(v) > 0 {
			copy(p[i:i+s], v[len(v)-1])
		}
	}
	return n, err
}

// WriteAt puts p into the cache. A write cut short by the power cut is in the
// cache too: Crash decides how much of it is left.
func (d *Device) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last, err := d.enter(Write, off, int64(len(p)))
	if err == nil {
		err = blockdev.CheckRange(off, int64(len(p)), d.Size(), d.SectorSize())
	}
	if err != nil {
		return 0, err
	}
	for i, s := int64(0), int64(d.SectorSize()); i < int64(len(p)); i += s {
		n := (off + i) / s
		d.cache[n] = append(d.cache[n], slices.Clone(p[i:i+s]))
	}
	if last {
		return 0, ErrPowerCut
	}
	return len(p), nil
}

// Flush makes the cache durable.
func (d *Device) Flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	last, err := d.enter(Flush, 0, 0)
	if err != nil {
		return err
	}
	if last {
		return ErrPowerCut
	}
	for n, versions := range d.cache {
		if err := d.store(n, versions[len(versions)-1]); err != nil {
			return err
		}
	}
	clear(d.cache)
	return nil
}

func (d *Device) store(sector int64, p []byte) error {
	_, err := d.stable.WriteAt(p, sector*int64(d.SectorSize()))
	return err
}

// Discard makes the sectors read as garbage from now on, as a device may.
func (d *Device) Discard(off, n int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	last, err := d.enter(Discard, off, n)
	if err == nil {
		err = blockdev.CheckRange(off, n, d.Size(), d.SectorSize())
	}
	if err != nil {
		return err
	}
	garbage := slices.Repeat([]byte{0xDB}, d.SectorSize())
	for s := int64(d.SectorSize()); n > 0; off, n = off+s, n-s {
		d.cache[off/s] = append(d.cache[off/s], garbage)
	}
	if last {
		return ErrPowerCut
	}
	return nil
}

// Crash returns the device after power came back. Of what was not flushed, rng
// picks what is left, in one of these ways: nothing; all; each sector for itself
// kept or lost, at odds that it picks as well; and where a sector was written
// more than once, any of its versions. The old device is of no more use.
func (d *Device) Crash(rng *rand.Rand) (*Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.image != nil {
		return d.image.Crash(rng)
	}
	d.cut = true
	odds := []int{0, 100, 50, 10, 90}[rng.IntN(5)]
	sectors := make([]int64, 0, len(d.cache))
	for n := range d.cache {
		sectors = append(sectors, n)
	}
	slices.Sort(sectors)
	for _, n := range sectors {
		if rng.IntN(100) >= odds {
			continue
		}
		versions := d.cache[n]
		pick := len(versions) - 1
		if odds < 100 {
			pick = rng.IntN(len(versions))
		}
		if err := d.store(n, versions[pick]); err != nil {
			return nil, err
		}
	}
	return From(d.stable), nil
}

// Sample returns what Crash might, as an independent device; this one goes on.
func (d *Device) Sample(rng *rand.Rand) (*blockdev.Memory, error) {
	d.mu.Lock()
	image := From(d.stable.Clone())
	image.cache = maps.Clone(d.cache)
	d.mu.Unlock()
	crashed, err := image.Crash(rng)
	if err != nil {
		return nil, err
	}
	return crashed.stable, nil
}

// Snapshot returns an independent device as of the last flush, to which Crash
// would add parts of the cache.
func (d *Device) Snapshot() *blockdev.Memory {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stable.Clone()
}
