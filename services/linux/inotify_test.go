package linux

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inotify makes an instance on both sides.
func (p *pair) inotify() [2]int {
	p.t.Helper()
	var fds [2]int
	p.both("inotify_init1", func(i int) (string, syscall.Errno) {
		fd, e := p.sides[i].call(unix.SYS_INOTIFY_INIT1, unix.IN_NONBLOCK|unix.IN_CLOEXEC)
		fds[i] = fd
		return "", e
	})
	p.t.Cleanup(func() {
		for i := range p.sides {
			if _, e := p.sides[i].call(unix.SYS_CLOSE, fds[i]); e != 0 {
				p.t.Error(e)
			}
		}
	})
	return fds
}

func (p *pair) watch(in [2]int, path string, mask uint32) {
	p.t.Helper()
	p.both(fmt.Sprintf("watch %s %#x", path, mask), func(i int) (string, syscall.Errno) {
		full := fmt.Sprintf("/proc/self/fd/%d/%s", p.dirs[i], path)
		n, e := p.sides[i].call(unix.SYS_INOTIFY_ADD_WATCH, in[i], full, mask)
		return fmt.Sprint(n), e
	})
}

// events compares what both sides have to tell.
func (p *pair) events(in [2]int) {
	p.t.Helper()
	p.both("events", func(i int) (string, syscall.Errno) {
		b := make([]byte, 1<<20)
		n, e := p.sides[i].call(unix.SYS_READ, in[i], b, len(b))
		if e != 0 {
			return "", e
		}
		return describeEvents(b[:n]), 0
	})
}

// describeEvents numbers cookies in their order.
func describeEvents(b []byte) string {
	var text strings.Builder
	cookies := map[uint32]int{0: 0}
	for len(b) >= inotifyHeader {
		wd, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:])
		cookie, n := binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:])
		if _, ok := cookies[cookie]; !ok {
			cookies[cookie] = len(cookies)
		}
		name := b[inotifyHeader:][:n]
		fmt.Fprintf(&text, "\n\t%d %#x cookie %d %d %q", wd, mask, cookies[cookie], n, strings.TrimRight(string(name), "\x00"))
		b = b[inotifyHeader+n:]
	}
	return text.String()
}

