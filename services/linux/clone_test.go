package linux

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/dbms/store"
	tables "github.com/tuplix/tuplix/dbms/table"
)

// TestDifferCopy copies ranges of and between two files, here by reference where that
// can be, and compares all of them afterwards.
func TestDifferCopy(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 5))
	fill := func(f, size int) {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		p.on("pwrite", f, unix.SYS_PWRITE64, data, size, 0)
	}
	a := p.open("a", unix.O_CREAT|unix.O_RDWR, 0o644)
	b := p.open("b", unix.O_CREAT|unix.O_RDWR, 0o644)
	fill(a, 700_001)
	fill(b, 300_000)
	place := func() int {
		at := r.IntN(800_000)
		if r.IntN(3) > 0 {
			at &^= 4095
		}
		return at
	}
	for range 60 {
		files := [2]int{a, b}
		in, out := files[r.IntN(2)], files[r.IntN(2)]
		p.copyRange(in, out, place(), place(), 1+r.IntN(300_000))
		p.on("pwrite", out, unix.SYS_PWRITE64, []byte("here"), 4, place())
		p.read("pread", in, unix.SYS_PREAD64, 900_000, 0)
		p.read("pread", out, unix.SYS_PREAD64, 900_000, 0)
	}
	for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR | unix.O_APPEND} {
		f := p.open("a", flags, 0)
		p.copyRange(f, b, 0, 0, 100_000)
		p.copyRange(b, f, 0, 0, 100_000)
	}
	p.at("mkdir", unix.SYS_MKDIRAT, "dir", uint32(0o755))
	p.copyRange(p.open("dir", unix.O_RDONLY, 0), b, 0, 0, 10)
}

func (p *pair) copyRange(in, out, from, to, length int) bool {
	p.t.Helper()
	return p.both(fmt.Sprint("copy_file_range ", in, " ", from, " ", out, " ", to, " ", length), func(i int) (string, syscall.Errno) {
		at, into := new(int64), new(int64)
		*at, *into = int64(from), int64(to)
		n, e := p.sides[i].call(unix.SYS_COPY_FILE_RANGE, p.fds[in][i], unsafe.Pointer(at), p.fds[out][i], unsafe.Pointer(into), length, 0)
		return fmt.Sprint(n, " ", *at, " ", *into), e
	})
}

// TestClone has one file become another, by reference.
func TestClone(t *testing.T) {
	s := newSystem(t)
	text := bytes.Repeat([]byte("0123456789abcdef"), 10_001)
	if err := s.WriteFile("/tmp/from", text, 0o644); err != nil {
		t.Fatal(err)
	}
	from := s.open("/tmp/from", unix.O_RDONLY, 0)
	to := s.open("/tmp/to", unix.O_CREAT|unix.O_WRONLY, 0o644)
	s.must(unix.SYS_IOCTL, to, unix.FICLONE, from)
	if s.readAll("/tmp/to") != string(text) {
		t.Error("the clone is another file")
	}
	part := &fileCloneRange{fd: int64(from), from: 8192, length: 4096, into: 0}
	s.must(unix.SYS_IOCTL, to, unix.FICLONERANGE, unsafe.Pointer(part))
	want := append(bytes.Clone(text[8192:8192+4096]), text[4096:]...)
	if s.readAll("/tmp/to") != string(want) {
		t.Error("a part of the clone is not that of the other file")
	}
	if s.readAll("/tmp/from") != string(text) {
		t.Error("the file has changed with its clone")
	}
	part.from = 5
	s.fails(syscall.EINVAL, unix.SYS_IOCTL, to, unix.FICLONERANGE, unsafe.Pointer(part))
	part.from = 1 << 40
	s.fails(syscall.EINVAL, unix.SYS_IOCTL, to, unix.FICLONERANGE, unsafe.Pointer(part))
	s.fails(syscall.EBADF, unix.SYS_IOCTL, to, unix.FICLONE, 99)
	s.fails(syscall.EBADF, unix.SYS_IOCTL, from, unix.FICLONE, to)
	s.fails(syscall.EISDIR, unix.SYS_IOCTL, to, unix.FICLONE, s.open("/tmp", unix.O_RDONLY|unix.O_DIRECTORY, 0))
}

// copy_file_range of what lies on pages moves no data: the same rows of contents are of
// both files then, whoever wrote them when.
func TestCopyRangeShares(t *testing.T) {
	files, st := filesOn(t, vfs.NewMem())
	s := newSystem(t, func(c *Config) { c.Files = files })
	text := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := s.WriteFile("/tmp/from", text, 0o644); err != nil {
		t.Fatal(err)
	}
	data := func() (rows, shared int) {
		t.Helper()
		if err := files.Sync(); err != nil {
			t.Fatal(err)
		}
		return rowsOf(t, st, "os.data"), rowsOf(t, st, "os.shares")
	}
	before, shared := data()
	if before == 0 || shared != 0 {
		t.Fatalf("%d rows of contents, %d shared", before, shared)
	}
	from := s.open("/tmp/from", unix.O_RDONLY, 0)
	to := s.open("/tmp/to", unix.O_CREAT|unix.O_WRONLY, 0o644)
	if n := s.must(unix.SYS_COPY_FILE_RANGE, from, 0, to, 0, len(text), 0); n != len(text) {
		t.Fatalf("copied %d", n)
	}
	if after, shared := data(); after != before || shared != before {
		t.Errorf("%d rows of contents, %d before; %d of them are shared", after, before, shared)
	}
	if s.readAll("/tmp/to") != string(text) {
		t.Error("the copy is another file")
	}
}

// rowsOf counts the rows of a table.
func rowsOf(t *testing.T, st *store.Store, name string) (n int) {
	t.Helper()
	err := st.View(t.Context(), func(tx *tables.Tx) error {
		rows, err := tx.Rows(name)
		if err != nil {
			return err
		}
		for _, err := range rows.Scan("", tables.Span{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
