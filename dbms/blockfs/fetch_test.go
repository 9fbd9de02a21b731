package blockfs

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

// countingDevice counts reads.
type countingDevice struct {
	Device
	reads atomic.Int64
}

func (d *countingDevice) ReadAt(p []byte, off int64) (int, error) {
	d.reads.Add(1)
	return d.Device.ReadAt(p, off)
}

// TestPrefetch sees that what is announced takes few reads of the device, that no more
// is kept than is allowed, and nothing of what was read or closed.
func TestPrefetch(t *testing.T) {
	const size, block = 512 << 10, 8 << 10
	dev := &countingDevice{Device: blockdev.NewMemory(16<<20, 512)}
	fs, err := Open(dev, Options{FormatBlank: true})
	must(t, err)
	model := pattern(1, size)
	writeFile(t, fs, "f", model)
	f, err := fs.Open("f")
	must(t, err)
	read := func(from, to int) int64 {
		before := dev.reads.Load()
		for off := from; off < to; off += block {
			p := make([]byte, block)
			if _, err := f.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, model[off:off+block]) {
				t.Fatalf("at %d: other bytes (%v)", off, err)
			}
		}
		return dev.reads.Load() - before
	}
	if n := read(0, size); n != size/block {
		t.Errorf("%d reads of the device for %d blocks", n, size/block)
	}
	must(t, f.Prefetch(0, size))
	if n := read(0, size); n > size/aheadBytes {
		t.Errorf("%d reads of the device for %d bytes that were announced", n, size)
	}
	if n := len(fs.fetches.list); n != 0 {
		t.Errorf("%d stretches that were read are kept", n)
	}
	for i := range 2 * maxFetches {
		must(t, f.Prefetch(int64(i)*2*block, block))
	}
	must(t, f.Prefetch(0, maxFetch+1)) // is not taken
	if n := len(fs.fetches.list); n != maxFetches {
		t.Errorf("%d stretches are kept", n)
	}
	must(t, f.Close())
	if n := len(fs.fetches.list); n != 0 {
		t.Errorf("%d stretches of a file that was closed are kept", n)
	}
	must(t, fs.Close())
}

// TestPrefetchTogether has several readers announce and read the same files, each by
// handles that it closes, so that stretches come and go under the others.
func TestPrefetchTogether(t *testing.T) {
	const readers, size, block = 4, 256 << 10, 8 << 10
	_, fs := formatted(t, 16<<20, 512)
	names := []string{"a", "b", "c"}
	models := make([][]byte, len(names))
	for i, name := range names {
		models[i] = pattern(i+1, size)
		writeFile(t, fs, name, models[i])
	}
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			p := make([]byte, block)
			for turn := range 2 * len(names) {
				i := (r + turn) % len(names)
				f, err := fs.Open(names[i])
				if err != nil {
					t.Error(err)
					return
				}
				for off := 0; off < size; off += block {
					if off%(4*block) == 0 {
						if err := f.Prefetch(int64(off), 8*block); err != nil {
							t.Error(err)
						}
					}
					if _, err := f.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, models[i][off:off+block]) {
						t.Errorf("%s at %d: other bytes (%v)", names[i], off, err)
					}
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(fs.fetches.list); n != 0 {
		t.Errorf("%d stretches of files that were closed are kept", n)
	}
	must(t, fs.Close())
}
