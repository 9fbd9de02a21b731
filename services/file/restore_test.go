package file

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// instant is a moment of a tree that a test has written down.
type instant struct {
	at   time.Time
	tree string
	top  map[string]string // what is below each name of the root
}

// remember writes the tree down as it is. Changes lie at least a moment before and
// after.
func remember(t *testing.T, fs *FS) instant {
	if err := fs.flush(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Millisecond)
	i := instant{at: time.Now(), tree: describe(t, fs), top: map[string]string{}}
	for _, name := range historyNames {
		i.top[name] = describeName(t, fs, name)
	}
	time.Sleep(time.Millisecond)
	return i
}

var linkCount = regexp.MustCompile(`(?m)(\S+ #\d+ 1[02]\d+) \d+`)

// describeName writes down one name of the root with what is below it.
func describeName(t *testing.T, fs *FS, name string) string {
	n, err := fs.Root().Lookup(name)
	if err != nil {
		return ""
	}
	a := n.Attr()
	s := fmt.Sprintf("%o %d", a.Mode, a.Size)
	if a.Type() == syscall.S_IFDIR {
		s += describeTree(t, n)
	}
	return linkCount.ReplaceAllString(s, "$1") // names elsewhere count, too
}

// TestRestore changes a tree at random and goes back to random moments, with all of it
// or with one name. The checker has the last word.
//
// What differs is found out in each way, and restored in one transaction or in as many as
// can be; the outcome is the same.
func TestRestore(t *testing.T) {
	seeds := max(12/raceShare, 2)
	if testing.Short() {
		seeds = 3
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			all := restoreAtRandom(t, seed, howAll, stepBytes)
			for _, how := range []restoreHow{howChanges, howNames} {
				for _, step := range []int{stepBytes, 1} {
					for i, got := range restoreAtRandom(t, seed, how, step) {
						if got != all[i] {
							t.Fatalf("restore %d, in way %d, %d bytes a step:\n%s\nby all there is:\n%s", i, how, step, got, all[i])
						}
					}
				}
			}
		})
	}
}

// restoreAtRandom returns what was there after each restore, and what that told.
func restoreAtRandom(t *testing.T, seed uint64, how restoreHow, step int) (seen []string) {
	fs := must[*FS](t)(mount(vfs.NewMem(), Options{Memory: MinMemory, Log: t.Logf}))
	defer closeChecked(t, fs)
	fs.loads.from = 0
	fs.restoreHow, fs.stepBytes = how, step
	r := rand.New(rand.NewPCG(seed, 8))
	h := &history{t: t, r: r, fs: fs}
	var moments []instant
	for range 12 {
		for range 15 {
			h.step()
		}
		moments = append(moments, remember(t, fs))
		told := restoreSomething(t, fs, r, moments)
		if err := fs.Check(); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, told+"\n"+describe(t, fs))
	}
	return seen
}

func restoreSomething(t *testing.T, fs *FS, r *rand.Rand, moments []instant) (told string) {
	to := moments[r.IntN(len(moments))]
	if r.IntN(8) == 0 {
		must[Restored](t)(fs.Restore(ctx, nil, "/", to.at))
		if got := describe(t, fs); got != to.tree {
			t.Fatalf("restored:\n%s\nwas:\n%s", got, to.tree)
		}
		return "all"
	}
	name := historyNames[r.IntN(len(historyNames))]
	done, err := fs.Restore(ctx, nil, name, to.at)
	switch {
	case to.top[name] == "" && err != nil:
		wantErr(t, "nothing to restore", err, syscall.ENOENT)
	case err != nil:
		t.Logf("%s: %v", name, err)
	default:
		if got := describeName(t, fs, name); got != to.top[name] {
			t.Fatalf("%s restored (%+v):\n%s\nwas:\n%s", name, done, got, to.top[name])
		}
	}
	if errors.Is(err, ErrMoved) {
		err = ErrMoved // whichever directory it came by first
	}
	return fmt.Sprintf("%s: %+v, %v", name, done, err)
}

