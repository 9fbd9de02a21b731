package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestStress lets many goroutines change one small tree at once, renames
// across it included; the checker then has the word.
func TestStress(t *testing.T) {
	steps := 1500
	if testing.Short() {
		steps = 300
	}
	fs := open(t, Options{Memory: MinMemory})
	dirs := []*Inode{fs.Root()}
	for i := range 4 {
		dirs = append(dirs, mkdir(t, dirs[i], "d"))
	}
	var running sync.WaitGroup
	for g := range uint64(8) {
		running.Go(func() {
			r := rand.New(rand.NewPCG(g, 3))
			for range steps {
				if err := stressStep(fs, dirs, r); err != nil && !errors.As(err, new(syscall.Errno)) {
					t.Error(err)
					return
				}
				if fs.journal.failed.Load() {
					t.Error("the store failed")
					return
				}
			}
		})
	}
	running.Wait()
}

func stressStep(fs *FS, dirs []*Inode, r *rand.Rand) error {
	dir, other := dirs[r.IntN(len(dirs))], dirs[r.IntN(len(dirs))]
	name, name2 := fmt.Sprint(r.IntN(6)), fmt.Sprint(r.IntN(6))
	if r.IntN(10) == 0 {
		name = "d"
	}
	switch r.IntN(12) {
	case 0, 1:
		_, err := dir.Create(name, New{Mode: syscall.S_IFREG | 0o644})
		return err
	case 2:
		_, err := dir.Create(name, New{Mode: syscall.S_IFDIR | 0o755})
		return err
	case 3:
		return dir.Unlink(name)
	case 4:
		return dir.Rmdir(name2)
	case 5, 6:
		return fs.Rename(dir, name, other, name2, uint32(r.IntN(3)))
	case 7:
		return dir.ReadDir(0, func(Entry) bool { return true })
	case 8:
		child, err := dir.Lookup(name)
		if err != nil {
			return err
		}
		return other.Link(name2, child)
	}
	return stressData(dir, name, r)
}

// stressData writes and reads an open file, which may lose its name meanwhile.
func stressData(dir *Inode, name string, r *rand.Rand) error {
	n, err := dir.Lookup(name)
	if err != nil {
		return err
	}
	if err := n.Open(); err != nil {
		return err
	}
	if n.Attr().Type() == syscall.S_IFREG {
		data := make([]byte, r.IntN(3*BlockSize))
		_, err = n.WriteAt(data, int64(r.IntN(4*BlockSize)))
		if err == nil {
			_, err = n.ReadAt(data, 0)
		}
		if err == nil && r.IntN(3) == 0 {
			err = n.Truncate(int64(r.IntN(BlockSize * 2)))
		}
		if err == nil && r.IntN(10) == 0 {
			err = n.Sync()
		}
	}
	return errors.Join(err, n.Close())
}

// TestAppendIsAtomic has many writers append records to one file: none may
// be lost, torn or overwritten.
func TestAppendIsAtomic(t *testing.T) {
	const writers, records, size = 8, 200, 1000
	fs := open(t, Options{Memory: MinMemory})
	f := create(t, fs.Root(), "log")
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range records {
				p := bytes.Repeat([]byte{byte(w)}, size)
				binary.LittleEndian.PutUint32(p[1:], uint32(i))
				if _, _, err := f.Append(p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	data := make([]byte, writers*records*size)
	if n := must[int](t)(f.ReadAt(data, 0)); n != len(data) {
		t.Fatalf("%d bytes", n)
	}
	var next [writers]uint32
	for at := 0; at < len(data); at += size {
		p := data[at : at+size]
		w := p[0]
		if got := binary.LittleEndian.Uint32(p[1:]); got != next[w] || bytes.Count(p[5:], p[:1]) != size-5 {
			t.Fatalf("record at %d is torn or out of order", at)
		}
		next[w]++
	}
}

// TestFarWrites moves data about in large files against a copy in memory,
// with a cache that is far too small.
func TestFarWrites(t *testing.T) {
	const span = 2 << 20
	fs := must[*FS](t)(mount(vfs.NewMem(), Options{Memory: MinMemory, Log: t.Logf}))
	defer closeChecked(t, fs)
	fs.pages.limit = 2 * BlockSize
	f := create(t, fs.Root(), "file")
	r := rand.New(rand.NewPCG(4, 4))
	model := []byte{}
	for step := range 600 {
		off, size := r.IntN(span), r.IntN(200_000)
		switch r.IntN(6) {
		case 0:
			must[any](t)(nil, f.Truncate(int64(off)))
			model = resized(model, off)
		case 1:
			must[any](t)(nil, f.PunchHole(int64(off), int64(size+1)))
			clear(model[min(off, len(model)):min(off+size+1, len(model))])
		case 2, 3:
			got := make([]byte, size)
			n := must[int](t)(f.ReadAt(got, int64(off)))
			want := model[min(off, len(model)):min(off+size, len(model))]
			if !bytes.Equal(got[:n], want) {
				t.Fatalf("step %d: read at %d differs", step, off)
			}
		default:
			data := make([]byte, size)
			for i := range data {
				data[i] = byte(r.Uint32())
			}
			must[int](t)(f.WriteAt(data, int64(off)))
			if size > 0 {
				model = resized(model, max(len(model), off+size))
				copy(model[off:], data)
			}
		}
		if size := f.Size(); size != int64(len(model)) {
			t.Fatalf("step %d: size %d, want %d", step, size, len(model))
		}
	}
}

func resized(b []byte, n int) []byte {
	if n <= len(b) {
		return b[:n:n]
	}
	return append(b, make([]byte, n-len(b))...)
}
