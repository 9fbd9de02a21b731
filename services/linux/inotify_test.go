package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	dbtable "github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/file"
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

// TestDifferInotifyLater watches files that were opened, and moved or linked, before.
func TestDifferInotifyLater(t *testing.T) {
	p := newPair(t)
	for _, dir := range []string{"a", "b", "a/sub"} {
		p.at("mkdir", unix.SYS_MKDIRAT, dir, uint32(0o755))
	}
	create := func(path string) int { return p.open(path, unix.O_CREAT|unix.O_RDWR, 0o644) }
	files := []int{create("a/moved"), create("a/sub/below"), create("a/linked"), create("a/gone"), create("a/kept")}
	p.rename("a/moved", "b/moved", 0)
	p.rename("b/moved", "b/again", 0)
	create("a/moved") // another one, by the old name
	p.rename("a/sub", "b/sub", 0)
	p.link("a/linked", "b/link", 0)
	p.rename("a/gone", "b/gone", 0)
	p.at("unlink", unix.SYS_UNLINKAT, "b/gone", 0)
	write := func(in [2]int) {
		for _, f := range files {
			p.on("write", f, unix.SYS_WRITE, []byte("data"), 4)
			p.events(in)
		}
	}
	watch := func() [2]int {
		in := p.inotify()
		for _, dir := range []string{"a", "b", "b/sub"} {
			p.watch(in, dir, unix.IN_MODIFY|unix.IN_ATTRIB|unix.IN_CLOSE)
		}
		return in
	}
	in := watch()
	write(in)
	p.on("fchmod", files[0], unix.SYS_FCHMOD, uint32(0o600))
	p.events(in)
	p.both("end", func(i int) (string, syscall.Errno) { // and nobody watches
		for wd := 1; wd <= 3; wd++ {
			if _, e := p.sides[i].call(unix.SYS_INOTIFY_RM_WATCH, in[i], wd); e != 0 {
				return "", e
			}
		}
		return "", 0
	})
	p.rename("a/kept", "b/sub/kept", 0)
	p.rename("b/again", "a/back", 0)
	in = watch()
	write(in)
	p.rename("a/back", "b/sub/kept", unix.RENAME_EXCHANGE)
	p.events(in)
	write(in)
}

// TestInotifyTransaction: what a program changes by the Go API is told by the names of it
// that are known.
func TestInotifyTransaction(t *testing.T) {
	s := newSystem(t)
	s.must(unix.SYS_MKDIRAT, atCWD, "/dir", uint32(0o755))
	fd := s.open("/dir/file", unix.O_CREAT|unix.O_RDWR, 0o644)
	s.must(unix.SYS_RENAMEAT, atCWD, "/dir/file", atCWD, "/dir/renamed")
	in := s.must(unix.SYS_INOTIFY_INIT1, unix.IN_NONBLOCK)
	for _, path := range []string{"/dir", "/dir/renamed"} {
		s.must(unix.SYS_INOTIFY_ADD_WATCH, in, path, uint32(unix.IN_ALL_EVENTS))
	}
	expect := func(want string) {
		t.Helper()
		b := make([]byte, 1<<16)
		n, e := s.call(unix.SYS_READ, in, b, len(b))
		if got := describeEvents(b[:max(n, 0)]); e != 0 || got != want {
			t.Errorf("%v: got %s\nwant %s", e, got, want)
		}
	}
	dir, err := s.files.Root().Lookup("dir")
	if err != nil {
		t.Fatal(err)
	}
	update := func(change func(files *file.Tx, f *file.Inode) error) error {
		f, err := dir.Lookup("renamed")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.files.Update(t.Context(), nil, func(_ *dbtable.Tx, files *file.Tx) error { return change(files, f) })
		return err
	}
	if err := update(func(files *file.Tx, f *file.Inode) error {
		_, err1 := files.WriteAt(f, []byte("text"), 0)
		_, err2 := files.WriteAt(f, nil, 2)
		err3 := files.SetAttr(f, func(a *file.Attr) { a.Mode = 0o600 })
		return errors.Join(err1, err2, err3, files.Truncate(f, 1))
	}); err != nil {
		t.Fatal(err)
	}
	expect(`
	1 0x2 cookie 0 16 "renamed"
	2 0x2 cookie 0 0 ""
	1 0x4 cookie 0 16 "renamed"
	2 0x4 cookie 0 0 ""
	1 0x2 cookie 0 16 "renamed"
	2 0x2 cookie 0 0 ""`)
	refused := errors.New("refused")
	if err := update(func(files *file.Tx, _ *file.Inode) error {
		return errors.Join(files.Rename(dir, "renamed", s.files.Root(), "elsewhere", 0), refused)
	}); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	expect(`
	1 0x40 cookie 1 16 "renamed"
	2 0x800 cookie 0 0 ""
	-1 0x4000 cookie 0 0 ""`) // what was told is undone
	s.must(unix.SYS_WRITE, fd, []byte("1"), 1) // a rename that was undone has not moved it
	expect(`
	1 0x2 cookie 0 16 "renamed"
	2 0x2 cookie 0 0 ""`)
	if err := update(func(files *file.Tx, _ *file.Inode) error {
		f, err := files.Create(dir, "new", file.New{Mode: syscall.S_IFREG | 0o644})
		if err == nil {
			_, err = files.WriteAt(f, []byte("1"), 0)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	expect(`
	1 0x100 cookie 0 16 "new"
	1 0x2 cookie 0 16 "new"`)
}

// TestInotifyRestore: after a restore who watches anything hears that events are missing,
// which has programs look at everything anew.
func TestInotifyRestore(t *testing.T) {
	s := newSystem(t)
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	s.must(unix.SYS_FSYNC, fd)
	time.Sleep(time.Millisecond) // the moment lies between two changes
	was := time.Now()
	time.Sleep(time.Millisecond)
	s.must(unix.SYS_WRITE, fd, []byte("1"), 1)
	for _, path := range []string{"/tmp/f", "/tmp", "/"} {
		in, idle := s.must(unix.SYS_INOTIFY_INIT1, unix.IN_NONBLOCK), s.must(unix.SYS_INOTIFY_INIT1, unix.IN_NONBLOCK)
		s.must(unix.SYS_INOTIFY_ADD_WATCH, in, "/tmp", uint32(unix.IN_ALL_EVENTS))
		s.must(unix.SYS_INOTIFY_ADD_WATCH, in, "/tmp/f", uint32(unix.IN_ATTRIB))
		if _, err := s.files.Restore(t.Context(), nil, path, was); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1024)
		if got := describeEvents(b[:s.must(unix.SYS_READ, in, b, len(b))]); got != "\n\t-1 0x4000 cookie 0 0 \"\"" {
			t.Errorf("after a restore of %s:%s", path, got)
		}
		s.fails(syscall.EAGAIN, unix.SYS_READ, idle, b, len(b)) // it watches nothing
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
