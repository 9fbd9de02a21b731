package file

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// TestRestoreInSteps breaks restores off that take several transactions, after each of
// these, by an error and by pulling the plug: nothing is restored.
func TestRestoreInSteps(t *testing.T) {
	broken := errors.New("broken off")
	for steps, done := 0, false; !done; steps++ {
		disk := vfs.NewCrashableMem()
		fs := must[*FS](t)(mount(disk, Options{Log: t.Logf}))
		fs.stepBytes = 1
		dir := must[*Inode](t)(fs.Root().Create("a", New{Mode: syscall.S_IFDIR | 0o755}))
		for _, name := range historyNames {
			must[int](t)(create(t, dir, name).WriteAt(bytes.Repeat([]byte(name), 3*chunkSize), 0))
		}
		was := remember(t, fs)
		must[int](t)(must[*Inode](t)(dir.Lookup("a")).WriteAt(make([]byte, 2*chunkSize), BlockSize))
		must[any](t)(nil, firstError(fs.Rename(dir, "b", fs.Root(), "b", 0), dir.Unlink("c"), fs.Rename(dir, "d", dir, "e", 0)))
		create(t, dir, "f")
		is := remember(t, fs)

		n, last, of := 0, 0, 0
		var pulled vfs.FS
		var within time.Time
		fs.nextData = fs.reserved.NextData // more are to be set aside on the way
		fs.names.clear()
		fs.extents.clear()
		fs.pages.clear()
		fs.stepped = func() error {
			for _, name := range historyNames { // who reads meanwhile sees parts
				if f, err := dir.Lookup(name); err == nil {
					_, _ = f.ReadAt(make([]byte, 10), 0)
				}
			}
			if fs.collecting.TryLock() {
				t.Error("the past may end under way")
				fs.collecting.Unlock()
			}
			before := last
			if last, of = fs.Progress(); last <= before || last > of {
				t.Errorf("%d of %d are done, %d before", last, of, before)
			}
			if n++; n == 3 {
				time.Sleep(time.Millisecond)
				within = time.Now()
				time.Sleep(time.Millisecond)
			}
			if n <= steps {
				return nil
			}
			if err := fs.db.Engine().Sync(ctx, ""); err != nil {
				return err
			}
			pulled = disk.CrashClone(vfs.CrashCloneCfg{})
			return broken
		}
		_, err := fs.Restore(ctx, nil, "/a", was.at)
		if done = err == nil; done {
			if got := describeName(t, fs, "a"); got != was.top["a"] || n < 8 {
				t.Errorf("restored in %d steps:\n%s\nwas:\n%s", n, got, was.top["a"])
			}
			if now, _ := fs.Progress(); now != 0 || last != of {
				t.Errorf("at its end, %d of %d are done, and then %d", last, of, now)
			}
			if fs.reserved.NextData < fs.nextData {
				t.Errorf("data %d may be used twice: %+v", fs.nextData, fs.reserved)
			}
			must[Restored](t)(fs.Restore(ctx, nil, "/", within)) // nobody has seen a part of it
			if got := describe(t, fs); got != is.tree {
				t.Errorf("restored to a moment within:\n%s\nwas:\n%s", got, is.tree)
			}
			v := must[engine.Version](t)(fs.db.Engine().At(ctx, within))
			must[engine.Version](t)(fs.db.Update(ctx, nil, func(tx *table.Tx) error { return tx.RestoreAll(v) }))
			if got := describe(t, fs); got != is.tree {
				t.Errorf("restored by others to a moment within:\n%s\nwas:\n%s", got, is.tree)
			}
			closeChecked(t, fs)
			break
		}
		wantErr(t, "the restore", err, broken)
		n, last = math.MinInt, 0 // on it goes
		for _, fs := range []*FS{fs, must[*FS](t)(mount(pulled, Options{Log: t.Logf}))} {
			if got := describe(t, fs); got != is.tree {
				t.Errorf("after %d steps:\n%s\nwas:\n%s", steps, got, is.tree)
			}
			_, err := must[*Inode](t)(fs.Root().Lookup("a")).Lookup("b")
			wantErr(t, "what was renamed", err, syscall.ENOENT)
			if fs.reserved.Format != format || len(fs.reserved.Undo) > 0 {
				t.Errorf("after %d steps: %+v", steps, fs.reserved)
			}
			must[Restored](t)(fs.Restore(ctx, nil, "/a", was.at))
			if got := describeName(t, fs, "a"); got != was.top["a"] {
				t.Errorf("restored:\n%s\nwas:\n%s", got, was.top["a"])
			}
			closeChecked(t, fs)
		}
	}
}

