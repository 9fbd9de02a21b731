package blockfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRandomAccess writes at random places and compares with a slice in memory.
func TestRandomAccess(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		for seed := range uint64(30) {
			dev, fs := formatted(t, 16<<20, sector)
			rng := rand.New(rand.NewPCG(seed, 1))
			f, err := fs.OpenReadWrite("f", unspecified)
			must(t, err)
			var model []byte
			for range 60 {
				off, n := rng.IntN(400<<10), 1+rng.IntN(1<<rng.IntN(19))
				if rng.IntN(2) == 0 {
					off = len(model)
				}
				p := pattern(int(seed), n)
				_, err := f.WriteAt(p, int64(off))
				must(t, err)
				if off+n > len(model) {
					model = append(model, make([]byte, off+n-len(model))...)
				}
				copy(model[off:], p)
				compareAt(t, f, model, rng)
				if rng.IntN(8) == 0 {
					must(t, f.Sync())
				}
			}
			must(t, f.Close())
			fs = reopen(t, dev, fs)
			if !bytes.Equal(readFile(t, fs, "f"), model) {
				t.Fatalf("seed %d: content differs after reopening", seed)
			}
			must(t, fs.Close())
		}
	}
}

func compareAt(t *testing.T, f io.ReaderAt, model []byte, rng *rand.Rand) {
	t.Helper()
	off, n := rng.IntN(len(model)+10), rng.IntN(200<<10)
	p := make([]byte, n)
	got, err := f.ReadAt(p, int64(off))
	want := model[min(off, len(model)):min(off+n, len(model))]
	if err != nil && err != io.EOF || err == nil && got < n || !bytes.Equal(p[:got], want) {
		t.Fatalf("%d bytes at %d of %d: got %d, %v", n, off, len(model), got, err)
	}
}

// TestReadAhead reads block by block while the file is written and grows, by a handle
// that reads ahead, and by one that is told what comes.
func TestReadAhead(t *testing.T) {
	t.Run("sequential", func(t *testing.T) { testReadAhead(t, 0, vfs.SequentialReadsOption) })
	t.Run("announced", func(t *testing.T) { testReadAhead(t, 100<<10) })
}

func testReadAhead(t *testing.T, announced int, opts ...vfs.OpenOption) {
	_, fs := formatted(t, 16<<20, 512)
	rng := rand.New(rand.NewPCG(1, 1))
	model := pattern(1, 1<<20)
	writeFile(t, fs, "f", model)
	w, err := fs.OpenReadWrite("f", unspecified)
	must(t, err)
	r, err := fs.Open("f", opts...)
	must(t, err)
	for off := 0; off < 1<<20; {
		n := 1 + rng.IntN(9000)
		if rng.IntN(8) == 0 {
			must(t, r.Prefetch(int64(off), int64(announced)))
		}
		p := make([]byte, n)
		got, err := r.ReadAt(p, int64(off))
		want := model[off:min(off+n, len(model))]
		if err != nil && (err != io.EOF || got == n) || !bytes.Equal(p[:got], want) {
			t.Fatalf("%d bytes at %d: got %d, %v", n, off, got, err)
		}
		off += got
		if rng.IntN(8) == 0 {
			at, p := rng.IntN(len(model)), pattern(off, 5000)
			_, err := w.WriteAt(p, int64(at))
			must(t, err)
			model = append(model, make([]byte, max(0, at+len(p)-len(model)))...)
			copy(model[at:], p)
		}
		compareAt(t, r, model, rng)
	}
	must(t, w.Close())
	must(t, r.Close())
}

// TestLogLength: exact while open and after Close, ahead of the writer on disk.
func TestLogLength(t *testing.T) {
	dev, fs := formatted(t, 16<<20, 512)
	f, err := fs.Create("log", walCategory)
	must(t, err)
	_, err = f.Write(pattern(1, 1000))
	must(t, err)
	must(t, f.Sync())
	crashed, err := Open(dev.Clone(), Options{})
	must(t, err)
	got := readFile(t, crashed, "log")
	if !bytes.Equal(got[:1000], pattern(1, 1000)) || len(got) != minLogGrowth || bytes.ContainsFunc(got[1000:], func(r rune) bool { return r != 0 }) {
		t.Fatalf("after a crash: %d bytes", len(got))
	}
	must(t, crashed.Close())
	must(t, f.Close())
	fs = reopen(t, dev, fs)
	if got := readFile(t, fs, "log"); !bytes.Equal(got, pattern(1, 1000)) {
		t.Fatalf("after closing: %d bytes", len(got))
	}
	f, err = fs.ReuseForWrite("log", "log2", walCategory)
	must(t, err)
	_, err = f.Write(pattern(2, 100))
	must(t, err)
	must(t, f.Sync())
	if got := readFile(t, fs, "log2"); len(got) != 1000 || !bytes.Equal(got[:100], pattern(2, 100)) || !bytes.Equal(got[512:], pattern(1, 1000)[512:]) {
		t.Fatalf("reused: %d bytes", len(got))
	}
	must(t, f.Close())
	must(t, fs.Close())
}