// TestDifferInotify goes through the events of each call.
func TestDifferInotify(t *testing.T) {
	p := newPair(t)
	p.at("mkdir", unix.SYS_MKDIRAT, "dir", uint32(0o755))
	p.at("mkdir", unix.SYS_MKDIRAT, "other", uint32(0o755))
	f := p.open("dir/file", unix.O_CREAT|unix.O_RDWR, 0o644)
	in := p.inotify()
	for _, path := range []string{"dir", "other", "dir/file", "."} {
		p.watch(in, path, unix.IN_ALL_EVENTS)
	}
	p.events(in)
	st := unsafe.Pointer(new(unix.Stat_t))
	long := strings.Repeat("n", 255)
	for _, step := range []func(){
		func() { p.on("write", f, unix.SYS_WRITE, []byte("data"), 4) },
		func() { p.on("write", f, unix.SYS_WRITE, []byte("data"), 0) },
		func() { p.read("pread", f, unix.SYS_PREAD64, 4, 0) },
		func() { p.read("pread", f, unix.SYS_PREAD64, 4, 1000) },
		func() { p.on("pwrite", f, unix.SYS_PWRITE64, []byte("data"), 4, 2) },
		func() { p.on("ftruncate", f, unix.SYS_FTRUNCATE, 3) },
		func() { p.on("allocate", f, unix.SYS_FALLOCATE, 0, 0, 100) },
		func() { p.on("fchmod", f, unix.SYS_FCHMOD, uint32(0o600)) },
		func() { p.at("chmod", unix.SYS_FCHMODAT, "dir/file", uint32(0o640)) },
		func() { p.at("chmod", unix.SYS_FCHMODAT, "dir", uint32(0o700)) },
		func() { p.at("chmod", unix.SYS_FCHMODAT, "none", uint32(0o700)) },
		func() { p.on("futimens", f, unix.SYS_UTIMENSAT, 0, 0, 0) },
		func() { p.xattr("setxattr", "dir/file", unix.SYS_SETXATTR, "user.a", []byte("1"), 1, 0) },
		func() { p.on("fsetxattr", f, unix.SYS_FSETXATTR, "user.a", []byte("2"), 1, 0) },
		func() { p.xattr("removexattr", "dir/file", unix.SYS_REMOVEXATTR, "user.a") },
		func() { p.open("dir/file", unix.O_RDONLY, 0) },
		func() { p.open("dir/file", unix.O_WRONLY|unix.O_TRUNC, 0) },
		func() { p.open("dir/new", unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o644) },
		func() { p.open("dir/file", unix.O_PATH, 0) },
		func() { p.open("dir", unix.O_RDONLY|unix.O_DIRECTORY, 0) },
		func() { p.at("stat", unix.SYS_NEWFSTATAT, "dir/file", st, 0) },
		func() { p.at("mkdir", unix.SYS_MKDIRAT, "dir/sub", uint32(0o755)) },
		func() { p.at("mkdir", unix.SYS_MKDIRAT, "dir/"+long, uint32(0o755)) },
		func() { p.at("rmdir", unix.SYS_UNLINKAT, "dir/"+long, unix.AT_REMOVEDIR) },
		func() { p.symlink("file", "dir/link") },
		func() { p.at("chmod", unix.SYS_FCHMODAT, "dir/link", uint32(0o644)) },
		func() { p.at("mknod", unix.SYS_MKNODAT, "dir/fifo", uint32(unix.S_IFIFO|0o600), 0) },
		func() { p.link("dir/file", "other/hard", 0) },
		func() { p.rename("dir/new", "dir/newer", 0) },
		func() { p.rename("dir/newer", "other/newest", 0) },
		func() { p.rename("dir/sub", "other/sub", 0) },
		func() { p.rename("other/sub", "other/newest", unix.RENAME_EXCHANGE) },
		func() { p.rename("dir/file", "dir/renamed", 0) },
		func() { p.on("write", f, unix.SYS_WRITE, []byte("more"), 4) },
		func() { p.open("dir/replaced", unix.O_WRONLY|unix.O_CREAT, 0o644) },
		func() { p.watch(in, "dir/replaced", unix.IN_ALL_EVENTS) },
		func() { p.rename("dir/link", "dir/replaced", 0) },
		func() { p.at("unlink", unix.SYS_UNLINKAT, "dir/fifo", 0) },
		func() { p.at("unlink", unix.SYS_UNLINKAT, "other/hard", 0) },
		func() { p.at("unlink", unix.SYS_UNLINKAT, "dir/renamed", 0) },
		func() { p.on("write", f, unix.SYS_WRITE, []byte("gone"), 4) },
		func() { p.at("unlink", unix.SYS_UNLINKAT, "dir/replaced", 0) },
		func() { p.closeAll(); p.fds = nil },
		func() { p.at("rmdir", unix.SYS_UNLINKAT, "dir", unix.AT_REMOVEDIR) },
		func() { p.fds = append(p.fds, in); p.on("rm_watch", 0, unix.SYS_INOTIFY_RM_WATCH, 2) },
		func() { p.on("rm_watch", 0, unix.SYS_INOTIFY_RM_WATCH, 2); p.fds = nil },
	} {
		step()
		p.events(in)
	}
}

