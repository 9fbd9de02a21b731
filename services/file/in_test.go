package file

import (
	"errors"
	"sync"
	"syscall"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// TestUpdate changes files and a row in one transaction, which is undone or not as a
// whole, while others change files as well.
func TestUpdate(t *testing.T) {
	fs := open(t, Options{Memory: MinMemory})
	dir := mkdir(t, fs.Root(), "dir")
	var others sync.WaitGroup
	others.Go(func() {
		for range 200 {
			f, err := dir.Create("other", New{Mode: syscall.S_IFREG | 0o644})
			if err == nil {
				_, err = f.WriteAt([]byte("other"), 0)
			}
			if err := errors.Join(err, dir.Unlink("other")); err != nil {
				t.Error(err)
			}
		}
	})
	refused := errors.New("refused")
	for i := range 40 {
		fail := i%2 == 0
		_, err := fs.Update(ctx, nil, func(tx *table.Tx, files *Tx) error {
			if fs.In(tx) != files {
				t.Error("In does not find the transaction")
			}
			f, err := files.Create(dir, "file", New{Mode: syscall.S_IFREG | 0o644})
			if err != nil {
				return err
			}
			if _, err := files.WriteAt(f, make([]byte, 100_000), 0); err != nil {
				return err
			}
			if err := files.Rename(dir, "file", fs.Root(), "file", 0); err != nil {
				return err
			}
			if err := attributes.Put(tx, &AttributeRow{Inode: 1 << 40, Name: "row", Value: []byte{byte(i)}}); err != nil || fail {
				return errors.Join(err, refused)
			}
			return nil
		})
		if errors.Is(err, refused) != fail {
			t.Fatal(err)
		}
		_, err = fs.Root().Lookup("file")
		if fail != (err == syscall.ENOENT) {
			t.Fatalf("failed %v: lookup says %v", fail, err)
		}
		if !fail {
			must[any](t)(nil, fs.Root().Unlink("file"))
		}
	}
	others.Wait()
	if _, err := fs.db.Update(ctx, nil, func(tx *table.Tx) error { return attributes.Delete(tx, uint64(1<<40), "row") }); err != nil {
		t.Fatal(err)
	}
}

// In knows the transaction of Update, while it lasts, and no other.
func TestInOthers(t *testing.T) {
	fs := open(t, Options{})
	unknown := func(which string) func(tx *table.Tx) error {
		return func(tx *table.Tx) error {
			if fs.In(tx) != nil {
				t.Errorf("In knows a transaction %s", which)
			}
			return nil
		}
	}
	must[engine.Version](t)(fs.db.Update(ctx, nil, unknown("before Update")))
	var last *table.Tx
	must[engine.Version](t)(fs.Update(ctx, nil, func(tx *table.Tx, _ *Tx) error {
		last = tx
		return fs.db.View(ctx, unknown("beside that of Update"))
	}))
	must[any](t)(nil, unknown("that has ended")(last))
	must[engine.Version](t)(fs.db.Update(ctx, nil, unknown("after Update")))
}
