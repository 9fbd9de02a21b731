package file

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A history is a sequence of changes by one goroutine, after each of which
// the whole tree is described. After a crash the tree has to be one of these
// moments (each change whole or not at all, in order), and none older than
// the last Sync that returned.

// history drives a file system and remembers what it was like.
type history struct {
	t       *testing.T
	r       *rand.Rand
	fs      *FS
	unnamed *Inode   // open, and without a name; nil: there is none
	moments []string // after each change
	synced  int      // index of the last moment that is safe
}

var historyNames = []string{"a", "b", "c", "d"}

func (h *history) name() string { return historyNames[h.r.IntN(len(historyNames))] }

// directories are all there are, root first.
func (h *history) directories() []*Inode {
	found := []*Inode{h.fs.Root()}
	for i := 0; i < len(found); i++ {
		var names []string
		err := found[i].ReadDir(0, func(e Entry) bool {
			if e.Mode == syscall.S_IFDIR {
				names = append(names, e.Name)
			}
			return true
		})
		if err != nil {
			h.t.Fatal(err)
		}
		for _, name := range names {
			found = append(found, must[*Inode](h.t)(found[i].Lookup(name)))
		}
	}
	return found
}

func (h *history) directory() *Inode {
	all := h.directories()
	return all[h.r.IntN(len(all))]
}

// step makes one change, or one that fails and changes nothing.
func (h *history) step() {
	dir, name := h.directory(), h.name()
	var err error
	switch h.r.IntN(14) {
	case 0:
		_, err = dir.Create(name, New{Mode: syscall.S_IFDIR | 0o755})
	case 1, 2:
		_, err = dir.Create(name, New{Mode: syscall.S_IFREG | 0o644})
	case 3:
		_, err = dir.Create(name, New{Mode: syscall.S_IFLNK | 0o777, Target: h.name()})
	case 4:
		err = dir.Unlink(name)
	case 5:
		err = dir.Rmdir(name)
	case 6:
		err = h.fs.Rename(dir, name, h.directory(), h.name(), uint32(h.r.IntN(3)))
	case 7:
		var child *Inode
		if child, err = dir.Lookup(name); err == nil {
			err = h.directory().Link(h.name(), child)
		}
	case 8, 9:
		err = h.changeAttributes(dir, name)
	case 10:
		err = h.useUnnamed(dir, name)
	default:
		err = h.writeSomething(dir, name)
	}
	if err != nil && !errors.As(err, new(syscall.Errno)) {
		h.t.Fatal(err)
	}
	h.moments = append(h.moments, describe(h.t, h.fs))
}

// changeAttributes changes the mode, owner, times or an extended attribute of something.
func (h *history) changeAttributes(dir *Inode, name string) error {
	n, err := dir.Lookup(name)
	if err != nil {
		return err
	}
	switch h.r.IntN(5) {
	case 0:
		return n.Update(func(a *Attr) { a.Mode = h.r.Uint32() })
	case 1:
		return n.Update(func(a *Attr) { a.UID, a.GID = h.r.Uint32(), h.r.Uint32() })
	case 2:
		return n.Update(func(a *Attr) { a.Accessed, a.Modified = h.r.Int64N(latestShown), h.r.Int64N(latestShown) })
	case 3:
		return n.RemoveXattr(h.xattr())
	}
	return n.SetXattr(h.xattr(), fmt.Append(nil, h.r.Uint64()), h.r.IntN(3))
}

func (h *history) xattr() string { return fmt.Sprint("user.", h.r.IntN(3)) }

// useUnnamed makes a file without a name, changes the one that there is, gives it a name
// or lets it go.
func (h *history) useUnnamed(dir *Inode, name string) (err error) {
	n := h.unnamed
	if n == nil {
		h.unnamed, err = dir.CreateUnnamed(New{Mode: syscall.S_IFREG | 0o600})
		return err
	}
	switch h.r.IntN(6) {
	case 0, 1:
		if err := dir.Link(name, n); err != nil {
			return err
		}
		h.unnamed = nil
		return n.Close()
	case 2:
		h.unnamed = nil
		return n.Close()
	case 3:
		return n.SetXattr(h.xattr(), fmt.Append(nil, h.r.Uint64()), 0)
	}
	return h.writeTo(n)
}

// writeSomething changes contents, within one batch.
func (h *history) writeSomething(dir *Inode, name string) error {
	n, err := dir.Lookup(name)
	if err != nil {
		return err
	}
	return h.writeTo(n)
}

func (h *history) writeTo(n *Inode) error {
	if n.Attr().Type() != syscall.S_IFREG {
		return syscall.EINVAL
	}
	off := int64(h.r.IntN(3 * BlockSize))
	switch h.r.IntN(8) {
	case 0:
		return n.Truncate(off)
	case 1:
		return n.PunchHole(off, int64(1+h.r.IntN(2*BlockSize)))
	case 2, 3:
		return h.cloneSomething(n)
	case 4, 5:
		return h.writeChunks(n)
	}
	data := make([]byte, 1+h.r.IntN(2*BlockSize))
	for i := range data {
		data[i] = byte(h.r.Uint32())
	}
	_, err := n.WriteAt(data, off)
	return err
}

