package linux

import (
	"bytes"
	"syscall"
	"testing"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/services/file"
)

// filesOn opens the files of a volume, and their store.
func filesOn(t *testing.T, volume vfs.FS) (*file.FS, *store.Store) {
	t.Helper()
	o := store.Options{Options: embedded.Options{Memory: embedded.MinMemory, Log: t.Logf}}
	st, fs, err := file.OpenVolume(t.Context(), volume, o, file.Options{Memory: file.MinMemory, Log: t.Logf}, file.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fs.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return fs, st
}

// TestDurable cuts the power as soon as a call has returned that promises that a file is
// on the disk: it is, with its name. What nobody has promised is not, or the test would
// see nothing.
func TestDurable(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	for _, c := range []struct {
		name  string
		flags int
		then  func(s *testSystem, fd int)
		lost  bool
	}{
		{name: "nothing", lost: true},
		{name: "O_SYNC", flags: unix.O_SYNC},
		{name: "O_DSYNC", flags: unix.O_DSYNC},
		{name: "O_SYNC and O_APPEND", flags: unix.O_SYNC | unix.O_APPEND},
		{name: "fsync", then: func(s *testSystem, fd int) { s.must(unix.SYS_FSYNC, fd) }},
		{name: "fdatasync", then: func(s *testSystem, fd int) { s.must(unix.SYS_FDATASYNC, fd) }},
		{name: "RWF_DSYNC", then: func(s *testSystem, fd int) { s.pwritev2(fd, text, unix.RWF_DSYNC) }},
		{name: "RWF_SYNC", then: func(s *testSystem, fd int) { s.pwritev2(fd, text, unix.RWF_SYNC) }},
		{name: "sync_file_range", then: func(s *testSystem, fd int) { s.must(unix.SYS_SYNC_FILE_RANGE, fd, 0, 0, 0) }},
		{name: "syncfs", then: func(s *testSystem, fd int) { s.must(unix.SYS_SYNCFS, fd) }},
		{name: "sync", then: func(s *testSystem, _ int) { s.must(unix.SYS_SYNC) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := vfs.NewCrashableMem()
			s := newSystem(t, func(o *Config) { o.Files, _ = filesOn(t, disk) })
			s.must(unix.SYS_SYNC)
			fd := s.open("/tmp/f", unix.O_CREAT|unix.O_WRONLY|c.flags, 0o644)
			s.must(unix.SYS_WRITE, fd, text[:5000], 5000)
			s.must(unix.SYS_WRITE, fd, text[5000:], len(text)-5000)
			if c.then != nil {
				c.then(s, fd)
			}
			after, _ := filesOn(t, disk.CrashClone(vfs.CrashCloneCfg{}))
			tmp, err := after.Root().Lookup("tmp")
			if err != nil {
				t.Fatal(err)
			}
			f, err := tmp.Lookup("f")
			switch {
			case c.lost && err == nil:
				t.Error("nobody has asked for it, and it is there")
			case c.lost:
				return
			case err != nil:
				t.Fatal(err)
			}
			got := make([]byte, len(text)+1)
			if n, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got[:n], text) {
				t.Errorf("%d bytes of %d are there, %v", n, len(text), err)
			}
		})
	}
}

// pwritev2 writes to the beginning of a file.
func (s *testSystem) pwritev2(fd int, p []byte, flags int) {
	s.t.Helper()
	list := &[1]syscall.Iovec{{Base: &p[0], Len: uint64(len(p))}}
	if n := s.must(unix.SYS_PWRITEV2, fd, unsafe.Pointer(list), 1, 0, 0, flags); n != len(p) {
		s.t.Errorf("wrote %d", n)
	}
}

// Flags of preadv2 and pwritev2 that are not known are refused, not passed over.
func TestVectorFlags(t *testing.T) {
	s := newSystem(t)
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	p := []byte("hello")
	list := &[1]syscall.Iovec{{Base: &p[0], Len: 5}}
	for _, nr := range []uintptr{unix.SYS_PWRITEV2, unix.SYS_PREADV2} {
		if n := s.must(nr, fd, unsafe.Pointer(list), 1, 0, 0, unix.RWF_HIPRI); n != 5 {
			t.Errorf("moved %d", n)
		}
		for _, flags := range []int{unix.RWF_NOWAIT, unix.RWF_APPEND, 1 << 20} {
			s.fails(syscall.EOPNOTSUPP, nr, fd, unsafe.Pointer(list), 1, 0, 0, flags)
		}
		s.fails(syscall.EINVAL, nr, fd, unsafe.Pointer(list), 1, -2, 0, 0)
	}
	s.fails(syscall.EINVAL, unix.SYS_PREADV, fd, unsafe.Pointer(list), 1, -1)
	s.must(unix.SYS_LSEEK, fd, 1, unix.SEEK_SET)
	if n := s.must(unix.SYS_PREADV2, fd, unsafe.Pointer(list), 1, -1, 0, 0); n != 4 {
		t.Errorf("read %d from the file's own offset", n)
	}
}
