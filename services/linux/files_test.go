package linux

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (s *testSystem) open(path string, flags int, mode uint32) int {
	s.t.Helper()
	return s.must(unix.SYS_OPENAT, atCWD, path, flags, mode)
}

func (s *testSystem) readAll(path string) string {
	s.t.Helper()
	fd := s.open(path, unix.O_RDONLY, 0)
	defer s.must(unix.SYS_CLOSE, fd)
	var b strings.Builder
	p := make([]byte, 4096)
	for {
		n := s.must(unix.SYS_READ, fd, p, len(p))
		if n == 0 {
			return b.String()
		}
		b.Write(p[:n])
	}
}

func TestReadWrite(t *testing.T) {
	s := newSystem(t)
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	if fd != 3 {
		t.Errorf("first descriptor is %d", fd)
	}
	s.must(unix.SYS_WRITE, fd, []byte("hello"), 5)
	s.must(unix.SYS_LSEEK, fd, 1, unix.SEEK_SET)
	p := make([]byte, 8)
	if n := s.must(unix.SYS_READ, fd, p, len(p)); string(p[:n]) != "ello" {
		t.Errorf("read %q", p[:n])
	}
	s.must(unix.SYS_CLOSE, fd)
	s.fails(syscall.EBADF, unix.SYS_CLOSE, fd)
	if got := s.readAll("/tmp/f"); got != "hello" {
		t.Errorf("file is %q", got)
	}
}

func TestProcAndEtc(t *testing.T) {
	s := newSystem(t)
	for path, want := range map[string]string{
		"/proc/meminfo":                "MemTotal:         262144 kB\n",
		"/proc/self/mounts":            "tuplix / tuplix rw,noatime 0 0\n",
		"/proc/sys/kernel/hostname":    "tuplix\n",
		"/proc/sys/net/core/somaxconn": "4096\n",
		"/proc/cmdline":                "quiet\n",
		"/proc/1/../uptime":            " ",
		"/proc/self/stat":              "1 (main) R ",
		"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size": "2097152\n",
		"/etc/hosts":          "localhost",
		"/dev/fd/../status":   "Pid:\t1\n",
		"/proc/cpuinfo":       "processor\t: 1\n",
		"/proc/../etc/passwd": "root:x:0:0",
	} {
		if got := s.readAll(path); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", path, got, want)
		}
	}
	s.fails(syscall.EPERM, unix.SYS_OPENAT, atCWD, "/proc/new", unix.O_CREAT|unix.O_WRONLY, 0)
	s.fails(syscall.EACCES, unix.SYS_OPENAT, atCWD, "/proc/uptime", unix.O_WRONLY, 0)
	s.fails(syscall.EXDEV, unix.SYS_RENAMEAT, atCWD, "/proc/uptime", atCWD, "/tmp/x")
}

func TestDescriptorLinks(t *testing.T) {
	s := newSystem(t)
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	s.must(unix.SYS_WRITE, fd, []byte("still"), 5)
	p := make([]byte, 64)
	link := fmt.Sprintf("/proc/self/fd/%d", fd)
	if n := s.must(unix.SYS_READLINKAT, atCWD, link, p, len(p)); string(p[:n]) != "/tmp/f" {
		t.Errorf("link is %q", p[:n])
	}
	s.must(unix.SYS_UNLINKAT, atCWD, "/tmp/f", 0)
	if n := s.must(unix.SYS_READLINKAT, atCWD, link, p, len(p)); string(p[:n]) != "/tmp/f (deleted)" {
		t.Errorf("link is %q", p[:n])
	}
	if got := s.readAll(link); got != "still" {
		t.Errorf("read %q", got)
	}
}

func TestWorkingDirectory(t *testing.T) {
	s := newSystem(t)
	for _, d := range []string{"/a", "/a/b", "/a/b/c"} {
		s.must(unix.SYS_MKDIRAT, atCWD, d, uint32(0o755))
	}
	cwd := func() string {
		p := make([]byte, 256)
		n := s.must(unix.SYS_GETCWD, p, len(p))
		return string(p[:n-1])
	}
	s.must(unix.SYS_CHDIR, "/a/b/c")
	s.must(unix.SYS_RENAMEAT, atCWD, "/a/b", atCWD, "/a/new")
	if got := cwd(); got != "/a/new/c" {
		t.Errorf("cwd is %s", got)
	}
	s.must(unix.SYS_CHDIR, "/proc/sys/kernel")
	if got := cwd(); got != "/proc/sys/kernel" {
		t.Errorf("cwd is %s", got)
	}
	s.must(unix.SYS_CHDIR, "/a/new/c")
	s.must(unix.SYS_UNLINKAT, atCWD, "/a/new/c", unix.AT_REMOVEDIR)
	s.fails(syscall.ENOENT, unix.SYS_GETCWD, make([]byte, 256), 256)
	s.fails(syscall.ENOENT, unix.SYS_OPENAT, atCWD, "x", unix.O_CREAT|unix.O_WRONLY, 0)
	s.must(unix.SYS_CHDIR, "/")
}

func TestBadPointers(t *testing.T) {
	s := newSystem(t)
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	s.fails(syscall.EFAULT, unix.SYS_WRITE, fd, 0, 1)
	s.fails(syscall.EFAULT, unix.SYS_READ, fd, 8, 1)
	s.fails(syscall.EFAULT, unix.SYS_OPENAT, atCWD, 0, 0, 0)
	s.fails(syscall.EFAULT, unix.SYS_FSTAT, fd, 0)
	s.fails(syscall.EFAULT, unix.SYS_WRITEV, fd, 0, 1)
	s.fails(syscall.EINVAL, unix.SYS_WRITEV, fd, 0, maxVectors+1)
	s.fails(syscall.ENAMETOOLONG, unix.SYS_OPENAT, atCWD, strings.Repeat("a/", PathMax), 0, 0)
	s.fails(syscall.ENOSYS, unix.SYS_EXECVE, 0, 0, 0)
	s.fails(syscall.ENOSYS, 511)
	s.fails(syscall.ENOSYS, 100000)
}

func TestHotCallsDoNotAllocate(t *testing.T) {
	s := newSystem(t)
	fd := uintptr(s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644))
	p := make([]byte, 4096)
	st := new(syscall.Stat_t)
	onHeap = []any{p, st} // the calls have numbers for addresses, so these must not move
	s.must(unix.SYS_WRITE, fd, p, len(p))
	at := uintptr(unsafe.Pointer(&p[0]))
	words := new([6]uintptr)
	for name, c := range map[string][5]uintptr{
		"read":   {unix.SYS_READ, fd, at, 4096},
		"pread":  {unix.SYS_PREAD64, fd, at, 4096, 0},
		"lseek":  {unix.SYS_LSEEK, fd, 0, unix.SEEK_SET},
		"fstat":  {unix.SYS_FSTAT, fd, uintptr(unsafe.Pointer(st))},
		"pwrite": {unix.SYS_PWRITE64, fd, at, 4096, 0},
	} {
		n := testing.AllocsPerRun(100, func() {
			copy(words[:], c[1:])
			if r := s.Call(c[0], words); r > failure(4096) {
				t.Fatalf("%s: %v", name, syscall.Errno(-r))
			}
		})
		if limit := map[string]float64{"pwrite": 2}[name]; n > limit && !raceEnabled {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	onHeap = nil
}

var onHeap []any
