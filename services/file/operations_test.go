package file

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev/crash"
	"github.com/tuplix/tuplix/dbms/blockfs"
)

var (
	operationsSeed  = flag.Uint64("operations.seed", 0, "run this `seed` of TestOperations only")
	operationsSeeds = flag.Int("operations.seeds", 32, "run `n` seeds of TestOperations, a tenth with the race detector")
)

// TestOperations does random operations on a few files, as fsx does, and cuts the power
// under the whole stack. Beside it a model does the same on slices of bytes. Every read
// must agree, and what a power cut leaves must be what the model had after some
// operation, not before the last that was synced.
func TestOperations(t *testing.T) {
	if *operationsSeed != 0 {
		runOperations(t, *operationsSeed)
		return
	}
	seeds := *operationsSeeds / raceShare
	if testing.Short() {
		seeds = min(seeds, 8)
	}
	for i := range uint64(seeds) {
		if !t.Run(fmt.Sprint("seed=", i+1), func(t *testing.T) { runOperations(t, i+1) }) {
			t.Fatalf("run again with -operations.seed=%d", i+1)
		}
	}
}

const (
	operationsDisk  = 48 << 20
	operationsTurns = 3 // times that power comes back
	operationsMost  = 400 << 10
)

func runOperations(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 4))
	disk := crash.New(operationsDisk, 512)
	files := map[string][]byte{}
	for turn := range operationsTurns {
		if r.IntN(4) > 0 {
			disk.ForkAfter(r.IntN(100))
		}
		o := &operations{t: t, r: r, disk: disk, fs: openDisk(t, disk), files: files}
		o.remember()
		o.sync()
		for range 10 + r.IntN(100) {
			o.step()
		}
		o.compare(o.fs)
		if turn%2 == 0 && !disk.Cut() {
			if err := o.fs.Check(); err != nil {
				t.Fatal(err)
			}
		}
		if err := unmount(o.fs); err != nil {
			t.Fatal(err)
		}
		if !disk.Cut() { // it was closed in good order
			o.synced = len(o.moments) - 1
		}
		if t.Failed() {
			t.Log(strings.Join(o.log, "\n"))
			return
		}
		var err error
		if disk, err = disk.Crash(r); err != nil {
			t.Fatal(err)
		}
		files = o.judge(disk)
	}
}

// openDisk mounts the files on a disk.
func openDisk(t *testing.T, disk *crash.Device) *FS {
	t.Helper()
	volume, err := blockfs.Open(disk, blockfs.Options{FormatBlank: true})
	if err != nil {
		t.Fatal(err)
	}
	return must[*FS](t)(mount(volume, Options{Memory: MinMemory, Log: t.Logf}))
}

// operations drives a file system and the model.
type operations struct {
	t       *testing.T
	r       *rand.Rand
	disk    *crash.Device
	fs      *FS
	files   map[string][]byte // as they should be
	moments []map[string][]byte
	synced  int
	log     []string
}

// remember notes what the files are like after a change.
func (o *operations) remember() { o.moments = append(o.moments, maps.Clone(o.files)) }

func (o *operations) note(format string, args ...any) {
	o.log = append(o.log, fmt.Sprintf(format, args...))
}

// expect fails unless the error is the expected one.
func (o *operations) expect(err, want error) {
	o.t.Helper()
	if !errors.Is(err, want) {
		o.t.Fatalf("%v, should be %v, after\n%s", err, want, strings.Join(o.log, "\n"))
	}
}

func (o *operations) name() string { return historyNames[o.r.IntN(len(historyNames))] }

func (o *operations) bytes(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(o.r.Uint32())
	}
	return p
}

// offset is anywhere in a file, and a little beyond its end; often on a page.
func (o *operations) offset(name string) int {
	at := o.r.IntN(min(len(o.files[name])+3*BlockSize, operationsMost))
	if o.r.IntN(2) == 0 {
		at &^= BlockSize - 1
	}
	return at
}

func (o *operations) length() int {
	n := 1 + o.r.IntN(3*BlockSize)
	switch o.r.IntN(4) {
	case 0:
		n = BlockSize * (1 + o.r.IntN(20))
	case 1:
		n = 1 + o.r.IntN(30*BlockSize)
	}
	return n
}

func (o *operations) step() {
	name := o.name()
	n, err := o.fs.Root().Lookup(name)
	if o.files[name] == nil {
		o.expect(err, syscall.ENOENT)
		o.create(name)
		return
	}
	o.expect(err, nil)
	switch o.r.IntN(12) {
	case 0, 1, 2:
		o.write(n, name, o.offset(name), o.bytes(o.length()))
	case 3:
		o.truncate(n, name)
	case 4:
		o.punch(n, name)
	case 5, 6:
		o.clone(n, name)
	case 7:
		o.rename(name)
	case 8:
		o.note("unlink %s", name)
		o.expect(o.fs.Root().Unlink(name), nil)
		delete(o.files, name)
		o.remember()
	case 9:
		o.sync()
	default:
		o.read(n, name)
	}
}

