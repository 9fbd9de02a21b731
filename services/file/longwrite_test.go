package file

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/blockdev/crash"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/table"
)

// loadedRows counts the data that was loaded.
func loadedRows(t *testing.T, fs *FS) (rows int) {
	t.Helper()
	err := fs.view(func(tx *table.Tx) error {
		rows = 0
		for _, err := range data.Scan(tx, table.From(uint64(loadedData))) {
			if err != nil {
				return err
			}
			rows++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// stream writes size bytes, which it returns, in pieces of a megabyte.
func stream(t *testing.T, n *Inode, r *rand.Rand, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	for i := 0; i < size; i += 8 {
		content[i] = byte(r.Uint32())
	}
	for off := 0; off < size; off += 1 << 20 {
		if _, err := n.WriteAt(content[off:min(size, off+1<<20)], int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	return content
}

func sameContent(t *testing.T, n *Inode, want []byte, when string) {
	t.Helper()
	got := make([]byte, len(want))
	if read, err := n.ReadAt(got, 0); err != nil || read != len(want) || !bytes.Equal(got, want) {
		t.Fatalf("%s: %d of %d bytes, %v, and they are the same: %v", when, read, len(want), err, bytes.Equal(got, want))
	}
	page := make([]byte, BlockSize)
	for off := 0; off < len(want); off += 7*chunkSize + BlockSize {
		read, err := n.ReadAt(page, int64(off))
		if err != nil || !bytes.Equal(page[:read], want[off:off+read]) {
			t.Fatalf("%s: the page at %d is another: %v", when, off, err)
		}
	}
}

// TestLoads writes a long file and sees that its contents went past the log, are read in
// each state, may be written over and cut, and are freed when nothing refers to them.
func TestLoads(t *testing.T) {
	disk := vfs.NewMem()
	fs := must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	r := rand.New(rand.NewPCG(1, 2))
	n := must[*Inode](t)(fs.Root().Create("long", New{Mode: syscall.S_IFREG | 0o644}))
	want := stream(t, n, r, 6<<20+3000)
	sameContent(t, n, want, "not stored")
	if err := fs.Check(); err != nil {
		t.Fatal(err)
	}
	if err := n.Sync(); err != nil {
		t.Fatal(err)
	}
	sameContent(t, n, want, "stored")
	if rows := loadedRows(t, fs); rows < 5*16 {
		t.Errorf("%d rows were loaded", rows)
	}

	// Written over: first whole chunks, then parts of them, before they are stored.
	again := stream(t, n, r, 3<<20)
	copy(want, again)
	for _, off := range []int{2<<20 + 100, 2<<20 + 5*BlockSize, 3<<20 - 2*BlockSize + 7} {
		p := []byte(fmt.Sprint("part at ", off))
		copy(want[off:], p)
		must[int](t)(n.WriteAt(p, int64(off)))
	}
	sameContent(t, n, want, "written over")
	clear(want[2<<20+chunkSize : 2<<20+3*chunkSize])
	if err := n.PunchHole(2<<20+chunkSize, 2*chunkSize); err != nil {
		t.Fatal(err)
	}
	want = want[:4<<20+123]
	if err := n.Truncate(int64(len(want))); err != nil {
		t.Fatal(err)
	}
	sameContent(t, n, want, "cut")
	closeChecked(t, fs)

	fs = must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	defer closeChecked(t, fs)
	n = must[*Inode](t)(fs.Root().Lookup("long"))
	sameContent(t, n, want, "opened again")
}

// TestLoadedCopies copies loaded contents by reference, changes the original and looks
// at the past.
func TestLoadedCopies(t *testing.T) {
	fs := must[*FS](t)(mount(vfs.NewMem(), Options{Log: t.Logf}))
	defer closeChecked(t, fs)
	r := rand.New(rand.NewPCG(3, 4))
	n := must[*Inode](t)(fs.Root().Create("a", New{Mode: syscall.S_IFREG | 0o644}))
	first := stream(t, n, r, 4<<20)
	other := must[*Inode](t)(fs.Root().Create("b", New{Mode: syscall.S_IFREG | 0o644}))
	if err := other.CloneFrom(n, 0, 0, int64(len(first))); err != nil {
		t.Fatal(err)
	}
	past := must[*Past](t)(fs.At(fs.options.Now()))
	second := stream(t, n, r, 4<<20)
	sameContent(t, n, second, "the original")
	sameContent(t, other, first, "the copy")
	then := must[*PastInode](t)(past.Inode(n.Attr().Number))
	got := make([]byte, len(first))
	if read, err := then.ReadAt(got, 0); err != nil || !bytes.Equal(got[:read], first) {
		t.Errorf("the past has %d other bytes, %v", read, err)
	}
}

// TestLoadsCrash loses power while long files are written, and sees that what was synced
// is there, and that what was loaded for nothing is freed.
func TestLoadsCrash(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { loadsCrash(t, seed) })
	}
}

func loadsCrash(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 5))
	disk := vfs.NewCrashableMem()
	want := map[string][]byte{}
	for round := range 3 {
		fs := must[*FS](t)(mount(disk, Options{Log: t.Logf}))
		fs.loads.from = 0
		if err := fs.Check(); err != nil {
			t.Fatalf("seed %d: after recovery: %v", seed, err)
		}
		for name, content := range want {
			sameContent(t, must[*Inode](t)(fs.Root().Lookup(name)), content, name)
		}
		name := fmt.Sprint("synced", round)
		n := must[*Inode](t)(fs.Root().Create(name, New{Mode: syscall.S_IFREG | 0o644}))
		want[name] = stream(t, n, r, 1<<20+r.IntN(1<<20))
		if err := n.Sync(); err != nil {
			t.Fatal(err)
		}
		lost := must[*Inode](t)(fs.Root().Create(fmt.Sprint("lost", round), New{Mode: syscall.S_IFREG | 0o644}))
		stream(t, lost, r, 1<<20+r.IntN(1<<20))
		switch r.IntN(3) { // how far it has come
		case 0:
			if err := fs.loads.finish(); err != nil {
				t.Fatal(err)
			}
		case 1:
			if err := fs.flush(); err != nil {
				t.Fatal(err)
			}
		}
		clone := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: rand.New(rand.NewPCG(seed, r.Uint64()))})
		closeChecked(t, fs)
		disk = clone
	}
	fs := must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	defer closeChecked(t, fs)
	must[*Inode](t)(fs.Root().Create("one more", New{Mode: syscall.S_IFREG | 0o644}))
	if err := fs.Sync(); err != nil {
		t.Fatal(err)
	}
	if left := len(fs.loads.unsettled); left > 0 {
		t.Errorf("%d rows are of no file and were not freed", left)
	}
}

