package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
)

var loadRange = engine.Range{Low: []byte("load/"), High: []byte("load0")}

func loadKey(i int) []byte { return fmt.Appendf(nil, "load/%06d", i) }

func openLoad(t *testing.T, fs vfs.FS) *Engine {
	t.Helper()
	e, err := Open(fs, "store", Options{Memory: MinMemory, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// loadRows begins a load of n rows of 10 KB, from a number on.
func loadRows(t *testing.T, e *Engine, from, n int) engine.Load {
	t.Helper()
	l, err := e.Load(t.Context(), &engine.Op{Name: "load"}, engine.Range{Low: loadKey(from), High: loadRange.High})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := l.Put(loadKey(from+i), loadKey(i), bytes.Repeat([]byte{byte(i)}, 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// loadedRows are the numbers of loaded rows that a transaction finds, by scan and by key.
func loadedRows(t *testing.T, e *Engine, most int) (rows []int) {
	t.Helper()
	_, err := e.Update(t.Context(), nil, func(tx engine.Tx) error {
		rows = nil
		c := tx.Scan(loadRange, engine.ScanOptions{})
		scanned := 0
		for c.Next() {
			scanned++
		}
		if err := errors.Join(c.Err(), c.Close()); err != nil {
			return err
		}
		for i := range most {
			value, ok, err := tx.Get(loadKey(i))
			if err != nil {
				return err
			}
			if ok {
				rows = append(rows, i)
				if len(value) != len(loadKey(0))+10_000 {
					t.Errorf("row %d has %d bytes", i, len(value))
				}
			}
		}
		if scanned != len(rows) {
			t.Errorf("a scan finds %d rows, by their keys there are %d", scanned, len(rows))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func closeLoad(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.Check(t.Context(), func(p engine.Problem) { t.Errorf("%+v", p) }); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// leftLoads are the files of loads in the directory.
func leftLoads(t *testing.T, fs vfs.FS) (left []string) {
	t.Helper()
	names, err := fs.List("store")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, loadPrefix) {
			left = append(left, name)
		}
	}
	return left
}

// TestLoad loads rows where a transaction has just seen that there are none.
func TestLoad(t *testing.T) {
	fs := vfs.NewMem()
	e := openLoad(t, fs)
	if rows := loadedRows(t, e, 40); len(rows) > 0 {
		t.Fatalf("rows %v are there from the beginning", rows)
	}
	before := e.last.Load()
	l := loadRows(t, e, 0, 20)
	if rows := loadedRows(t, e, 40); len(rows) > 0 {
		t.Errorf("rows %v are seen while they are loaded", rows)
	}
	if err := l.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := loadedRows(t, e, 40); len(rows) != 20 {
		t.Errorf("of 20 rows there are %v", rows)
	}
	err := e.View(t.Context(), before.external(), func(r engine.Reader) error {
		if _, there, err := r.Get(loadKey(3)); there || err != nil {
			t.Errorf("a row is there before it was loaded, %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	closeLoad(t, e)

	e = openLoad(t, fs)
	defer closeLoad(t, e)
	if rows := loadedRows(t, e, 40); len(rows) != 20 {
		t.Errorf("of 20 rows, opened again, there are %v", rows)
	}
	if left := leftLoads(t, fs); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

// TestLoadRestored hides rows that were loaded, and then refuses to load over them.
func TestLoadRestored(t *testing.T) {
	e := openLoad(t, vfs.NewMem())
	defer closeLoad(t, e)
	before, err := e.Update(t.Context(), nil, func(tx engine.Tx) error { return tx.Put([]byte("a"), []byte("b")) })
	if err != nil {
		t.Fatal(err)
	}
	if err := loadRows(t, e, 0, 5).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Load(t.Context(), nil, loadRange); !errors.Is(err, engine.ErrNoLoad) {
		t.Errorf("a load over rows gives %v", err)
	}
	if _, err := e.Update(t.Context(), nil, func(tx engine.Tx) error { return tx.Restore(loadRange, before) }); err != nil {
		t.Fatal(err)
	}
	if rows := loadedRows(t, e, 10); len(rows) > 0 {
		t.Errorf("restored, and rows %v are there", rows)
	}
	if err := loadRows(t, e, 5, 5).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := loadedRows(t, e, 10); len(rows) != 5 {
		t.Errorf("rows %v are there", rows)
	}
}

// TestLoadEnds sees what becomes of a load that is not committed.
func TestLoadEnds(t *testing.T) {
	fs := vfs.NewMem()
	e := openLoad(t, fs)
	loadRows(t, e, 0, 5).Abort()
	if left := leftLoads(t, fs); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	l := loadRows(t, e, 0, 5)
	if err := l.Put(loadKey(2), nil, nil); err == nil {
		t.Error("a key out of order is taken")
	}
	l.Abort()
	if err := loadRows(t, e, 0, 0).Commit(context.Background()); err != nil {
		t.Error("a load of nothing:", err)
	}
	loadRows(t, e, 0, 5) // is under way when the store is closed
	closeLoad(t, e)
	if left := leftLoads(t, fs); len(left) != 1 {
		t.Errorf("files are left: %v, should be one", left)
	}
	e = openLoad(t, fs)
	defer closeLoad(t, e)
	if left := leftLoads(t, fs); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	if rows := loadedRows(t, e, 10); len(rows) > 0 {
		t.Errorf("rows %v are there that were not committed", rows)
	}
}

// TestLoadRoom sees that a load has its room from the beginning, and that there is none
// on a small disk.
func TestLoadRoom(t *testing.T) {
	open := func(size int64) (*Engine, *blockfs.FS) {
		volume, err := blockfs.Open(blockdev.NewMemory(size, 4096), blockfs.Options{FormatBlank: true})
		if err != nil {
			t.Fatal(err)
		}
		return openLoad(t, volume), volume
	}
	small, _ := open(64 << 20)
	defer closeLoad(t, small)
	if _, err := small.Load(t.Context(), nil, loadRange); !errors.Is(err, engine.ErrNoLoad) {
		t.Errorf("on a small disk: %v", err)
	}
	e, volume := open(256 << 20)
	defer closeLoad(t, e)
	l, err := e.Load(t.Context(), nil, loadRange)
	if err != nil {
		t.Fatal(err)
	}
	u, err := volume.GetDiskUsage("store")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for ; l.Left() > 0; rows++ {
		if err := l.Put(loadKey(rows), loadKey(rows), make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	if then, err := volume.GetDiskUsage("store"); err != nil || then.AvailBytes < u.AvailBytes-64<<10 {
		t.Errorf("%d bytes were free, and after %d rows %d, %v", u.AvailBytes, rows, then.AvailBytes, err)
	}
	if err := l.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := loadedRows(t, e, rows+5); len(got) != rows {
		t.Errorf("%d rows were loaded, %d are there", rows, len(got))
	}
}

// TestLoadBesideRestore restores what is older than a load while it is under way: its rows
// are hidden, and it fails unless the restore comes after its end.
func TestLoadBesideRestore(t *testing.T) {
	e := openLoad(t, vfs.NewMem())
	defer closeLoad(t, e)
	before, err := e.Update(t.Context(), nil, func(tx engine.Tx) error { return tx.Put([]byte("a"), []byte("b")) })
	if err != nil {
		t.Fatal(err)
	}
	restore := func() error {
		_, err := e.Update(t.Context(), nil, func(tx engine.Tx) error { return tx.Restore(loadRange, before) })
		return err
	}
	l := loadRows(t, e, 0, 5)
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	if err := l.Commit(t.Context()); !errors.Is(err, engine.ErrNoLoad) {
		t.Errorf("rows that nobody will see are loaded: %v", err)
	}
	for i := range 8 {
		l := loadRows(t, e, 10*i, 5)
		ended := make(chan error)
		go func() { ended <- l.Commit(t.Context()) }()
		if err := restore(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil && !errors.Is(err, engine.ErrNoLoad) {
			t.Error(err)
		}
	}
	expect := func() {
		t.Helper()
		if rows := loadedRows(t, e, 80); len(rows) > 0 {
			t.Errorf("restored, and rows %v are there", rows)
		}
	}
	expect()
	if err := e.background.repair(e); err != nil {
		t.Error(err)
	}
	expect()
}
