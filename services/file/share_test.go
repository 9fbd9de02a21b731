package file

import (
	"bytes"
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// rowsOf counts the rows of a table.
func rowsOf[T any](t *testing.T, fs *FS, of *table.Table[T]) (n int) {
	t.Helper()
	must[any](t)(nil, fs.flush())
	must[any](t)(nil, fs.view(func(tx *table.Tx) error {
		n = 0
		for _, err := range of.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}))
	return n
}

func readAll(t *testing.T, n *Inode) []byte {
	t.Helper()
	p := make([]byte, n.Size())
	must[int](t)(n.ReadAt(p, 0))
	return p
}

// A copy by reference moves no data, each side changes by itself, and data goes with
// the last that has it.
func TestClone(t *testing.T) {
	fs := open(t, Options{})
	a, b := create(t, fs.Root(), "a"), create(t, fs.Root(), "b")
	text := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	must[int](t)(a.WriteAt(text, 0))
	before := rowsOf(t, fs, data)
	must[any](t)(nil, b.CloneFrom(a, 0, 0, int64(len(text))))
	if after := rowsOf(t, fs, data); after != before {
		t.Errorf("%d rows of data, %d before", after, before)
	}
	if got := rowsOf(t, fs, shares); got != before {
		t.Errorf("%d of %d rows of data are shared", got, before)
	}
	if a.Attr().Blocks != b.Attr().Blocks {
		t.Errorf("%d blocks, the copy has %d", a.Attr().Blocks, b.Attr().Blocks)
	}
	must[int](t)(b.WriteAt([]byte("X"), 5))
	if !bytes.Equal(readAll(t, a), text) {
		t.Error("a write to the copy shows in the file")
	}
	must[any](t)(nil, fs.Root().Unlink("a"))
	must[any](t)(nil, fs.Check())
	text[5] = 'X'
	if !bytes.Equal(readAll(t, b), text) {
		t.Error("the copy is not what it was")
	}
	must[any](t)(nil, fs.Root().Unlink("b"))
	if got := rowsOf(t, fs, shares); got != 0 {
		t.Errorf("%d rows of data are shared by nobody", got)
	}
}

// What cannot be copied by reference.
func TestCloneErrors(t *testing.T) {
	fs := open(t, Options{})
	a, b := create(t, fs.Root(), "a"), create(t, fs.Root(), "b")
	must[int](t)(a.WriteAt(make([]byte, 3*BlockSize+5), 0))
	must[int](t)(b.WriteAt(make([]byte, 9*BlockSize), 0))
	for _, test := range []struct {
		n, src           *Inode
		from, to, length int64
		want             error
	}{
		{b, a, 1, 0, BlockSize, syscall.EINVAL},
		{b, a, 0, 1, BlockSize, syscall.EINVAL},
		{b, a, 0, 0, 5, syscall.EINVAL},
		{b, a, 0, 0, 3*BlockSize + 5, syscall.EINVAL}, // b has something behind
		{b, a, 0, 0, 4 * BlockSize, syscall.EINVAL},   // beyond the end of a
		{b, a, 0, -BlockSize, BlockSize, syscall.EINVAL},
		{b, b, 0, BlockSize, 2 * BlockSize, syscall.EINVAL},
		{b, fs.Root(), 0, 0, BlockSize, syscall.EINVAL},
		{b, a, 0, MaxSize, BlockSize, syscall.EFBIG},
		{b, a, BlockSize, 8 * BlockSize, 2*BlockSize + 5, nil},
		{b, b, 0, 2 * BlockSize, 2 * BlockSize, nil},
		{b, a, 0, 0, 0, nil},
	} {
		if err := test.n.CloneFrom(test.src, test.from, test.to, test.length); err != test.want {
			t.Errorf("%d+%d to %d: %v, want %v", test.from, test.length, test.to, err, test.want)
		}
	}
}

// A restore of one path counts what it comes to share, and what no longer is.
func TestRestoreShared(t *testing.T) {
	fs := open(t, Options{})
	moment := func() time.Time {
		must[any](t)(nil, fs.flush())
		time.Sleep(2 * time.Millisecond)
		defer time.Sleep(2 * time.Millisecond)
		return time.Now()
	}
	text := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	a := create(t, fs.Root(), "a")
	must[int](t)(a.WriteAt(text, 0))
	alone := moment()
	b := create(t, fs.Root(), "b")
	must[any](t)(nil, b.CloneFrom(a, 0, 0, int64(len(text))))
	both := moment()
	must[int](t)(a.WriteAt(make([]byte, 100_000), 1000))
	changed := moment()
	must[any](t)(nil, fs.Root().Unlink("a"))
	gone := moment()
	for i, to := range []time.Time{alone, changed, both, changed, alone} {
		if _, err := fs.Restore(context.Background(), nil, "/a", to); err != nil {
			t.Fatal(i, err)
		}
		if err := fs.Check(); err != nil {
			t.Fatal(i, err)
		}
	}
	for i, to := range []time.Time{gone, alone, both, gone, changed} {
		if _, err := fs.Restore(context.Background(), nil, "/", to); err != nil {
			t.Fatal(i, err)
		}
		if err := fs.Check(); err != nil {
			t.Fatal(i, err)
		}
	}
	b = must[*Inode](t)(fs.Root().Lookup("b"))
	if !bytes.Equal(readAll(t, b), text) {
		t.Error("the copy is not what it was")
	}
	if got := readAll(t, must[*Inode](t)(fs.Root().Lookup("a"))); !bytes.Equal(got[101_000:], text[101_000:]) || got[5000] != 0 {
		t.Error("the file is not what it was")
	}
}

// BenchmarkClone copies a megabyte by reference.
func BenchmarkClone(b *testing.B) {
	fs := open(b, Options{})
	a := create(b, fs.Root(), "a")
	must[int](b)(a.WriteAt(make([]byte, 1<<20), 0))
	for i := 0; b.Loop(); i++ {
		c := create(b, fs.Root(), fmt.Sprint(i))
		must[any](b)(nil, c.CloneFrom(a, 0, 0, 1<<20))
	}
}
