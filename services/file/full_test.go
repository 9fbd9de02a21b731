package file

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockfs"
)

// TestFullVolume fills volumes of several sizes, sees that all is there, and that
// after half of the files are removed as many can be written again, and again;
// with small files and large ones, and much and little memory.
func TestFullVolume(t *testing.T) {
	if testing.Short() {
		t.Skip("writes some hundred megabytes")
	}
	for _, v := range []struct{ volume, size, memory int }{
		{32 << 20, 1 << 20, MinMemory},
		{48 << 20, 1 << 20, 17 << 20},
		{48 << 20, 20 << 10, 17 << 20},
		{128 << 20, 1 << 20, 256 << 20},
		{128 << 20, 100 << 10, 64 << 20},
		{256 << 20, 8 << 20, 64 << 20}, // of which most is loaded
	} {
		if raceShare > 1 && v.volume > 32<<20 {
			continue // Pebble checks itself then, and takes minutes
		}
		t.Run(fmt.Sprintf("%dM-%dK-%dM", v.volume>>20, v.size>>10, v.memory>>20), func(t *testing.T) {
			t.Parallel()
			dev := blockdev.NewMemory(int64(v.volume), 512)
			volume, err := blockfs.Open(dev, blockfs.Options{FormatBlank: true})
			if err != nil {
				t.Fatal(err)
			}
			fs, err := mount(volume, Options{Memory: v.memory, Log: t.Logf})
			if err != nil {
				t.Fatal(err)
			}
			f := &filler{t: t, fs: fs, size: v.size}
			f.fill()
			full := len(f.there)
			t.Logf("full after %d files, %d%% of the volume", full, full*v.size*100/v.volume)
			for range 3 {
				f.verify()
				f.removeHalf()
				f.refill(full)
			}
			f.verify()
			if err := fs.Check(); err != nil {
				t.Error(err)
			}
			if err := unmount(fs); err != nil {
				t.Error(err)
			}
			if err := volume.Close(); err != nil {
				t.Error(err)
			}
			if _, err := blockfs.Check(dev); err != nil {
				t.Error(err)
			}
		})
	}
}

// filler writes files of one size, each with its own content.
type filler struct {
	t     *testing.T
	fs    *FS
	size  int
	next  int
	there []int // numbers of the files
}

func (f *filler) content(number int) []byte {
	p := make([]byte, f.size)
	rng := rand.NewChaCha8([32]byte{byte(number), byte(number >> 8), byte(number >> 16)})
	if _, err := rng.Read(p); err != nil {
		f.t.Fatal(err)
	}
	return p
}

// write writes one more file; on error none is left of it.
func (f *filler) write() error {
	number := f.next
	f.next++
	name := fmt.Sprint(number)
	n, err := f.fs.Root().Create(name, New{Mode: syscall.S_IFREG | 0o600})
	if err != nil {
		return err
	}
	if _, err = n.WriteAt(f.content(number), 0); err == nil {
		err = n.Sync()
	}
	if err != nil {
		if err := f.fs.Root().Unlink(name); err != nil {
			f.t.Fatalf("unlink on a full volume: %v", err)
		}
		return err
	}
	f.there = append(f.there, number)
	return nil
}

func (f *filler) fill() {
	for {
		err := f.write()
		if err == syscall.ENOSPC {
			return
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *filler) verify() {
	f.t.Helper()
	p := make([]byte, f.size)
	for _, number := range f.there {
		n, err := f.fs.Root().Lookup(fmt.Sprint(number))
		if err != nil {
			f.t.Fatal(err)
		}
		if _, err := n.ReadAt(p, 0); err != nil || string(p) != string(f.content(number)) {
			f.t.Fatalf("file %d is wrong: %v", number, err)
		}
	}
}

// removeHalf removes every other file.
func (f *filler) removeHalf() {
	var left []int
	for i, number := range f.there {
		if i%2 == 0 {
			left = append(left, number)
			continue
		}
		if err := f.fs.Root().Unlink(fmt.Sprint(number)); err != nil {
			f.t.Fatalf("unlink on a full volume: %v", err)
		}
	}
	f.there = left
}

// refill writes until nearly as many files are there as were when it was full: of a
// file of large values, a twentieth may be what was removed (TargetGarbageRatio), and
// what is rewritten lies in more and smaller files. The space of removed files comes
// back in the background.
func (f *filler) refill(full int) {
	deadline := time.Now().Add(30 * time.Second)
	for len(f.there) < full*17/20 {
		err := f.write()
		if err == syscall.ENOSPC && time.Now().Before(deadline) {
			time.Sleep(20 * time.Millisecond)
		} else if err != nil {
			f.t.Fatalf("with %d of %d files: %v", len(f.there), full, err)
		}
	}
}
