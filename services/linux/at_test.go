package linux

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPast looks at a tree that has changed by way of /.at.
func TestPast(t *testing.T) {
	s := newSystem(t)
	write := func(path, text string) {
		t.Helper()
		if err := s.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) (string, syscall.Errno) {
		fd, e := s.call(unix.SYS_OPENAT, signedCWD, path, unix.O_RDONLY, 0)
		if e != 0 {
			return "", e
		}
		defer s.call(unix.SYS_CLOSE, fd)
		p := make([]byte, 100)
		n, e := s.call(unix.SYS_READ, fd, p, len(p))
		return string(p[:max(n, 0)]), e
	}
	if _, e := s.call(unix.SYS_MKDIRAT, signedCWD, "/d", 0o755); e != 0 {
		t.Fatal(e)
	}
	write("/d/f", "old")
	if err := s.files.Sync(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond) // so that the moment lies between the two changes
	at := "/.at/" + time.Now().UTC().Format(time.RFC3339Nano)
	time.Sleep(2 * time.Millisecond)
	write("/d/f", "new")
	write("/d/g", "more")
	for path, want := range map[string]string{"/d/f": "new", at + "/d/f": "old", at + "/d/../d/f": "old"} {
		if got, e := read(path); got != want || e != 0 {
			t.Errorf("%s: %q, %v", path, got, e)
		}
	}
	if _, e := read(at + "/d/g"); e != syscall.ENOENT {
		t.Errorf("a file of later: %v", e)
	}
	for _, path := range []string{"/.at/yesterday", "/.at/-100000d", "/.at/1970-01-01"} {
		if _, e := read(path + "/d"); e != syscall.ENOENT {
			t.Errorf("%s: %v", path, e)
		}
	}
	if _, e := s.call(unix.SYS_OPENAT, signedCWD, at+"/d/f", unix.O_RDWR, 0); e != syscall.EROFS {
		t.Errorf("opened for writing: %v", e)
	}
	if _, e := s.call(unix.SYS_MKDIRAT, signedCWD, at+"/e", 0o755); e != syscall.EROFS {
		t.Errorf("mkdir: %v", e)
	}
	if _, e := s.call(unix.SYS_UNLINKAT, signedCWD, at+"/d/f", 0); e != syscall.EROFS {
		t.Errorf("unlink: %v", e)
	}
	if _, e := s.call(unix.SYS_CHDIR, at+"/d"); e != 0 {
		t.Fatal(e)
	}
	p := make([]byte, 200)
	n, e := s.call(unix.SYS_GETCWD, p, len(p))
	if got := string(p[:max(n-1, 0)]); e != 0 || got != at+"/d" {
		t.Errorf("getcwd: %q, %v", got, e)
	}
}

// TestUnnamed makes a file by O_TMPFILE, and gives it a name.
func TestUnnamed(t *testing.T) {
	s := newSystem(t)
	for _, named := range []bool{false, true} {
		fd, e := s.call(unix.SYS_OPENAT, signedCWD, "/tmp", unix.O_TMPFILE|unix.O_RDWR, 0o600)
		if e != 0 {
			t.Fatal(e)
		}
		if _, e := s.call(unix.SYS_WRITE, fd, []byte("text"), 4); e != 0 {
			t.Fatal(e)
		}
		if err := s.files.Sync(); err != nil {
			t.Fatal(err)
		}
		if named {
			if _, e := s.call(unix.SYS_LINKAT, fd, "", signedCWD, "/tmp/name", unix.AT_EMPTY_PATH); e != 0 {
				t.Fatal(e)
			}
		}
		f, e := s.file(uintptr(fd))
		if e != 0 {
			t.Fatal(e)
		}
		inode := f.description.(*diskFile).inode
		f.release()
		if _, e := s.call(unix.SYS_CLOSE, fd); e != 0 {
			t.Fatal(e)
		}
		if !named {
			if err := inode.Open(); err != syscall.ENOENT {
				t.Errorf("a file without a name, after it was closed: %v", err)
			}
		}
	}
	dir, err := s.files.Root().Lookup("tmp")
	if err != nil {
		t.Fatal(err)
	}
	n, err := dir.Lookup("name")
	if err != nil {
		t.Fatal(err)
	}
	if a := n.Attr(); a.Size != 4 || a.Links != 1 {
		t.Errorf("size %d, links %d", a.Size, a.Links)
	}
}
