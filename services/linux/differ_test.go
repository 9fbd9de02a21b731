package linux

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A differential test makes the same system calls here and at the host's
// kernel, on a directory of its own, and compares every result. What differs
// rightly (inode numbers, times) is not looked at.

// shown is how arguments appear in a report.
func shown(arguments []argument) string {
	var b strings.Builder
	for _, a := range arguments {
		if data, ok := a.([]byte); ok {
			a = digest(data)
		}
		fmt.Fprintf(&b, " %v", a)
	}
	return b.String()
}

// side is one of the two.
type side interface {
	call(nr uintptr, arguments ...argument) (int, syscall.Errno)
}

// host is the kernel under the test.
type host struct{ t testing.TB }

func (h host) call(nr uintptr, arguments ...argument) (int, syscall.Errno) {
	h.t.Helper()
	s := testSystem{t: h.t}
	words, unpin := s.words(arguments)
	defer unpin()
	r, _, e := syscall.Syscall6(nr, words[0], words[1], words[2], words[3], words[4], words[5])
	if e != 0 {
		return -1, e
	}
	return int(r), 0
}

// pair runs calls on both sides.
type pair struct {
	t     testing.TB
	sides [2]side
	dirs  [2]int   // where relative paths begin
	fds   [][2]int // open descriptors, by the order of opening
	seed  uint64
	log   []string
}

