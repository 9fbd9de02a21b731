package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

type file struct {
	Dir  string `table:"key"`
	Name string `table:"key"`
	Size int64
	Hash string
}

// tables are declared anew for each test: a declaration may be bound to one store.
func tables() (files *table.Table[file], byHash *table.Index[file]) {
	files = table.Declare[file]("file")
	return files, files.Index("hash", "hash")
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func options(t *testing.T) store.Options {
	return store.Options{Options: embedded.Options{Memory: embedded.MinMemory, Log: t.Logf}}
}

// open opens the store of a volume; it is checked and closed when the test ends.
func open(t *testing.T, volume vfs.FS, tables ...table.Declared) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), volume, options(t), tables...)
	check(t, err)
	return s
}

func closeWhole(t *testing.T, s *store.Store) {
	t.Helper()
	whole(t, s)
	check(t, s.Close())
}

func whole(t *testing.T, s *store.Store) {
	t.Helper()
	check(t, s.Check(t.Context(), func(p engine.Problem) { t.Errorf("%s: %s", p.Where, p.What) }))
}

func update(t *testing.T, s *store.Store, user, name string, fn func(*table.Tx) error) engine.Version {
	t.Helper()
	v, err := s.Update(t.Context(), &engine.Op{User: user, Program: "test", Name: name}, fn)
	check(t, err)
	return v
}

func list(t *testing.T, s *store.Store, files *table.Table[file]) string {
	t.Helper()
	var b strings.Builder
	check(t, s.View(t.Context(), func(tx *table.Tx) error {
		for f, err := range files.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s/%s:%d ", f.Dir, f.Name, f.Size)
		}
		return nil
	}))
	return strings.TrimSpace(b.String())
}

// An attack on a directory is looked at, undone, and the undoing undone.
func TestRestore(t *testing.T) {
	files, byHash := tables()
	volume := vfs.NewMem()
	s := open(t, volume, files)
	update(t, s, "ann", "save", func(tx *table.Tx) error {
		for _, f := range []file{{"/a", "1", 10, "x"}, {"/a", "2", 20, "y"}, {"/b", "1", 30, "z"}} {
			if err := files.Insert(tx, &f); err != nil {
				return err
			}
		}
		return nil
	})
	good := update(t, s, "ann", "save", func(tx *table.Tx) error {
		return files.Put(tx, &file{"/b", "2", 40, "w"})
	})
	update(t, s, "mallory", "encrypt", func(tx *table.Tx) error {
		for _, f := range []file{{"/a", "1", 666, "evil"}, {"/a", "2", 666, "evil"}} {
			if err := files.Put(tx, &f); err != nil {
				return err
			}
		}
		return files.Delete(tx, "/b", "2")
	})
	update(t, s, "ann", "save", func(tx *table.Tx) error { return files.Put(tx, &file{"/b", "3", 50, "v"}) })
	before := list(t, s, files)

	for _, test := range []struct {
		target store.Target
		plan   string // transactions, restores, tables, authors
		after  string
	}{
		{store.Target{}, "2 0 [{file 4 3 1}] [{mallory test encrypt 1 3} {ann test save 1 1}]", "/a/1:10 /a/2:20 /b/1:30 /b/2:40"},
		{store.Target{Table: "file"}, "4 2 [{file 4 3 1}] [{mallory test encrypt 1 3} {ann test save 1 1} {ann test restore 1 0} {ann test undo 1 0}]", "/a/1:10 /a/2:20 /b/1:30 /b/2:40"},
		{store.Target{Table: "file", Key: []any{"/a"}}, "5 4 [{file 2 2 0}] [{mallory test encrypt 1 2} {ann test restore 2 0} {ann test undo 2 0}]", "/a/1:10 /a/2:20 /b/1:30 /b/3:50"},
	} {
		plan, err := s.Plan(t.Context(), test.target, good)
		check(t, err)
		if got := fmt.Sprint(plan.Transactions, plan.Restores, plan.Tables, plan.By); got != test.plan {
			t.Errorf("plan of %s:\n got %s\nwant %s", test.target, got, test.plan)
		}
		if list(t, s, files) != before {
			t.Fatal("a plan has changed something")
		}
		last := newest(t, s)
		_, err = s.Restore(t.Context(), &engine.Op{User: "ann", Program: "test", Name: "restore"}, test.target, good)
		check(t, err)
		if got := list(t, s, files); got != test.after {
			t.Errorf("after the restore of %s: %s", test.target, got)
		}
		check(t, s.View(t.Context(), func(tx *table.Tx) error {
			f, err := byHash.First(tx, table.Prefix("x"))
			if err != nil || f.Name != "1" {
				t.Errorf("by the index: %+v %v", f, err)
			}
			if _, err := byHash.First(tx, table.Prefix("evil")); !errors.Is(err, table.ErrNotFound) {
				t.Errorf("by the index, what was undone: %v", err)
			}
			return nil
		}))
		whole(t, s)
		_, err = s.Restore(t.Context(), &engine.Op{User: "ann", Program: "test", Name: "undo"}, test.target, last)
		check(t, err)
		if got := list(t, s, files); got != before {
			t.Errorf("after undoing the restore of %s: %s", test.target, got)
		}
	}
	closeWhole(t, s)
	s = open(t, volume, files)
	if got := list(t, s, files); got != before {
		t.Errorf("opened again: %s", got)
	}
	closeWhole(t, s)
}

func newest(t *testing.T, s *store.Store) (v engine.Version) {
	t.Helper()
	check(t, s.View(t.Context(), func(tx *table.Tx) error { v = tx.Version(); return nil }))
	return v
}

// An index that is added later is built without being asked for.
func TestBackground(t *testing.T) {
	files, _ := tables()
	s := open(t, vfs.NewMem(), files)
	update(t, s, "ann", "fill", func(tx *table.Tx) error {
		for i := range 1000 {
			if err := files.Insert(tx, &file{Dir: "/", Name: fmt.Sprint(i), Size: int64(i % 7)}); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, s, "ann", "add index", func(tx *table.Tx) error {
		return tx.AddIndex("file", table.IndexDef{Name: "size", Parts: []table.Part{{Column: "size"}}})
	})
	waitForJobs(t, s)
	check(t, s.View(t.Context(), func(tx *table.Tx) error {
		rows, err := tx.Rows("file")
		check(t, err)
		n := 0
		for _, err := range rows.Scan("size", table.Prefix(3)) {
			check(t, err)
			n++
		}
		if n != 143 {
			t.Errorf("found %d rows by the index", n)
		}
		return nil
	}))
	closeWhole(t, s)
}

// waitForJobs waits until nothing is to be done in the background.
func waitForJobs(t *testing.T, s *store.Store) {
	t.Helper()
	for {
		var seen engine.Version
		var jobs engine.Range
		left := 0
		check(t, s.View(t.Context(), func(tx *table.Tx) error {
			rows, err := tx.Rows(table.JobsTable)
			check(t, err)
			jobs, err = rows.Range(table.Span{})
			check(t, err)
			for _, err := range rows.Scan("", table.Span{}) {
				check(t, err)
				left++
			}
			seen = tx.Version()
			return nil
		}))
		if left == 0 {
			return
		}
		_, err := s.Engine().Watch(t.Context(), seen, jobs)
		check(t, err)
	}
}