// TestRestoreCutOff has the past end while a restore is under way, so that it can neither go
// on nor be taken back: files are in use with what there is, now and after a boot.
func TestRestoreCutOff(t *testing.T) {
	disk := vfs.NewCrashableMem()
	fs := must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	fs.stepBytes = 1
	dir := must[*Inode](t)(fs.Root().Create("a", New{Mode: syscall.S_IFDIR | 0o755}))
	for _, name := range historyNames {
		must[int](t)(create(t, dir, name).WriteAt([]byte("then"), 0))
	}
	was := remember(t, fs)
	for _, name := range historyNames {
		must[int](t)(must[*Inode](t)(dir.Lookup(name)).WriteAt([]byte("now."), 0))
	}
	var pulled vfs.FS
	fs.stepped = func() error {
		if pulled != nil {
			return nil
		}
		var now engine.Version
		err := fs.view(func(tx *table.Tx) error { now = tx.Version(); return nil })
		err = firstError(err, fs.expire(now), fs.db.Engine().Sync(ctx, ""))
		pulled = disk.CrashClone(vfs.CrashCloneCfg{})
		return err
	}
	_, err := fs.Restore(ctx, nil, "/a", was.at)
	wantErr(t, "the restore", err, syscall.ESTALE)
	for _, fs := range []*FS{fs, must[*FS](t)(mount(pulled, Options{Log: t.Logf}))} {
		if fs.reserved.Format != format || len(fs.reserved.Undo) > 0 {
			t.Errorf("left over: %+v", fs.reserved)
		}
		create(t, fs.Root(), "new")
		closeChecked(t, fs)
	}
}

// TestRestoreStuck: where a restore can neither go on nor be taken back as the store has
// failed, nothing can be changed.
func TestRestoreStuck(t *testing.T) {
	fs := must[*FS](t)(mount(vfs.NewMem(), Options{Log: t.Logf}))
	fs.stepBytes = 1
	dir := must[*Inode](t)(fs.Root().Create("a", New{Mode: syscall.S_IFDIR | 0o755}))
	was := remember(t, fs)
	create(t, dir, "f")
	fs.stepped = func() error { return fs.db.Engine().Close() }
	if _, err := fs.Restore(ctx, nil, "/a", was.at); err == nil || !strings.Contains(err.Error(), "not taken back") {
		t.Errorf("restored: %v", err)
	}
	_, err := fs.Root().Create("new", New{Mode: syscall.S_IFREG | 0o644})
	wantErr(t, "create", err, syscall.EIO)
}

// TestRestoreMeanwhile: somebody else restores the store while a restore is under way, which
// ends then, and leaves what the other one made.
func TestRestoreMeanwhile(t *testing.T) {
	fs := open(t, Options{})
	fs.stepBytes = 1
	dir := must[*Inode](t)(fs.Root().Create("a", New{Mode: syscall.S_IFDIR | 0o755}))
	f := create(t, dir, "f")
	was := remember(t, fs)
	must[int](t)(f.WriteAt([]byte("later"), 0))
	later := remember(t, fs)
	create(t, dir, "g")
	fs.stepped = func() error {
		fs.stepped = func() error { return nil }
		v, err := fs.db.Engine().At(ctx, later.at)
		if err == nil {
			_, err = fs.db.Update(ctx, nil, func(tx *table.Tx) error { return tx.RestoreAll(v) })
		}
		return err
	}
	if _, err := fs.Restore(ctx, nil, "/a", was.at); err == nil || !strings.Contains(err.Error(), "restored meanwhile") {
		t.Errorf("restored: %v", err)
	}
	if got := describe(t, fs); got != later.tree {
		t.Errorf("restored:\n%s\nwas:\n%s", got, later.tree)
	}
}

// TestRestoreOnce: a restore whose operation was done before does nothing.
func TestRestoreOnce(t *testing.T) {
	fs := open(t, Options{})
	f := create(t, must[*Inode](t)(fs.Root().Create("a", New{Mode: syscall.S_IFDIR | 0o755})), "f")
	was := remember(t, fs)
	for _, want := range []int{1, 0} {
		must[int](t)(f.WriteAt([]byte("now"), 0))
		done, err := fs.Restore(ctx, &engine.Op{ID: "once", Name: "restore"}, "/a", was.at)
		if err != nil || done.Inodes != want {
			t.Errorf("%+v, %v; want %d", done, err, want)
		}
	}
	if f.Size() != 3 {
		t.Errorf("%d bytes", f.Size())
	}
}