// TestLoadsPower cuts the power of the disk itself while a long file is written.
func TestLoadsPower(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { loadsPower(t, seed) })
	}
}

func loadsPower(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	disk := crash.New(256<<20, 4096)
	kept := map[string][]byte{} // files that are durable
	for round := range 3 {
		volume := must[*blockfs.FS](t)(blockfs.Open(disk, blockfs.Options{FormatBlank: true}))
		fs := must[*FS](t)(mount(volume, Options{Log: t.Logf}))
		fs.loads.from = 0
		if err := fs.Check(); err != nil {
			t.Fatal(err)
		}
		for name, content := range kept {
			sameContent(t, must[*Inode](t)(fs.Root().Lookup(name)), content, name)
		}
		disk.ForkAfter(r.IntN(150))
		before := loadedRows(t, fs)
		for i := range 4 {
			name := fmt.Sprint(round, "-", i)
			n := create(t, fs.Root(), name)
			content := stream(t, n, r, 1<<20+r.IntN(2<<20))
			if err := n.Sync(); err != nil {
				t.Fatal(err)
			}
			if !disk.Cut() {
				kept[name] = content
			}
		}
		if loadedRows(t, fs) == before {
			t.Error("nothing was loaded")
		}
		closeChecked(t, fs)
		if err := volume.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		if disk, err = disk.Crash(r); err != nil {
			t.Fatal(err)
		}
	}
}
