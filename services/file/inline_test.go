package file

import (
	"bytes"
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/table"
)

// A file has a row of data once its only page is longer than what an extent holds, and
// none any more when it is cut.
func TestInline(t *testing.T) {
	fs := open(t, Options{})
	f := create(t, fs.Root(), "file")
	for _, step := range []struct{ size, rows int }{
		{1, 0}, {mostInline, 0}, {mostInline + 1, 1}, {BlockSize, 1}, {2 * BlockSize, 1}, {mostInline, 0}, {BlockSize, 1}, {0, 0},
	} {
		must[any](t)(nil, f.Truncate(int64(step.size)))
		want := bytes.Repeat([]byte{byte(step.rows) + 'a'}, step.size)
		must[int](t)(f.WriteAt(want, 0))
		must[any](t)(nil, fs.flush())
		must[any](t)(nil, fs.makeRoom(0)) // of what only the past has, nothing
		if live := rowsOf(t, fs, data); live != step.rows {
			t.Errorf("%d bytes: %d rows of data, want %d", step.size, live, step.rows)
		}
		if !bytes.Equal(readAll(t, f), want) {
			t.Fatalf("%d bytes are not what was written", step.size)
		}
	}
}

// Disks made before have whole pages in extents.
func TestOlderInline(t *testing.T) {
	disk := vfs.NewMem()
	fs := must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	page := bytes.Repeat([]byte("old "), BlockSize/4)
	names := []string{"read", "written", "cut", "grown", "removed"}
	for _, name := range names {
		f := create(t, fs.Root(), name)
		must[int](t)(f.WriteAt(page, 0))
		must[any](t)(nil, fs.flush())
		op := fs.op("an extent as it was")
		_, err := fs.db.Update(context.Background(), &op, func(tx *table.Tx) error {
			row, err := extents.Get(tx, f.number, 0)
			if err != nil {
				return err
			}
			row.Inline, row.Pieces = page, nil
			return extents.Put(tx, &row)
		})
		must[any](t)(nil, err)
	}
	op := fs.op("no data")
	_, err := fs.db.Update(context.Background(), &op, func(tx *table.Tx) error {
		var rows []uint64
		for row, err := range data.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			rows = append(rows, row.ID)
		}
		for _, id := range rows {
			if err := data.Forget(tx, BlockSize, id); err != nil {
				return err
			}
		}
		return nil
	})
	must[any](t)(nil, err)
	must[any](t)(nil, unmount(fs))

	fs = must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	defer closeChecked(t, fs)
	file := func(name string) *Inode { return must[*Inode](t)(fs.Root().Lookup(name)) }
	must[int](t)(file("written").WriteAt([]byte("new"), 8))
	must[any](t)(nil, file("cut").Truncate(10))
	must[int](t)(file("grown").WriteAt([]byte("more"), BlockSize))
	must[any](t)(nil, fs.Root().Unlink("removed"))
	must[any](t)(nil, fs.flush())
	for name, want := range map[string][]byte{
		"read":    page,
		"written": append(append(append([]byte{}, page[:8]...), "new"...), page[11:]...),
		"cut":     page[:10],
		"grown":   append(append([]byte{}, page...), "more"...),
	} {
		if got := readAll(t, file(name)); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, not what was written", name, len(got))
		}
	}
}