// TestRestoreMoved has a directory come whose contents have not changed since then, one
// be renamed, and hard links lead into both.
func TestRestoreMoved(t *testing.T) {
	for _, how := range []restoreHow{howAll, howNames, howChanges} {
		fs := open(t, Options{})
		fs.restoreHow = how
		mkdir := func(dir *Inode, name string) *Inode {
			return must[*Inode](t)(dir.Create(name, New{Mode: syscall.S_IFDIR | 0o755}))
		}
		root := fs.Root()
		in, out := mkdir(root, "a"), mkdir(root, "b")
		comes, stays := mkdir(out, "comes"), mkdir(mkdir(in, "deep"), "stays")
		must[any](t)(nil, in.Link("comes", create(t, comes, "linked")))
		must[any](t)(nil, in.Link("stays", create(t, stays, "linked")))
		create(t, mkdir(comes, "below"), "file")
		create(t, mkdir(stays, "below"), "file")
		before := remember(t, fs)
		must[any](t)(nil, fs.Rename(out, "comes", in, "come", 0))
		must[any](t)(nil, fs.Rename(must[*Inode](t)(in.Lookup("deep")), "stays", in, "stayed", 0))
		after := remember(t, fs)
		for _, to := range []instant{before, after, before} {
			if _, err := fs.Restore(t.Context(), nil, "/a", to.at); err != nil {
				t.Fatal(err)
			}
			if got := describeName(t, fs, "a"); got != to.top["a"] {
				t.Errorf("restored:\n%s\nwas:\n%s", got, to.top["a"])
			}
			if err := fs.Check(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestRestoredByOthers restores the store below the files.
func TestRestoredByOthers(t *testing.T) {
	fs := open(t, Options{})
	f := create(t, fs.Root(), "file")
	must[int](t)(f.WriteAt([]byte("old"), 0))
	was := remember(t, fs)
	must[int](t)(f.WriteAt([]byte("new and longer"), 0))
	create(t, fs.Root(), "other")
	v, err := fs.db.Engine().At(ctx, was.at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.db.Update(ctx, nil, func(tx *table.Tx) error { return tx.RestoreAll(v) }); err != nil {
		t.Fatal(err)
	}
	if got := describe(t, fs); got != was.tree {
		t.Errorf("restored:\n%s\nwas:\n%s", got, was.tree)
	}
	must[int](t)(f.WriteAt([]byte("on"), f.Size()))
	create(t, fs.Root(), "third")
}

// TestRestoredLoads restores the store below files that are being written: to moments
// before and after contents were loaded to which nothing refers yet.
func TestRestoredLoads(t *testing.T) {
	for how := range 4 {
		finished, byOthers := how%2 == 1, how < 2
		fs := open(t, Options{SyncInterval: time.Hour}) // or data would be stored between a restore and its notice
		r := rand.New(rand.NewPCG(6, 6))
		f := create(t, fs.Root(), "file")
		want := stream(t, f, r, 3<<20)
		was := remember(t, fs)
		stream(t, f, r, 3<<20)
		if finished {
			if err := fs.loads.finish(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			was.at = time.Now()
		}
		if byOthers {
			v := must[engine.Version](t)(fs.db.Engine().At(ctx, was.at))
			must[engine.Version](t)(fs.db.Update(ctx, nil, func(tx *table.Tx) error { return tx.RestoreAll(v) }))
		} else {
			if err := fs.flush(); err != nil { // the loaded data comes to be judged on
				t.Fatal(err)
			}
			must[Restored](t)(fs.Restore(ctx, nil, "/", was.at))
		}
		sameContent(t, f, want, "restored")
		if err := fs.Check(); err != nil {
			t.Error(err)
		}
		want = stream(t, f, r, 4<<20)
		if err := fs.Sync(); err != nil {
			t.Fatal(err)
		}
		sameContent(t, f, want, "after that")
		if left := len(fs.loads.unsettled); left > 0 {
			t.Errorf("%d rows are of no file and were not freed", left)
		}
	}
}

// TestRestoreFollows restores directories of a deep tree in which each file has one name:
// then what has changed tells what differs, without a look at what has not.
func TestRestoreFollows(t *testing.T) {
	for seed := range uint64(max(8/raceShare, 2)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			fs := open(t, Options{})
			fs.restoreHow = howChanges
			g := &grove{t: t, fs: fs, r: rand.New(rand.NewPCG(seed, 9))}
			type moment struct {
				at   time.Time
				tree map[string]string
			}
			var moments []moment
			restored := 0
			for range 15 {
				for range 20 {
					g.step()
				}
				if err := fs.flush(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
				moments = append(moments, moment{time.Now(), g.describe()})
				time.Sleep(time.Millisecond)
				to := moments[g.r.IntN(len(moments))]
				name := slices.Sorted(maps.Keys(to.tree))[g.r.IntN(len(to.tree))]
				if restored == 0 { // it may leave files with two names
					g.known(name, to.at)
				}
				before := g.describe()
				plan, planErr := fs.Plan(ctx, name, to.at)
				if !maps.Equal(before, g.describe()) {
					t.Fatal("a plan has changed something")
				}
				done, err := fs.Restore(ctx, nil, name, to.at)
				if plan.Restored != done || (planErr == nil) != (err == nil) {
					t.Fatalf("%s: planned %+v, %v; done %+v, %v", name, plan.Restored, planErr, done, err)
				}
				if (plan.Transactions == 0) != (len(plan.By) == 0) || plan.Transactions == 0 && done != (Restored{}) {
					t.Fatalf("%s: %+v are undone, which changes %+v", name, plan.Undone, done)
				}
				if errors.Is(err, ErrMoved) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
					continue // from or into directories that are elsewhere now
				}
				if err != nil {
					t.Fatal(err)
				}
				restored++
				if got := g.describe()[name]; got != to.tree[name] {
					t.Fatalf("%s restored:\n%s\nwas:\n%s", name, got, to.tree[name])
				}
				if err := fs.Check(); err != nil {
					t.Fatal(err)
				}
			}
			if restored == 0 {
				t.Error("nothing was restored")
			}
		})
	}
}

// grove changes a tree of some depth at random.
type grove struct {
	t  *testing.T
	fs *FS
	r  *rand.Rand
	n  int
}

// places are all inodes of a kind with their paths.
func (g *grove) places(dirs bool) (paths []string) {
	var walk func(dir *Inode, path string)
	walk = func(dir *Inode, path string) {
		if dirs {
			paths = append(paths, path)
		}
		var names []string
		must[any](g.t)(nil, dir.ReadDir(0, func(e Entry) bool { names = append(names, e.Name); return true }))
		for _, name := range names {
			child := must[*Inode](g.t)(dir.Lookup(name))
			if child.isDirectory() {
				walk(child, path+"/"+name)
			} else if !dirs {
				paths = append(paths, path+"/"+name)
			}
		}
	}
	walk(g.fs.Root(), "")
	return paths
}

func (g *grove) any(paths []string) string { return paths[g.r.IntN(len(paths))] }

// at is the directory of a path and the last part of it.
func (g *grove) at(path string) (dir *Inode, name string) {
	parts := strings.Split(path, "/")[1:]
	dir = g.fs.Root()
	for _, part := range parts[:len(parts)-1] {
		dir = must[*Inode](g.t)(dir.Lookup(part))
	}
	return dir, parts[len(parts)-1]
}

func (g *grove) step() {
	g.n++
	name := fmt.Sprint("n", g.n)
	dirs, files := g.places(true), g.places(false)
	fresh := g.any(dirs) + "/" + name
	dir, _ := g.at(fresh)
	allowed := func(err error, errs ...error) {
		g.t.Helper()
		if err != nil && !slices.Contains(errs, err) {
			g.t.Fatal(err)
		}
	}
	switch k := g.r.IntN(10); {
	case k < 2 || len(dirs) < 4:
		must[*Inode](g.t)(dir.Create(name, New{Mode: syscall.S_IFDIR | 0o755}))
	case k < 4 || len(files) < 4:
		create(g.t, dir, name)
	case k < 6:
		in, file := g.at(g.any(files))
		must[int](g.t)(must[*Inode](g.t)(in.Lookup(file)).WriteAt([]byte(name), int64(g.r.IntN(10))))
	case k < 7:
		in, file := g.at(g.any(files))
		allowed(in.Unlink(file))
	case k < 8:
		in, old := g.at(g.any(files))
		allowed(g.fs.Rename(in, old, dir, name, 0))
	case k < 9:
		in, old := g.at(g.any(dirs[1:]))
		allowed(g.fs.Rename(in, old, dir, name, 0), syscall.EINVAL) // into itself
	default:
		a, x := g.at(g.any(dirs[1:]))
		b, y := g.at(g.any(slices.Concat(dirs[1:], files)))
		allowed(g.fs.Rename(a, x, b, y, RenameExchange), syscall.EINVAL)
	}
}

// describe writes each directory but the root down, with what is below it.
func (g *grove) describe() map[string]string {
	all := map[string]string{}
	for _, path := range g.places(true)[1:] {
		dir, name := g.at(path)
		tree := describeTree(g.t, must[*Inode](g.t)(dir.Lookup(name)))
		all[path] = linkCount.ReplaceAllString(tree, "$1")
	}
	return all
}

// known sees that what differs can be known from what has changed.
func (g *grove) known(path string, to time.Time) {
	g.t.Helper()
	parts := partsOf(path)
	v := must[engine.Version](g.t)(g.fs.db.Engine().At(ctx, to))
	err := g.fs.view(func(tx *table.Tx) error {
		past, err := tx.At(v)
		if err != nil {
			return err
		}
		then, err := findEntry(past, parts)
		if err != nil {
			return err
		}
		now, err := findEntry(tx, parts)
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) || now == nil || now.Inode != then.Inode {
			return nil // another way is taken
		}
		f := &finder{
			difference: &difference{to: v, top: then.Inode},
			now:        side{tx: tx}, then: side{tx: past}, room: math.MaxInt64,
		}
		c, err := f.changed()
		if err != nil {
			return err
		}
		known, err := f.follow(c, then, now)
		if err == nil && !known {
			g.t.Errorf("%s: what differs is not known", path)
		}
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// TestUnread: an inode that cannot be read again after somebody else has changed what is
// stored shows nothing, and says so.
func TestUnread(t *testing.T) {
	fs := must[*FS](t)(mount(vfs.NewMem(), Options{Log: t.Logf}))
	dir := must[*Inode](t)(fs.Root().Create("dir", New{Mode: syscall.S_IFDIR | 0o755}))
	f := create(t, dir, "file")
	must[int](t)(f.WriteAt([]byte("contents"), 0))
	if err := fs.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := fs.db.Engine().Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.reload(); err == nil {
		t.Error("a closed store can be read")
	}
	if n, err := f.ReadAt(make([]byte, 8), 0); err != syscall.EIO {
		t.Errorf("read: %d, %v", n, err)
	}
	wantErr(t, "open", f.Open(), syscall.EIO)
	wantErr(t, "list", dir.ReadDir(0, func(Entry) bool { return true }), syscall.EIO)
	_, err := dir.Lookup("file")
	wantErr(t, "look up", err, syscall.EIO)
	wantErr(t, "write", func() error { _, err := f.WriteAt([]byte("x"), 0); return err }(), syscall.EIO)
}

// TestRestoreOpenDirectory brings a directory back that was removed while a program was in
// it, in each way.
func TestRestoreOpenDirectory(t *testing.T) {
	for _, how := range []restoreHow{howAll, howNames, howChanges} {
		fs := open(t, Options{})
		fs.restoreHow = how
		dir := must[*Inode](t)(fs.Root().Create("a", New{Mode: syscall.S_IFDIR | 0o755}))
		sub := must[*Inode](t)(dir.Create("sub", New{Mode: syscall.S_IFDIR | 0o755}))
		create(t, sub, "file")
		was := remember(t, fs)
		if err := firstError(sub.Open(), sub.Unlink("file"), dir.Rmdir("sub"), fs.Sync()); err != nil {
			t.Fatal(err)
		}
		if _, err := fs.Restore(t.Context(), nil, "/a", was.at); err != nil {
			t.Fatalf("in way %d: %v", how, err)
		}
		if got := describeName(t, fs, "a"); got != was.top["a"] {
			t.Errorf("in way %d:\n%s\nwas:\n%s", how, got, was.top["a"])
		}
		if err := firstError(sub.Close(), fs.Check()); err != nil {
			t.Errorf("in way %d: %v", how, err)
		}
	}
}

// TestRestoreTwice restores a path and the whole tree at once, again and again.
func TestRestoreTwice(t *testing.T) {
	fs := open(t, Options{})
	f := create(t, must[*Inode](t)(fs.Root().Create("a", New{Mode: syscall.S_IFDIR | 0o755})), "file")
	was := remember(t, fs)
	var both sync.WaitGroup
	for i, path := range []string{"/a", "/"} {
		both.Go(func() {
			for n := range 30 {
				if _, err := f.WriteAt(fmt.Append(nil, i, n), 0); err != nil {
					t.Error(err)
				}
				if _, err := fs.Restore(t.Context(), nil, path, was.at); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	if got := describe(t, fs); got != was.tree {
		t.Errorf("restored:\n%s\nwas:\n%s", got, was.tree)
	}
}

// TestRestoreTooMuch: a restore for which there is not enough memory is refused, and one
// of all files is not.
func TestRestoreTooMuch(t *testing.T) {
	const memory = 16 << 10
	fs := open(t, Options{})
	fs.options.Memory = memory // of which findings have their share
	dir := must[*Inode](t)(fs.Root().Create("a", New{Mode: syscall.S_IFDIR | 0o755}))
	was := remember(t, fs)
	for i := range findShare * memory / sizeOfName {
		create(t, dir, fmt.Sprint(i))
	}
	is := remember(t, fs)
	for _, how := range []restoreHow{howCheapest, howAll, howNames, howChanges} {
		fs.restoreHow = how
		_, err := fs.Restore(ctx, nil, "/a", was.at)
		wantErr(t, "a restore", err, ErrTooMuch)
		_, err = fs.Plan(ctx, "/a", was.at)
		wantErr(t, "a plan", err, ErrTooMuch)
	}
	if got := describe(t, fs); got != is.tree {
		t.Error("something is restored")
	}
	must[Restored](t)(fs.Restore(ctx, nil, "/", was.at))
	if got := describe(t, fs); got != was.tree {
		t.Error("not all is restored")
	}
}
