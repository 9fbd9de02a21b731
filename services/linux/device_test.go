package linux

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDevices reads and writes the character devices.
func TestDevices(t *testing.T) {
	s := newSystem(t)
	for _, c := range []struct {
		path  string
		ends  bool // nothing can be read
		write syscall.Errno
	}{
		{"/dev/null", true, 0},
		{"/dev/zero", false, 0},
		{"/dev/full", false, syscall.ENOSPC},
	} {
		fd := s.open(c.path, unix.O_RDWR, 0)
		p := bytes.Repeat([]byte{0xff}, 5000)
		for range 2 { // what was written is not there
			n := s.must(unix.SYS_READ, fd, p, len(p))
			switch {
			case c.ends && n != 0:
				t.Errorf("%s: %d bytes are read", c.path, n)
			case !c.ends && (n != len(p) || bytes.Count(p, []byte{0}) != len(p)):
				t.Errorf("%s: %d bytes are read, of %d that are zero", c.path, n, bytes.Count(p, []byte{0}))
			}
			n, e := s.call(unix.SYS_WRITE, fd, []byte("text"), 4)
			if e != c.write || e == 0 && n != 4 {
				t.Errorf("%s: write returns %d, %v", c.path, n, e)
			}
		}
		s.must(unix.SYS_CLOSE, fd)
	}
}

// No two reads of random bytes have any 16 in common, which are not mostly zeros.
func TestRandomDevices(t *testing.T) {
	s := newSystem(t)
	seen := map[string]bool{}
	for _, path := range []string{"/dev/urandom", "/dev/random", "/dev/urandom"} {
		fd := s.open(path, unix.O_RDWR, 0)
		for _, nr := range []uintptr{unix.SYS_READ, unix.SYS_PREAD64} {
			p := make([]byte, 4096)
			if n := s.must(nr, fd, p, len(p), 0); n != len(p) {
				t.Errorf("%s: %d bytes are read", path, n)
			}
			for ; len(p) > 0; p = p[16:] {
				text := string(p[:16])
				if seen[text] || strings.Count(text, "\x00") > 12 {
					t.Fatalf("%s: not random: %x", path, text)
				}
				seen[text] = true
			}
		}
		if n := s.must(unix.SYS_WRITE, fd, []byte("text"), 4); n != 4 {
			t.Errorf("%s: %d bytes are written", path, n)
		}
		s.must(unix.SYS_CLOSE, fd)
	}
}

// spoken is a console that says one thing and keeps what it is told.
type spoken struct {
	Description
	told bytes.Buffer
}

func (c *spoken) Read(p []byte) (int, error)  { return copy(p, "input"), nil }
func (c *spoken) Write(p []byte) (int, error) { return c.told.Write(p) }
func (c *spoken) Ready() uint32               { return syscall.EPOLLIN | syscall.EPOLLOUT }
func (c *spoken) Close() error                { return nil }

// The terminal is the console, and so are the first three descriptors; without one there
// is no terminal, and they are /dev/null.
func TestConsoleDevices(t *testing.T) {
	s := newSystem(t)
	for _, path := range []string{"/dev/tty", "/dev/console"} {
		s.fails(syscall.ENXIO, unix.SYS_OPENAT, atCWD, path, unix.O_RDWR, 0)
	}
	p := make([]byte, 16)
	if n := s.must(unix.SYS_READ, 0, p, len(p)); n != 0 {
		t.Errorf("%d bytes are read of no console", n)
	}
	s.must(unix.SYS_WRITE, 1, []byte("text"), 4)

	var console spoken
	s = newSystem(t, func(c *Config) { c.Console = func() Description { return &console } })
	fds := []int{0, 1, 2, s.open("/dev/tty", unix.O_RDWR, 0), s.open("/dev/console", unix.O_RDWR, 0)}
	for _, fd := range fds {
		if n := s.must(unix.SYS_READ, fd, p, len(p)); string(p[:n]) != "input" {
			t.Errorf("descriptor %d: %q is read", fd, p[:n])
		}
		s.must(unix.SYS_WRITE, fd, []byte("said "), 5)
	}
	if got, want := console.told.String(), strings.Repeat("said ", len(fds)); got != want {
		t.Errorf("the console was told %q, should be %q", got, want)
	}
}