// create makes an empty file, or one that has contents before it has its name.
func (o *operations) create(name string) {
	content := []byte{}
	if o.r.IntN(2) == 0 {
		o.note("create %s", name)
		create(o.t, o.fs.Root(), name)
	} else {
		content = o.bytes(o.length())
		o.note("create %s with %d", name, len(content))
		n := must[*Inode](o.t)(o.fs.Root().CreateUnnamed(New{Mode: syscall.S_IFREG | 0o644}))
		must[int](o.t)(n.WriteAt(content, 0))
		if o.r.IntN(2) == 0 {
			o.sync()
		}
		o.expect(o.fs.Root().Link(name, n), nil)
		o.expect(n.Close(), nil)
	}
	o.files[name] = content
	o.remember()
}

// extended returns a copy with length n at least.
func extended(b []byte, n int) []byte {
	return append(slices.Clone(b), make([]byte, max(n-len(b), 0))...)
}

// write writes as the service does: in steps, each of which is a change.
func (o *operations) write(n *Inode, name string, off int, p []byte) {
	o.note("write %s %d+%d", name, off, len(p))
	got, err := n.WriteAt(p, int64(off))
	o.expect(err, nil)
	if got != len(p) {
		o.t.Fatalf("%d bytes were written of %d", got, len(p))
	}
	for len(p) > 0 {
		m := min(len(p), maxStep-off%maxStep)
		b := extended(o.files[name], off+m)
		copy(b[off:], p[:m])
		o.files[name] = b
		o.remember()
		p, off = p[m:], off+m
	}
}

func (o *operations) truncate(n *Inode, name string) {
	size := o.offset(name)
	o.note("truncate %s %d", name, size)
	o.expect(n.Truncate(int64(size)), nil)
	o.files[name] = extended(o.files[name], size)[:size]
	o.remember()
}

func (o *operations) punch(n *Inode, name string) {
	off, length := o.offset(name), o.length()
	o.note("punch %s %d+%d", name, off, length)
	o.expect(n.PunchHole(int64(off), int64(length)), nil)
	b := slices.Clone(o.files[name])
	if off < len(b) {
		clear(b[off:min(off+length, len(b))])
	}
	o.files[name] = b
	o.remember()
}

func (o *operations) clone(n *Inode, name string) {
	other := o.name()
	if o.files[other] == nil {
		return
	}
	src := must[*Inode](o.t)(o.fs.Root().Lookup(other))
	from, to := o.offset(other)&^(BlockSize-1), o.offset(name)&^(BlockSize-1)
	length := max(min(o.length(), len(o.files[other])-from), 0)
	o.note("clone %s %d+%d to %s %d", other, from, length, name, to)
	err := n.CloneFrom(src, int64(from), int64(to), int64(length))
	switch {
	case name == other && from < to+length && to < from+length,
		length > 0 && length%BlockSize != 0 && (from+length < len(o.files[other]) || to+length < len(o.files[name])):
		o.expect(err, syscall.EINVAL)
		return
	}
	o.expect(err, nil)
	if length > 0 {
		b := extended(o.files[name], to+length)
		copy(b[to:], o.files[other][from:from+length])
		o.files[name] = b
	}
	o.remember()
}

func (o *operations) rename(name string) {
	to := o.name()
	o.note("rename %s %s", name, to)
	o.expect(o.fs.Rename(o.fs.Root(), name, o.fs.Root(), to, 0), nil)
	if to != name {
		o.files[to] = o.files[name]
		delete(o.files, name)
	}
	o.remember()
}

func (o *operations) sync() {
	o.note("sync")
	o.expect(o.fs.Sync(), nil)
	if !o.disk.Cut() {
		o.synced = len(o.moments) - 1
	}
}

func (o *operations) read(n *Inode, name string) {
	off, want := o.offset(name), o.files[name]
	p := make([]byte, o.length())
	got, err := n.ReadAt(p, int64(off))
	o.expect(err, nil)
	if want = want[min(off, len(want)):min(off+len(p), len(want))]; !bytes.Equal(p[:got], want) {
		o.t.Fatalf("read %s %d+%d gives %d bytes, others than the %d of the model, after\n%s",
			name, off, len(p), got, len(want), strings.Join(o.log, "\n"))
	}
}

// contents are the files of the root.
func contents(t *testing.T, fs *FS) map[string][]byte {
	found := map[string][]byte{}
	for _, name := range historyNames {
		n, err := fs.Root().Lookup(name)
		if err == syscall.ENOENT {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, n.Size())
		must[int](t)(n.ReadAt(p, 0))
		found[name] = p
	}
	return found
}

func sameFiles(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

func (o *operations) compare(fs *FS) {
	if found := contents(o.t, fs); !sameFiles(found, o.files) {
		o.t.Errorf("the files are %s, should be %s", sums(found), sums(o.files))
	}
}

// sums tells files apart in a message.
func sums(files map[string][]byte) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%s: %d bytes, %x; ", name, len(files[name]), maphash.Bytes(sumSeed, files[name]))
	}
	return b.String()
}

var sumSeed = maphash.MakeSeed()

// judge opens what a power cut left and returns it. It must be one of the moments.
func (o *operations) judge(disk *crash.Device) map[string][]byte {
	fs := openDisk(o.t, disk)
	defer closeChecked(o.t, fs)
	found := contents(o.t, fs)
	for i := len(o.moments) - 1; i >= o.synced; i-- {
		if sameFiles(o.moments[i], found) {
			return found
		}
	}
	o.t.Fatalf("after the power cut the files are %s\nwhich they were at none of the moments from %d to %d, where\n%s",
		sums(found), o.synced, len(o.moments)-1, strings.Join(o.log, "\n"))
	return nil
}
