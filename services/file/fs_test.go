package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/txn"
)

var ctx = context.Background()

// stores are those below the file systems that mount has opened.
var stores sync.Map

// mount opens the files of the store on a volume.
func mount(volume vfs.FS, o Options) (*FS, error) {
	so := store.Options{Options: embedded.Options{Memory: embedded.MinMemory, Log: o.Log}}
	s, err := store.Open(ctx, volume, so, Tables()...)
	if err != nil {
		return nil, err
	}
	if o.Space == nil {
		o.Space, o.MakeRoom = s.Space, s.MakeRoom
	}
	fs, err := Open(s.DB, o)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	stores.Store(fs, s)
	return fs, nil
}

func storeOf(fs *FS) *store.Store {
	s, _ := stores.Load(fs)
	return s.(*store.Store)
}

func unmount(fs *FS) error { return errors.Join(fs.Close(), storeOf(fs).Close()) }

// open mounts a fresh file system in memory; at the end it must be consistent.
func open(t testing.TB, o Options) *FS {
	t.Helper()
	if o.Log == nil {
		o.Log = t.Logf
	}
	fs, err := mount(vfs.NewMem(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeChecked(t, fs) })
	return fs
}

func closeChecked(t testing.TB, fs *FS) {
	t.Helper()
	if err := fs.Check(); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := storeOf(fs).Check(ctx, func(p engine.Problem) { t.Errorf("store: %+v", p) }); err != nil {
		t.Errorf("check of the store: %v", err)
	}
	if err := unmount(fs); err != nil {
		t.Errorf("close: %v", err)
	}
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func create(t testing.TB, dir *Inode, name string) *Inode {
	t.Helper()
	return must[*Inode](t)(dir.Create(name, New{Mode: syscall.S_IFREG | 0o644}))
}

func mkdir(t testing.TB, dir *Inode, name string) *Inode {
	t.Helper()
	return must[*Inode](t)(dir.Create(name, New{Mode: syscall.S_IFDIR | 0o755}))
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestErrnos(t *testing.T) {
	fs := open(t, Options{})
	root := fs.Root()
	dir, f := mkdir(t, root, "dir"), create(t, root, "file")
	sub := mkdir(t, dir, "sub")
	long := string(bytes.Repeat([]byte{'n'}, MaxName+1))

	_, err := root.Create("file", New{Mode: syscall.S_IFREG})
	wantErr(t, "create existing", err, syscall.EEXIST)
	_, err = root.Create(long, New{Mode: syscall.S_IFREG})
	wantErr(t, "create long", err, syscall.ENAMETOOLONG)
	_, err = root.Create("a/b", New{Mode: syscall.S_IFREG})
	wantErr(t, "create with slash", err, syscall.EINVAL)
	_, err = f.Create("x", New{Mode: syscall.S_IFREG})
	wantErr(t, "create in file", err, syscall.ENOTDIR)
	_, err = root.Lookup("none")
	wantErr(t, "lookup", err, syscall.ENOENT)
	_, err = f.Lookup("none")
	wantErr(t, "lookup in file", err, syscall.ENOTDIR)
	wantErr(t, "unlink directory", root.Unlink("dir"), syscall.EISDIR)
	wantErr(t, "rmdir file", root.Rmdir("file"), syscall.ENOTDIR)
	wantErr(t, "rmdir full", root.Rmdir("dir"), syscall.ENOTEMPTY)
	wantErr(t, "link directory", root.Link("dir2", dir), syscall.EPERM)
	wantErr(t, "link over", root.Link("dir", f), syscall.EEXIST)
	wantErr(t, "into itself", fs.Rename(root, "dir", sub, "x", 0), syscall.EINVAL)
	wantErr(t, "over ancestor", fs.Rename(dir, "sub", root, "dir", 0), syscall.ENOTEMPTY)
	wantErr(t, "file over directory", fs.Rename(root, "file", root, "dir", 0), syscall.EISDIR)
	wantErr(t, "directory over file", fs.Rename(root, "dir", root, "file", 0), syscall.ENOTDIR)
	wantErr(t, "no replace", fs.Rename(root, "file", root, "dir", RenameNoReplace), syscall.EEXIST)
	wantErr(t, "exchange with none", fs.Rename(root, "file", root, "x", RenameExchange), syscall.ENOENT)
	_, err = f.Readlink()
	wantErr(t, "readlink", err, syscall.EINVAL)
	_, err = f.WriteAt([]byte{1}, MaxSize)
	wantErr(t, "write too far", err, syscall.EFBIG)
}

func TestReopen(t *testing.T) {
	disk := vfs.NewMem()
	fs := must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	f := create(t, fs.Root(), "file")
	data := bytes.Repeat([]byte("0123456789abcdef"), 5000)
	must[int](t)(f.WriteAt(data, 3))
	must[*Inode](t)(fs.Root().Create("link", New{Mode: syscall.S_IFLNK | 0o777, Target: "file"}))
	orphan := create(t, fs.Root(), "orphan")
	must[int](t)(orphan.WriteAt(data, 0))
	if err := errors.Join(orphan.Open(), fs.Root().Unlink("orphan")); err != nil {
		t.Fatal(err)
	}
	closeChecked(t, fs) // with the orphan still open, as a crash would

	fs = must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	defer closeChecked(t, fs)
	got := make([]byte, len(data)+10)
	f = must[*Inode](t)(fs.Root().Lookup("file"))
	n := must[int](t)(f.ReadAt(got, 0))
	if want := append(make([]byte, 3), data...); !bytes.Equal(got[:n], want) {
		t.Error("file contents differ")
	}
	link := must[*Inode](t)(fs.Root().Lookup("link"))
	if target := must[string](t)(link.Readlink()); target != "file" {
		t.Errorf("link target %q", target)
	}
	if n, err := fs.inode(orphan.number); err == nil && n.Open() == nil {
		t.Errorf("orphan is still there: %+v", n.Attr())
	}
}

func TestOpenFileOutlivesItsName(t *testing.T) {
	fs := open(t, Options{})
	f := create(t, fs.Root(), "file")
	must[int](t)(f.WriteAt([]byte("hello"), 0))
	if err := errors.Join(f.Open(), fs.Root().Unlink("file")); err != nil {
		t.Fatal(err)
	}
	var p [8]byte
	if n := must[int](t)(f.ReadAt(p[:], 0)); string(p[:n]) != "hello" {
		t.Errorf("read %q", p[:n])
	}
	must[int](t)(f.WriteAt([]byte("J"), 0))
	wantErr(t, "link without name", fs.Root().Link("again", f), syscall.ENOENT)
	if err := fs.Check(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	wantErr(t, "open after the end", f.Open(), syscall.ENOENT)
}

// A file that has got no name goes with its last Close, and all its rows.
func TestUnnamedGoes(t *testing.T) {
	fs := open(t, Options{})
	f := must[*Inode](t)(fs.Root().CreateUnnamed(New{Mode: syscall.S_IFREG | 0o644}))
	must[any](t)(nil, f.Open())
	must[int](t)(f.WriteAt(make([]byte, 3*BlockSize), 0))
	must[any](t)(nil, f.SetXattr("user.a", []byte("value"), 0))
	rows := func() [5]int {
		must[any](t)(nil, fs.Sync())
		must[any](t)(nil, fs.makeRoom(0)) // of what only the past has, nothing
		return [...]int{
			rowsOf(t, fs, inodes) - 1, rowsOf(t, fs, orphans), rowsOf(t, fs, extents), rowsOf(t, fs, data), rowsOf(t, fs, attributes),
		}
	}
	if got := rows(); got != [...]int{1, 1, 1, 1, 1} {
		t.Errorf("rows of a file that is open twice: %v", got)
	}
	must[any](t)(nil, f.Close())
	if got := rows(); got != [...]int{1, 1, 1, 1, 1} {
		t.Errorf("rows of a file that is open: %v", got)
	}
	must[any](t)(nil, f.Close())
	if got := rows(); got != [5]int{} {
		t.Errorf("rows of a file that is gone: %v", got)
	}
	wantErr(t, "open", f.Open(), syscall.ENOENT)
	wantErr(t, "link", fs.Root().Link("file", f), syscall.ENOENT)
}

// A file that a restore takes away before it has got a name gets none any more.
func TestUnnamedTakenAway(t *testing.T) {
	fs := open(t, Options{})
	was := remember(t, fs)
	f := must[*Inode](t)(fs.Root().CreateUnnamed(New{Mode: syscall.S_IFREG | 0o644}))
	must[Restored](t)(fs.Restore(ctx, nil, "/", was.at))
	wantErr(t, "link", fs.Root().Link("file", f), syscall.ENOENT)
	must[any](t)(nil, f.Close())
}

func TestSparse(t *testing.T) {
	fs := open(t, Options{})
	f := create(t, fs.Root(), "file")
	const far = 1 << 40
	must[int](t)(f.WriteAt([]byte("end"), far))
	if a := f.Attr(); a.Size != far+3 || a.Blocks != 1 {
		t.Errorf("size %d blocks %d", a.Size, a.Blocks)
	}
	if at := must[int64](t)(f.SeekData(5)); at != far {
		t.Errorf("data at %d", at)
	}
	if at := must[int64](t)(f.SeekHole(0)); at != 0 {
		t.Errorf("hole at %d", at)
	}
	if at := must[int64](t)(f.SeekHole(far)); at != far+3 {
		t.Errorf("hole at %d", at)
	}
	if err := f.PunchHole(far, 3); err != nil {
		t.Error(err)
	}
	_, err := f.SeekData(0)
	wantErr(t, "no data", err, syscall.ENXIO)
	if err := f.Truncate(0); err != nil {
		t.Error(err)
	}
}

func TestHundredThousandEntries(t *testing.T) {
	count := 100_000
	switch {
	case testing.Short():
		count = 5000
	case raceShare > 1:
		count = 20_000 // all of them without the race detector
	}
	fs := open(t, Options{Memory: MinMemory})
	dir := mkdir(t, fs.Root(), "dir")
	for i := range count {
		create(t, dir, fmt.Sprint("name", i))
	}
	seen := map[string]bool{}
	position, removed := int64(0), 0
	for {
		listed := 0
		var first string
		err := dir.ReadDir(position, func(e Entry) bool {
			if listed == 1000 {
				return false
			}
			if seen[e.Name] {
				t.Fatalf("%s twice", e.Name)
			}
			seen[e.Name], position, first = true, e.Position, e.Name
			listed++
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		if listed == 0 {
			break
		}
		if err := dir.Unlink(first); err != nil { // must not disturb the listing
			t.Fatal(err)
		}
		removed++
	}
	if len(seen) != count || dir.Attr().Size != int64(count-removed) {
		t.Errorf("listed %d, size %d", len(seen), dir.Attr().Size)
	}
}

// separating notes what is to be stored apart.
type separating struct {
	*embedded.Engine
	ranges []engine.Range
}

func (s *separating) Separate(r engine.Range) {
	s.ranges = append(s.ranges, r)
	s.Engine.Separate(r)
}

// Contents of files are stored apart from other rows, from each opening on.
func TestContentsApart(t *testing.T) {
	volume := vfs.NewMem()
	for range 2 {
		e := must[*embedded.Engine](t)(store.OpenEngine(volume, store.Options{Options: embedded.Options{Memory: embedded.MinMemory, Log: t.Logf}}))
		s := &separating{Engine: e}
		db := must[*table.DB](t)(table.Open(ctx, txn.New(s), &engine.Op{}, Tables()...))
		fs := must[*FS](t)(Open(db, Options{Log: t.Logf}))
		err := fs.view(func(tx *table.Tx) error {
			contents, err := tx.KeysOf(data)
			if !reflect.DeepEqual(s.ranges, contents) {
				t.Errorf("apart are %q, should be %q", s.ranges, contents)
			}
			return err
		})
		if err := errors.Join(err, fs.Close(), e.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullDevice(t *testing.T) {
	disk := vfs.NewMem()
	disk.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: 1 << 29})
	fs := must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	defer closeChecked(t, fs)
	f := create(t, fs.Root(), "file")
	must[int](t)(f.WriteAt(make([]byte, 1<<20), 0))
	disk.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: 1 << 20})
	var err error
	for range 64 {
		if _, _, err = f.Append(make([]byte, 1<<20)); err != nil {
			break
		}
	}
	wantErr(t, "append", err, syscall.ENOSPC)
	if err := fs.Root().Unlink("file"); err != nil {
		t.Errorf("unlink on a full device: %v", err)
	}
	disk.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: 1 << 29})
	create(t, fs.Root(), "file")
}