func TestDifferInotifyErrnos(t *testing.T) {
	p := newPair(t)
	f := p.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
	p.symlink("file", "link")
	in := p.inotify()
	p.fds = append(p.fds, in)
	i := len(p.fds) - 1
	defer func() { p.fds = p.fds[:i] }()
	for _, path := range []string{"file", "link", "none", ".", "file/x"} {
		for _, mask := range []uint32{
			0, unix.IN_MODIFY, unix.IN_ALL_EVENTS, unix.IN_ONLYDIR | unix.IN_OPEN, unix.IN_DONT_FOLLOW | unix.IN_ATTRIB,
			unix.IN_MASK_ADD | unix.IN_OPEN, unix.IN_MASK_CREATE | unix.IN_OPEN,
			unix.IN_MASK_CREATE | unix.IN_MASK_ADD | unix.IN_OPEN, unix.IN_ONESHOT, unix.IN_EXCL_UNLINK, 1 << 20,
		} {
			p.watch(in, path, mask)
			p.watch(p.fds[f], path, mask)
		}
	}
	p.watch(in, "file", unix.IN_MODIFY|unix.IN_ONESHOT)
	p.on("write", f, unix.SYS_WRITE, []byte("1"), 1)
	p.on("write", f, unix.SYS_WRITE, []byte("1"), 1)
	n := new(int32)
	p.both("FIONREAD", func(i int) (string, syscall.Errno) {
		_, e := p.sides[i].call(unix.SYS_IOCTL, in[i], unix.TIOCINQ, unsafe.Pointer(n))
		return fmt.Sprint(*n), e
	})
	p.on("read", i, unix.SYS_READ, make([]byte, 100), 15)
	p.on("write", i, unix.SYS_WRITE, make([]byte, 100), 15)
	p.on("lseek", i, unix.SYS_LSEEK, 0, 0)
	p.events(in)
	p.events(in)
	p.on("rm_watch", f, unix.SYS_INOTIFY_RM_WATCH, 1)
	p.on("rm_watch", i, unix.SYS_INOTIFY_RM_WATCH, 77)
	for _, flags := range []int{1, unix.IN_CLOEXEC | 1<<20} {
		p.both("inotify_init1", func(i int) (string, syscall.Errno) {
			_, e := p.sides[i].call(unix.SYS_INOTIFY_INIT1, flags)
			return "", e
		})
	}
}

// TestDifferInotifyRandom watches random histories of changes.
func TestDifferInotifyRandom(t *testing.T) {
	for seed := range uint64(4) {
		p := newPair(t)
		r := rand.New(rand.NewPCG(seed, 8))
		in := p.inotify()
		const events = unix.IN_ALL_EVENTS &^ (unix.IN_ACCESS | unix.IN_OPEN | unix.IN_CLOSE)
		p.watch(in, ".", events)
		for range 300 {
			switch r.IntN(6) {
			case 0:
				p.watch(in, randomPath(r), events)
			default:
				p.randomStep(r)
			}
			p.events(in)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// TestInotifyQueue: what nobody reads is bounded, and waiters are woken.
func TestInotifyQueue(t *testing.T) {
	s := newSystem(t)
	in := s.must(unix.SYS_INOTIFY_INIT1, 0)
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	s.must(unix.SYS_INOTIFY_ADD_WATCH, in, "/tmp/f", uint32(unix.IN_MODIFY|unix.IN_ATTRIB))
	for range maxInotifyEvents/2 + 10 {
		s.must(unix.SYS_WRITE, fd, []byte("1"), 1)
		s.must(unix.SYS_FCHMOD, fd, uint32(0o600))
	}
	b := make([]byte, (maxInotifyEvents+10)*inotifyHeader)
	n := s.must(unix.SYS_READ, in, b, len(b))
	last := b[n-inotifyHeader:]
	if n != (maxInotifyEvents+1)*inotifyHeader || binary.NativeEndian.Uint32(last[4:]) != unix.IN_Q_OVERFLOW {
		t.Errorf("%d bytes, the last event %x", n, last)
	}
	read := make(chan int)
	go func() { read <- s.must(unix.SYS_READ, in, b, len(b)) }()
	s.must(unix.SYS_WRITE, fd, []byte("1"), 1)
	if n := <-read; n != inotifyHeader {
		t.Errorf("%d bytes", n)
	}
	s.must(unix.SYS_CLOSE, in)
	if s.watches.active() || len(s.watches.by) != 0 {
		t.Error("watches of a closed instance remain")
	}
}
