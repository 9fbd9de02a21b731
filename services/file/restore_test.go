package file

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
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
// What differs is found out in both ways, whose outcome is the same.
func TestRestore(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 3
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			all, changes := restoreAtRandom(t, seed, -1), restoreAtRandom(t, seed, 1<<20)
			for i := range all {
				if all[i] != changes[i] {
					t.Fatalf("restore %d by changes:\n%s\nby all there is:\n%s", i, changes[i], all[i])
				}
			}
		})
	}
}

// restoreAtRandom returns what was there after each restore, and what that told.
func restoreAtRandom(t *testing.T, seed uint64, look int) (seen []string) {
	fs := must[*FS](t)(mount(vfs.NewMem(), Options{Memory: MinMemory, Log: t.Logf}))
	defer closeChecked(t, fs)
	fs.loads.from = 0
	fs.restoreLook = look
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
	for _, look := range []int{-1, 1 << 20} {
		fs := open(t, Options{})
		fs.restoreLook = look
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