// TestRemoveOpen: a removed file stays readable until it is closed, and its
// blocks come back then.
func TestRemoveOpen(t *testing.T) {
	_, fs := formatted(t, 16<<20, 512)
	writeFile(t, fs, "f", pattern(1, 1<<20))
	f, err := fs.Open("f")
	must(t, err)
	must(t, fs.Remove("f"))
	must(t, fs.Sync())
	before, _ := fs.GetDiskUsage("")
	p := make([]byte, 1<<20)
	_, err = f.ReadAt(p, 0)
	must(t, err)
	if !bytes.Equal(p, pattern(1, 1<<20)) {
		t.Fatal("content differs")
	}
	must(t, f.Close())
	must(t, fs.Sync())
	after, _ := fs.GetDiskUsage("")
	if after.AvailBytes-before.AvailBytes != 1<<20 {
		t.Fatalf("%d bytes came back", after.AvailBytes-before.AvailBytes)
	}
}

// TestFull fills the volume, sees ENOSPC, reads, deletes, and writes again.
func TestFull(t *testing.T) {
	dev, fs := formatted(t, 8<<20, 512)
	for round := range 3 {
		n := fill(t, fs)
		for i := range n {
			if !bytes.Equal(readFile(t, fs, fmt.Sprint("f", i)), pattern(i, 300<<10)) {
				t.Fatalf("file %d differs on a full volume", i)
			}
		}
		must(t, fs.Remove("f0"))
		writeFile(t, fs, "f0", pattern(0, 300<<10))
		for i := range n {
			must(t, fs.Remove(fmt.Sprint("f", i)))
		}
		if round == 1 {
			fs = reopen(t, dev, fs)
		}
	}
	must(t, fs.Close())
}

// fill writes files until there is no space; it returns how many fitted.
func fill(t *testing.T, fs *FS) int {
	t.Helper()
	for i := 0; ; i++ {
		name := fmt.Sprint("f", i)
		f, err := fs.Create(name, unspecified)
		must(t, err)
		_, err = f.Write(pattern(i, 300<<10))
		if err == nil {
			must(t, f.Sync())
			must(t, f.Close())
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) || i == 0 {
			t.Fatalf("file %d: %v", i, err)
		}
		must(t, f.Close())
		must(t, fs.Remove(name))
		return i
	}
}

// TestMetadataFull fills the metadata area with names; removing and renaming
// still work, also after reopening.
func TestMetadataFull(t *testing.T) {
	dev, fs := formatted(t, 4<<20, 512)
	n := 0
	for ; ; n++ {
		f, err := fs.Create(fmt.Sprintf("%0200d", n), unspecified)
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		must(t, err)
		must(t, f.Close())
	}
	fs = reopen(t, dev, fs)
	must(t, fs.Rename(fmt.Sprintf("%0200d", 0), fmt.Sprintf("%0210d", 0)))
	for i := 1; i < n; i++ {
		must(t, fs.Remove(fmt.Sprintf("%0200d", i)))
	}
	fs = reopen(t, dev, fs)
	writeFile(t, fs, "again", pattern(1, 100))
	if names, err := fs.List(""); err != nil || len(names) != 2 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	must(t, fs.Close())
}

// TestConcurrentFiles writes, syncs, reads and removes many files at once.
func TestConcurrentFiles(t *testing.T) {
	dev, fs := formatted(t, 64<<20, 512)
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for i := range 40 {
				name := fmt.Sprintf("w%d-%d", w, i%5)
				writeFile(t, fs, name, pattern(w*100+i, 1000*(i+1)))
				if !bytes.Equal(readFile(t, fs, name), pattern(w*100+i, 1000*(i+1))) {
					t.Errorf("%s differs", name)
				}
				if i%7 == 6 {
					must(t, fs.Remove(name))
				}
			}
		})
	}
	group.Wait()
	checkAll(t, dev, fs)
}

// TestReadWhileWriting reads a file that grows, as Pebble's checkpoints do.
func TestReadWhileWriting(t *testing.T) {
	_, fs := formatted(t, 64<<20, 512)
	f, err := fs.Create("f", walCategory)
	must(t, err)
	whole := pattern(3, 2<<20)
	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() {
		for {
			got := readFile(t, fs, "f")
			if !bytes.Equal(got, whole[:len(got)]) {
				t.Error("content differs while it is written")
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for at, n := 0, 0; at < len(whole); at += n {
		n = min(1+at%70000, len(whole)-at)
		_, err := f.Write(whole[at : at+n])
		must(t, err)
		must(t, f.Sync())
	}
	close(done)
	group.Wait()
	must(t, f.Close())
}