func newPair(t testing.TB, configure ...func(*Config)) *pair {
	t.Helper()
	dir := "/dev/shm"
	if _, err := os.Stat(dir); err != nil {
		dir = ""
	}
	dir, err := os.MkdirTemp(dir, "tuplix")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s := newSystem(t, configure...)
	s.must(unix.SYS_MKDIRAT, atCWD, "/differ", uint32(0o755))
	old := unix.Umask(0o022)
	t.Cleanup(func() { unix.Umask(old) })
	p := &pair{t: t, sides: [2]side{host{t}, s}}
	for i, path := range []string{dir, "/differ"} {
		fd, e := p.sides[i].call(unix.SYS_OPENAT, atCWD, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if e != 0 {
			t.Fatal(e)
		}
		p.dirs[i] = fd
	}
	t.Cleanup(p.closeAll)
	return p
}

func (p *pair) closeAll() {
	for _, fds := range p.fds {
		p.both("close", func(i int) (string, syscall.Errno) {
			_, e := p.sides[i].call(unix.SYS_CLOSE, fds[i])
			return "", e
		})
	}
	for i := range p.sides {
		p.sides[i].call(unix.SYS_CLOSE, p.dirs[i])
	}
}

// both runs a step on each side and compares what it shows.
func (p *pair) both(what string, step func(i int) (string, syscall.Errno)) (ok bool) {
	p.t.Helper()
	var results [2]string
	for i := range p.sides {
		text, e := step(i)
		results[i] = text
		if e != 0 {
			results[i] = fmt.Sprintf("errno %d (%v)", e, e)
		}
		ok = e == 0
	}
	p.log = append(p.log, what+" = "+results[0])
	if results[0] != results[1] {
		p.t.Errorf("%s\n host: %s\n here: %s\nafter:\n%s", what, results[0], results[1],
			strings.Join(p.log[max(0, len(p.log)-8):], "\n"))
	}
	return ok && results[0] == results[1]
}

// at makes a call whose first argument is the directory; the result shown is
// the number.
func (p *pair) at(name string, nr uintptr, arguments ...argument) bool {
	p.t.Helper()
	return p.both(name+shown(arguments), func(i int) (string, syscall.Errno) {
		n, e := p.sides[i].call(nr, append([]argument{p.dirs[i]}, arguments...)...)
		return fmt.Sprint(n), e
	})
}

// open opens on both sides and returns the index of the pair, -1 on failure.
func (p *pair) open(path string, flags int, mode uint32) int {
	p.t.Helper()
	var fds [2]int
	ok := p.both(fmt.Sprintf("open %s %#x %#o", path, flags, mode), func(i int) (string, syscall.Errno) {
		fd, e := p.sides[i].call(unix.SYS_OPENAT, p.dirs[i], path, flags|unix.O_CLOEXEC, mode)
		fds[i] = fd
		return "open", e
	})
	if !ok {
		return -1
	}
	p.fds = append(p.fds, fds)
	return len(p.fds) - 1
}

// on makes a call whose first argument is the descriptor.
func (p *pair) on(name string, f int, nr uintptr, arguments ...argument) bool {
	p.t.Helper()
	return p.both(fmt.Sprint(name, " ", f)+shown(arguments), func(i int) (string, syscall.Errno) {
		n, e := p.sides[i].call(nr, append([]argument{p.fds[f][i]}, arguments...)...)
		return fmt.Sprint(n), e
	})
}

// read compares what a reading call returns and the bytes.
func (p *pair) read(name string, f int, nr uintptr, size int, more ...argument) {
	p.t.Helper()
	p.both(fmt.Sprint(name, " ", f, " ", size)+shown(more), func(i int) (string, syscall.Errno) {
		b := make([]byte, size+1)
		n, e := p.sides[i].call(nr, append([]argument{p.fds[f][i], b, size}, more...)...)
		if e != 0 {
			return "", e
		}
		return fmt.Sprintf("%d %s", n, digest(b[:n])), 0
	})
}

// digest keeps a report readable.
func digest(b []byte) string {
	if len(b) <= 64 {
		return fmt.Sprintf("%x", b)
	}
	sum := uint64(14695981039346656037)
	for _, c := range b {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	return fmt.Sprintf("%d bytes %x", len(b), sum)
}

func describeStat(st *unix.Stat_t) string {
	size := st.Size
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		size = 0 // of entries here, of something else there
	}
	return fmt.Sprintf("mode %o links %d owner %d:%d size %d mtime %v", st.Mode, st.Nlink, st.Uid, st.Gid, size,
		st.Mtim.Sec < 1e9)
}

func (p *pair) stat(path string, flags int) {
	p.t.Helper()
	p.both(fmt.Sprintf("stat %s %#x", path, flags), func(i int) (string, syscall.Errno) {
		st := new(unix.Stat_t)
		_, e := p.sides[i].call(unix.SYS_NEWFSTATAT, p.dirs[i], path, unsafe.Pointer(st), flags)
		return describeStat(st), e
	})
}

func (p *pair) fstat(f int) {
	p.t.Helper()
	p.both(fmt.Sprint("fstat ", f), func(i int) (string, syscall.Errno) {
		st := new(unix.Stat_t)
		_, e := p.sides[i].call(unix.SYS_FSTAT, p.fds[f][i], unsafe.Pointer(st))
		return describeStat(st), e
	})
}

func (p *pair) readlink(path string) {
	p.t.Helper()
	p.both("readlink "+path, func(i int) (string, syscall.Errno) {
		b := make([]byte, 256)
		n, e := p.sides[i].call(unix.SYS_READLINKAT, p.dirs[i], path, b, len(b))
		if e != 0 {
			return "", e
		}
		return string(b[:n]), 0
	})
}

// rename has the directory twice.
func (p *pair) rename(from, to string, flags int) {
	p.t.Helper()
	p.both(fmt.Sprint("rename ", from, " ", to, " ", flags), func(i int) (string, syscall.Errno) {
		_, e := p.sides[i].call(unix.SYS_RENAMEAT2, p.dirs[i], from, p.dirs[i], to, flags)
		return "", e
	})
}

func (p *pair) link(from, to string, flags int) {
	p.t.Helper()
	p.both(fmt.Sprint("link ", from, " ", to, " ", flags), func(i int) (string, syscall.Errno) {
		_, e := p.sides[i].call(unix.SYS_LINKAT, p.dirs[i], from, p.dirs[i], to, flags)
		return "", e
	})
}

func (p *pair) symlink(target, path string) {
	p.t.Helper()
	p.both(fmt.Sprint("symlink ", target, " ", path), func(i int) (string, syscall.Errno) {
		_, e := p.sides[i].call(unix.SYS_SYMLINKAT, target, p.dirs[i], path)
		return "", e
	})
}

// TestDifferErrnos goes through the corners of each call.
func TestDifferErrnos(t *testing.T) {
	p := newPair(t)
	p.at("mkdir", unix.SYS_MKDIRAT, "dir", uint32(0o755))
	p.at("mkdir", unix.SYS_MKDIRAT, "dir/sub", uint32(0o1777))
	p.open("file", unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o4640)
	p.open("dir/in", unix.O_CREAT|unix.O_WRONLY, 0o777)
	p.symlink("file", "link")
	p.symlink("nowhere", "dangling")
	p.symlink("loop2", "loop")
	p.symlink("loop", "loop2")
	p.symlink("dir", "dirlink")
	p.symlink("dir/", "slashlink")
	p.symlink(".", "dot")
	p.at("mknod", unix.SYS_MKNODAT, "fifo", uint32(unix.S_IFIFO|0o600), 0)
	names := []string{
		"file", "dir", "link", "dangling", "loop", "dirlink", "slashlink", "none", "fifo",
		"file/", "dir/", "link/", "dangling/", "dirlink/", "none/", "file/x", "none/x", "dir/in", "dir/none",
		".", "..", "dir/.", "dir/..", "dir/sub", "dir/sub/..", "", "dirlink/in", "dot/dot/dot/file", "//", "dir//in",
		strings.Repeat("n", 255), strings.Repeat("n", 256), strings.Repeat("d/", 300) + "f",
	}
	for _, n := range names {
		if n == ".." || n == "//" {
			continue // leads out of the directory
		}
		p.stat(n, 0)
		p.stat(n, unix.AT_SYMLINK_NOFOLLOW)
		p.readlink(n)
		p.at("access", unix.SYS_FACCESSAT, n, uint32(unix.R_OK))
		p.at("access", unix.SYS_FACCESSAT, n, uint32(unix.X_OK))
	}
	for _, n := range names {
		if n == ".." || n == "//" || strings.HasPrefix(n, "fifo") {
			continue
		}
		for _, flags := range []int{
			unix.O_RDONLY, unix.O_WRONLY, unix.O_DIRECTORY, unix.O_NOFOLLOW, unix.O_PATH, unix.O_PATH | unix.O_NOFOLLOW,
			unix.O_DIRECTORY | unix.O_NOFOLLOW, unix.O_CREAT | unix.O_EXCL | unix.O_RDWR, unix.O_RDWR | unix.O_APPEND,
			unix.O_CREAT | unix.O_NOFOLLOW | unix.O_WRONLY, unix.O_DIRECTORY | unix.O_RDWR, unix.O_TRUNC | unix.O_WRONLY,
		} {
			f := p.open(n, flags, 0o600)
			if f >= 0 {
				p.fstat(f)
				p.read("read", f, unix.SYS_READ, 10)
				p.on("write", f, unix.SYS_WRITE, []byte("x"), 1)
				p.on("ftruncate", f, unix.SYS_FTRUNCATE, 3)
				p.on("lseek", f, unix.SYS_LSEEK, 1, unix.SEEK_CUR)
				p.on("fsync", f, unix.SYS_FSYNC)
				p.read("pread", f, unix.SYS_PREAD64, 4, 0)
				p.on("fchmod", f, unix.SYS_FCHMOD, uint32(0o755))
			}
		}
	}
	for _, n := range names {
		if n == ".." || n == "//" || n == "dir/.." || n == "dir/sub/.." {
			continue
		}
		p.at("mkdir", unix.SYS_MKDIRAT, n, uint32(0o700))
		p.symlink("t", n)
		p.link("file", n, 0)
		p.link(n, "made", 0)
		p.at("unlink", unix.SYS_UNLINKAT, "made", 0)
		p.rename("file", n, unix.RENAME_NOREPLACE)
		p.rename("dir", n, unix.RENAME_NOREPLACE)
		p.rename(n, n, 0)
		p.at("chmod", unix.SYS_FCHMODAT, n, uint32(0o711))
		p.at("unlink", unix.SYS_UNLINKAT, n, 0)
		p.at("rmdir", unix.SYS_UNLINKAT, n, unix.AT_REMOVEDIR)
		p.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
		p.open("dir/in", unix.O_CREAT|unix.O_RDWR, 0o644)
		p.at("mkdir", unix.SYS_MKDIRAT, "dir", uint32(0o755))
	}
}

// TestDifferRename tries each kind of name against each other.
func TestDifferRename(t *testing.T) {
	p := newPair(t)
	make := func() {
		p.at("mkdir", unix.SYS_MKDIRAT, "dir", uint32(0o755))
		p.at("mkdir", unix.SYS_MKDIRAT, "dir/sub", uint32(0o755))
		p.at("mkdir", unix.SYS_MKDIRAT, "empty", uint32(0o755))
		p.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
		p.open("dir/in", unix.O_CREAT|unix.O_RDWR, 0o644)
		p.link("file", "hard", 0)
		p.symlink("dir", "link")
	}
	names := []string{"dir", "dir/sub", "empty", "file", "hard", "dir/in", "link", "none", "none/x", "file/x",
		"dir/", "file/", "link/", "empty/", "none/", "dir/sub/new", ".", "dir/.."}
	for _, flags := range []int{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE} {
		for _, a := range names {
			for _, b := range names {
				make()
				p.rename(a, b, flags)
				for _, n := range names[:8] {
					p.stat(n, unix.AT_SYMLINK_NOFOLLOW)
				}
			}
		}
	}
}

// TestDifferRandom makes long random histories of all calls on a few names.
func TestDifferRandom(t *testing.T) {
	seeds := 30
	if testing.Short() {
		seeds = 4
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newPair(t)
			p.seed = seed
			r := rand.New(rand.NewPCG(seed, 1))
			for range 600 {
				p.randomStep(r)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// randomPath is a path of up to three of few names.
func randomPath(r *rand.Rand) string {
	names := []string{"a", "b", "c", "d", "link"}
	parts := []string{}
	for range 1 + r.IntN(3) {
		parts = append(parts, names[r.IntN(len(names))])
	}
	path := strings.Join(parts, "/")
	if r.IntN(20) == 0 {
		path += "/"
	}
	return path
}

func (p *pair) randomStep(r *rand.Rand) {
	a, b := randomPath(r), randomPath(r)
	switch r.IntN(14) {
	case 0, 1:
		p.at("mkdir", unix.SYS_MKDIRAT, a, uint32(r.IntN(0o2000)))
	case 2, 3:
		flags := []int{unix.O_RDWR, unix.O_WRONLY, unix.O_RDONLY}[r.IntN(3)]
		for _, f := range []int{unix.O_CREAT, unix.O_EXCL, unix.O_TRUNC, unix.O_APPEND, unix.O_NOFOLLOW} {
			if r.IntN(3) == 0 || f == unix.O_CREAT {
				flags |= f
			}
		}
		p.open(a, flags|unix.O_NONBLOCK, uint32(r.IntN(0o10000)))
	case 4:
		p.at("unlink", unix.SYS_UNLINKAT, a, 0)
	case 5:
		p.at("rmdir", unix.SYS_UNLINKAT, a, unix.AT_REMOVEDIR)
	case 6, 7:
		p.rename(a, b, r.IntN(3))
	case 8:
		p.link(a, b, r.IntN(2)*unix.AT_SYMLINK_FOLLOW)
	case 9:
		p.symlink([]string{b, "./" + b, "link"}[r.IntN(3)], a)
	case 10:
		p.at("chmod", unix.SYS_FCHMODAT, a, uint32(r.IntN(0o10000)))
	case 11:
		p.stat(a, r.IntN(2)*unix.AT_SYMLINK_NOFOLLOW)
		p.readlink(a)
	default:
		if len(p.fds) > 0 {
			p.randomData(r, r.IntN(len(p.fds)))
		}
	}
}

func (p *pair) randomData(r *rand.Rand, f int) {
	off, n := r.IntN(200_000), r.IntN(60_000)
	data := bytes.Repeat([]byte{byte(r.IntN(256)), byte(r.IntN(256)), byte(n)}, n/3+1)[:n]
	switch r.IntN(9) {
	case 0:
		p.on("write", f, unix.SYS_WRITE, data, n)
	case 1:
		p.on("pwrite", f, unix.SYS_PWRITE64, data, n, off)
	case 2:
		p.read("read", f, unix.SYS_READ, n)
	case 3:
		p.read("pread", f, unix.SYS_PREAD64, n, off)
	case 4:
		p.on("lseek", f, unix.SYS_LSEEK, off-100_000, r.IntN(3))
	case 5:
		p.on("ftruncate", f, unix.SYS_FTRUNCATE, off)
	case 6:
		p.fstat(f)
	case 7:
		p.on("punch", f, unix.SYS_FALLOCATE, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n+1)
	case 8:
		p.on("allocate", f, unix.SYS_FALLOCATE, 0, off, n+1)
	}
}