// writeChunks writes whole chunks, which are loaded.
func (h *history) writeChunks(n *Inode) error {
	data := make([]byte, (1+h.r.IntN(2))*chunkSize)
	for i := 0; i < len(data); i += 512 {
		data[i] = byte(h.r.Uint32())
	}
	_, err := n.WriteAt(data, int64(h.r.IntN(2))*chunkSize)
	return err
}

// cloneSomething copies pages of some file by reference.
func (h *history) cloneSomething(n *Inode) error {
	src, err := h.directory().Lookup(h.name())
	if err != nil {
		return err
	}
	from, to := int64(h.r.IntN(4))*BlockSize, int64(h.r.IntN(20))*BlockSize
	return n.CloneFrom(src, from, to, min(int64(1+h.r.IntN(3))*BlockSize, max(src.Size()-from, 0)))
}

// sync makes everything so far safe.
func (h *history) sync() {
	if err := h.fs.Sync(); err != nil {
		h.t.Fatal(err)
	}
	h.synced = len(h.moments) - 1
}

// describe writes down the whole tree.
func describe(t testing.TB, fs *FS) string {
	t.Helper()
	return describeTree(t, fs.Root())
}

func describeTree(t testing.TB, dir *Inode) string {
	t.Helper()
	var b strings.Builder
	describeInto(t, &b, dir, "")
	return b.String()
}

func describeInto(t testing.TB, b *strings.Builder, dir *Inode, path string) {
	entries := map[string]Entry{}
	if err := dir.ReadDir(0, func(e Entry) bool { entries[e.Name] = e; return true }); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		n := must[*Inode](t)(dir.Lookup(name))
		a := n.Attr()
		fmt.Fprintf(b, "%s/%s #%d %o %d", path, name, a.Number, a.Mode, a.Links)
		switch a.Type() {
		case syscall.S_IFREG:
			data := make([]byte, a.Size)
			must[int](t)(n.ReadAt(data, 0))
			sum := uint64(0)
			for _, c := range data {
				sum = (sum ^ uint64(c)) * 0x100000001b3
			}
			fmt.Fprintf(b, " %d:%x blocks %d", len(data), sum, a.Blocks)
		case syscall.S_IFLNK:
			fmt.Fprintf(b, " -> %s", must[string](t)(n.Readlink()))
		}
		describeAttributes(t, b, n, &a)
		b.WriteByte('\n')
		if a.Type() == syscall.S_IFDIR {
			describeInto(t, b, n, path+"/"+name)
		}
	}
}

// latestShown is up to when times are written down, in nanoseconds since 1970. Those of
// the clock of the machine differ from run to run.
const latestShown = int64(time.Hour)

func describeAttributes(t testing.TB, b *strings.Builder, n *Inode, a *Attr) {
	fmt.Fprintf(b, " of %d:%d", a.UID, a.GID)
	for _, at := range []int64{a.Accessed, a.Modified, a.Changed, a.Born} {
		if at < latestShown {
			fmt.Fprintf(b, " at %d", at)
		}
	}
	for _, name := range must[[]string](t)(n.Xattrs()) {
		fmt.Fprintf(b, " %s=%s", name, must[[]byte](t)(n.Xattr(name)))
	}
}

// TestCrash loses power at random moments, with random parts of what was not
// synced reaching the disk.
func TestCrash(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 8
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { crashOnce(t, seed) })
	}
}

func crashOnce(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	disk := vfs.NewCrashableMem()
	var ticks atomic.Int64
	now := func() time.Time { return time.Unix(0, ticks.Add(1)) }
	for range 4 { // crash, recover, go on
		fs := must[*FS](t)(mount(disk, Options{Memory: MinMemory, Now: now, Log: t.Logf}))
		fs.loads.from = 0
		if err := fs.Check(); err != nil {
			t.Fatalf("seed %d: after recovery: %v", seed, err)
		}
		h := &history{t: t, r: r, fs: fs, moments: []string{describe(t, fs)}}
		if err := fs.Sync(); err != nil { // recovery itself
			t.Fatal(err)
		}
		for range 20 + r.IntN(60) {
			h.step()
			if r.IntN(8) == 0 {
				h.sync()
			}
			if r.IntN(40) == 0 {
				if err := fs.flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		clone := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: rand.New(rand.NewPCG(seed, r.Uint64()))})
		closeChecked(t, fs)
		h.judge(clone, seed)
		disk = clone
	}
}

// judge opens what a crash left.
func (h *history) judge(disk *vfs.MemFS, seed uint64) {
	fs := must[*FS](h.t)(mount(disk, Options{Memory: MinMemory, Log: h.t.Logf}))
	defer closeChecked(h.t, fs)
	must[any](h.t)(nil, fs.flush())
	if n := rowsOf(h.t, fs, orphans); n != 0 {
		h.t.Errorf("seed %d: %d files without a name have outlived the crash", seed, n)
	}
	found := describe(h.t, fs)
	for i := len(h.moments) - 1; i >= h.synced; i-- {
		if h.moments[i] == found {
			return
		}
	}
	h.t.Fatalf("seed %d: after the crash the tree is at none of the moments from %d to %d:\n%s",
		seed, h.synced, len(h.moments)-1, found)
}
