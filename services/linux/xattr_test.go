package linux

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// xattr makes a call on both sides whose first argument is the path, by way of /proc,
// which both have, because these calls have no argument for a directory.
func (p *pair) xattr(name, path string, nr uintptr, arguments ...argument) {
	p.t.Helper()
	p.both(fmt.Sprint(name, " ", path)+shown(arguments), func(i int) (string, syscall.Errno) {
		full := fmt.Sprintf("/proc/self/fd/%d/%s", p.dirs[i], path)
		n, e := p.sides[i].call(nr, append([]argument{full}, arguments...)...)
		return fmt.Sprint(n), e
	})
}

// xattrRead compares the length and the bytes that a call gives into a buffer of a size.
// Names are sorted, as their order is nobody's promise.
func (p *pair) xattrRead(what, path string, nr uintptr, size int, name ...argument) {
	p.t.Helper()
	p.both(fmt.Sprint(what, " ", path, " ", size)+shown(name), func(i int) (string, syscall.Errno) {
		b := make([]byte, size+1)
		full := fmt.Sprintf("/proc/self/fd/%d/%s", p.dirs[i], path)
		n, e := p.sides[i].call(nr, append(append([]argument{full}, name...), b, size)...)
		if e != 0 {
			return "", e
		}
		if len(name) > 0 {
			return fmt.Sprintf("%d %s", n, digest(b[:min(n, size)])), 0
		}
		names := strings.Split(string(b[:min(n, size)]), "\x00")
		slices.Sort(names)
		return fmt.Sprint(n, names), 0
	})
}

// TestDifferXattr holds the calls on extended attributes against the host's.
func TestDifferXattr(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("trusted attributes are root's")
	}
	p := newPair(t)
	p.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
	p.at("mkdir", unix.SYS_MKDIRAT, "dir", uint32(0o755))
	p.symlink("file", "link")
	p.symlink("nowhere", "dangling")
	p.at("mknod", unix.SYS_MKNODAT, "fifo", uint32(unix.S_IFIFO|0o600), 0)
	names := []string{
		"user.a", "user.b.c", "trusted.a", "security.a", "system.a", "other.a", "user", "user.", "trusted.", "",
		"security.", "user." + strings.Repeat("n", 250), "user." + strings.Repeat("n", 251), strings.Repeat("n", 5000),
	}
	values := [][]byte{[]byte("value"), {}, []byte(strings.Repeat("v", 1000))}
	for _, path := range []string{"file", "dir", "link", "dangling", "fifo", "none", "file/x"} {
		for _, name := range names {
			for flags := range 4 {
				value := values[flags%len(values)]
				p.xattr("setxattr", path, unix.SYS_SETXATTR, name, value, len(value), flags)
				p.xattr("lsetxattr", path, unix.SYS_LSETXATTR, name, value, len(value), flags)
			}
			for _, size := range []int{0, 3, 5, 2000, 100_000} {
				p.xattrRead("getxattr", path, unix.SYS_GETXATTR, size, name)
				p.xattrRead("lgetxattr", path, unix.SYS_LGETXATTR, size, name)
			}
		}
		for _, size := range []int{0, 3, 1000} {
			p.xattrRead("listxattr", path, unix.SYS_LISTXATTR, size)
			p.xattrRead("llistxattr", path, unix.SYS_LLISTXATTR, size)
		}
		for _, name := range names {
			p.xattr("removexattr", path, unix.SYS_REMOVEXATTR, name)
			p.xattr("lremovexattr", path, unix.SYS_LREMOVEXATTR, name)
		}
		p.xattr("setxattr", path, unix.SYS_SETXATTR, "user.x", []byte("v"), 1, 4)
		p.xattr("setxattr", path, unix.SYS_SETXATTR, "user.x", make([]byte, 65537), 65537, 0)
	}
}

// TestDifferXattrDescriptors is the same for open files.
func TestDifferXattrDescriptors(t *testing.T) {
	p := newPair(t)
	files := []int{
		p.open("file", unix.O_CREAT|unix.O_RDWR, 0o644),
		p.open("file", unix.O_RDONLY, 0),
		p.open("file", unix.O_PATH, 0),
		p.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0),
	}
	for _, f := range files {
		p.on("fsetxattr", f, unix.SYS_FSETXATTR, "user.a", []byte("12345"), 5, 0)
		p.on("fgetxattr", f, unix.SYS_FGETXATTR, "user.a", make([]byte, 10), 10)
		p.on("flistxattr", f, unix.SYS_FLISTXATTR, make([]byte, 100), 100)
		p.on("fremovexattr", f, unix.SYS_FREMOVEXATTR, "user.a")
		p.on("fgetxattr", f, unix.SYS_FGETXATTR, "user.a", make([]byte, 10), 10)
	}
}

// TestDifferXattrRandom sets, reads and removes at random.
func TestDifferXattrRandom(t *testing.T) {
	p := newPair(t)
	p.open("0", unix.O_CREAT|unix.O_RDWR, 0o644)
	p.at("mkdir", unix.SYS_MKDIRAT, "1", uint32(0o755))
	r := rand.New(rand.NewPCG(1, 5))
	for range 1000 {
		path, name := fmt.Sprint(r.IntN(2)), fmt.Sprint("user.", r.IntN(8))
		value := []byte(strings.Repeat(fmt.Sprint(r.IntN(10)), r.IntN(60)))
		switch r.IntN(5) {
		case 0, 1:
			p.xattr("setxattr", path, unix.SYS_SETXATTR, name, value, len(value), r.IntN(3))
		case 2:
			p.xattr("removexattr", path, unix.SYS_REMOVEXATTR, name)
		case 3:
			p.xattrRead("getxattr", path, unix.SYS_GETXATTR, r.IntN(70), name)
		case 4:
			p.xattrRead("listxattr", path, unix.SYS_LISTXATTR, r.IntN(120))
		}
	}
}

// TestXattrPast reads the attributes of a moment ago.
func TestXattrPast(t *testing.T) {
	now := bootTime
	s := newSystem(t)
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	s.must(unix.SYS_FSETXATTR, fd, "user.a", []byte("old"), 3, 0)
	if err := s.files.Sync(); err != nil {
		t.Fatal(err)
	}
	past, err := s.findPast(s.mounts[2].root, fmt.Sprint(now.Unix()+3600))
	if err != nil {
		t.Fatal(err)
	}
	s.must(unix.SYS_FSETXATTR, fd, "user.a", []byte("newer"), 5, 0)
	w := walker{s: s.System}
	for path := range strings.SplitSeq("tmp/f", "/") {
		if past, err = w.step(past, path); err != nil {
			t.Fatal(err)
		}
	}
	value, err := past.(attributed).Xattr("user.a")
	if names, e := past.(attributed).Xattrs(); string(value) != "old" || err != nil || e != nil || len(names) != 1 {
		t.Errorf("value %q, names %q, errors %v, %v", value, names, err, e)
	}
	if _, e := editableXattrs(func() (node, error) { return past, nil }, "user.a"); e != syscall.EROFS {
		t.Errorf("the past may be changed: %v", e)
	}
	s.fails(syscall.EOPNOTSUPP, unix.SYS_SETXATTR, "/proc/stat", "user.a", []byte("1"), 1, 0)
	s.fails(syscall.EOPNOTSUPP, unix.SYS_GETXATTR, "/proc/stat", "user.a", []byte("1"), 1)
}
