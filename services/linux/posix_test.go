package linux

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tests of this file go through what POSIX says of each call, one table for each, and
// compare with the host's kernel.

// posixTree is what the paths of these tests lead to.
func posixTree(p *pair) {
	p.at("mkdir", unix.SYS_MKDIRAT, "dir", uint32(0o755))
	p.at("mkdir", unix.SYS_MKDIRAT, "dir/full", uint32(0o755))
	p.at("mkdir", unix.SYS_MKDIRAT, "dir/full/sub", uint32(0o755))
	p.at("mkdir", unix.SYS_MKDIRAT, "empty", uint32(0o755))
	f := p.open("file", unix.O_CREAT|unix.O_WRONLY, 0o644)
	p.on("write", f, unix.SYS_WRITE, []byte("0123456789"), 10)
	p.symlink("file", "link")
	p.symlink("dir", "dirlink")
	p.symlink("nowhere", "dangling")
	p.symlink("loop2", "loop")
	p.symlink("loop", "loop2")
	p.at("mknod", unix.SYS_MKNODAT, "fifo", uint32(unix.S_IFIFO|0o600), 0)
}

// posixPaths are good ones, and one for each way in which a path can be wrong.
var posixPaths = []string{
	"file", "dir", "dir/full", "empty", "link", "dirlink", "dangling", "loop", "fifo", ".", "dir/.", "empty/.",
	"none", "none/x", "file/x", "link/x", "dangling/x", "loop/x", "fifo/x", "dirlink/full",
	"file/", "dir/", "empty/", "link/", "dirlink/", "dangling/", "none/", "",
	strings.Repeat("n", 255), strings.Repeat("n", 256), "dir/" + strings.Repeat("n", 256),
	strings.Repeat("n", 256) + "/x", strings.Repeat("./", 2045) + "file", strings.Repeat("./", 2046) + "file", strings.Repeat("./", 2100) + "file",
}

// kernelPath makes paths of a report short.
func kernelPath(path string) string {
	if len(path) > 40 {
		return fmt.Sprintf("%.10s...(%d)", path, len(path))
	}
	return path
}

// eachPath makes one call for each path, in a fresh tree for those that change it.
func eachPath(t *testing.T, name string, fresh bool, call func(p *pair, path string) (nr uintptr, more []argument)) {
	p := newPair(t)
	posixTree(p)
	for _, path := range posixPaths {
		if fresh {
			p = newPair(t)
			posixTree(p)
		}
		nr, more := call(p, path)
		p.both(name+" "+kernelPath(path), func(i int) (string, syscall.Errno) {
			n, e := p.sides[i].call(nr, append([]argument{p.dirs[i], path}, more...)...)
			return fmt.Sprint(n), e
		})
		for _, left := range []string{"file", "dir", "empty", "link", "dangling", "none", "nowhere"} {
			p.stat(left, unix.AT_SYMLINK_NOFOLLOW)
		}
	}
}

func TestDifferMkdir(t *testing.T) {
	eachPath(t, "mkdir", true, func(*pair, string) (uintptr, []argument) {
		return unix.SYS_MKDIRAT, []argument{uint32(0o1777)}
	})
}

func TestDifferRmdir(t *testing.T) {
	eachPath(t, "rmdir", true, func(*pair, string) (uintptr, []argument) {
		return unix.SYS_UNLINKAT, []argument{unix.AT_REMOVEDIR}
	})
}

func TestDifferUnlink(t *testing.T) {
	eachPath(t, "unlink", true, func(*pair, string) (uintptr, []argument) { return unix.SYS_UNLINKAT, []argument{0} })
}

func TestDifferMknod(t *testing.T) {
	for _, mode := range []uint32{unix.S_IFREG | 0o666, unix.S_IFIFO | 0o600, unix.S_IFSOCK | 0o600, unix.S_IFDIR | 0o700, unix.S_IFLNK | 0o777, 0o600} {
		eachPath(t, fmt.Sprintf("mknod %#o", mode), true, func(*pair, string) (uintptr, []argument) {
			return unix.SYS_MKNODAT, []argument{mode, 0}
		})
	}
}

func TestDifferChmod(t *testing.T) {
	for _, mode := range []uint32{0, 0o7777, 0o4755, 0o2711} {
		eachPath(t, fmt.Sprintf("chmod %#o", mode), false, func(*pair, string) (uintptr, []argument) {
			return unix.SYS_FCHMODAT, []argument{mode}
		})
	}
}

// Of chown, -1 leaves an id as it is, and bits that set ids go.
func TestDifferChown(t *testing.T) {
	for _, owner := range [][2]int{{1, 2}, {-1, 3}, {4, -1}, {-1, -1}} {
		for _, flags := range []int{0, unix.AT_SYMLINK_NOFOLLOW, 0x8000} {
			eachPath(t, fmt.Sprint("chown ", owner, flags), false, func(p *pair, path string) (uintptr, []argument) {
				p.at("chmod", unix.SYS_FCHMODAT, "file", uint32(0o6755))
				return unix.SYS_FCHOWNAT, []argument{uint32(owner[0]), uint32(owner[1]), flags}
			})
		}
	}
}

// TestDifferTruncate has what goes by path; differ_test.go goes by descriptors.
func TestDifferTruncate(t *testing.T) {
	p := newPair(t)
	posixTree(p)
	for _, size := range []int{0, 5, 10, 100_000, -1, -1 << 62} {
		for _, path := range posixPaths {
			p.both(fmt.Sprint("truncate ", kernelPath(path), " ", size), func(i int) (string, syscall.Errno) {
				if e := p.chdir(i); e != 0 {
					return "chdir", e
				}
				n, e := p.sides[i].call(unix.SYS_TRUNCATE, path, size)
				return fmt.Sprint(n), e
			})
			p.stat("file", 0)
		}
	}
	for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_PATH} {
		f := p.open("file", flags, 0)
		for _, size := range []int{0, 7, -1} {
			p.on("ftruncate", f, unix.SYS_FTRUNCATE, size)
			p.fstat(f)
		}
	}
	p.on("ftruncate", p.open("dir", unix.O_RDONLY, 0), unix.SYS_FTRUNCATE, 0)
}

// chdir makes the pair's directory that of the process, on the host for this test only.
func (p *pair) chdir(i int) syscall.Errno {
	_, e := p.sides[i].call(unix.SYS_FCHDIR, p.dirs[i])
	return e
}

// Times are set to the nanosecond, to now, or not at all.
func TestDifferUtimensat(t *testing.T) {
	const now, omit = 1<<30 - 1, 1<<30 - 2
	for _, times := range [][2]unix.Timespec{
		{{Sec: 1, Nsec: 2}, {Sec: 1 << 30, Nsec: 999_999_999}},
		{{Sec: 5, Nsec: omit}, {Sec: 7, Nsec: 8}},
		{{Sec: 9, Nsec: 10}, {Sec: 5, Nsec: omit}},
		{{Nsec: omit}, {Nsec: omit}},
		{{Sec: 1, Nsec: 1_000_000_000}, {Sec: 1}},
		{{Sec: 1}, {Sec: 1, Nsec: -1}},
		{{Nsec: now}, {Sec: 11}},
	} {
		p := newPair(t)
		posixTree(p)
		for _, path := range posixPaths {
			for _, flags := range []int{0, unix.AT_SYMLINK_NOFOLLOW, 0x8000} {
				p.both(fmt.Sprint("utimensat ", kernelPath(path), " ", times, flags), func(i int) (string, syscall.Errno) {
					given := times
					n, e := p.sides[i].call(unix.SYS_UTIMENSAT, p.dirs[i], path, unsafe.Pointer(&given), flags)
					if e != 0 {
						return "", e
					}
					st := new(unix.Stat_t)
					_, e = p.sides[i].call(unix.SYS_NEWFSTATAT, p.dirs[i], path, unsafe.Pointer(st), flags)
					accessed, modified := st.Atim, st.Mtim
					for j, shown := range []*unix.Timespec{&accessed, &modified} {
						if times[j].Nsec == now || times[j].Nsec == omit {
							*shown = unix.Timespec{}
						}
					}
					return fmt.Sprint(n, accessed, modified), e
				})
			}
		}
	}
}

func TestDifferSymlinkTargets(t *testing.T) {
	p := newPair(t)
	posixTree(p)
	for i, target := range []string{"", "x", strings.Repeat("t", 4095), strings.Repeat("t", 4096), strings.Repeat("t/", 2000)} {
		p.symlink(target, fmt.Sprint("new", i))
		p.readlink(fmt.Sprint("new", i))
		p.stat(fmt.Sprint("new", i), unix.AT_SYMLINK_NOFOLLOW)
		p.stat(fmt.Sprint("new", i), 0)
	}
	for _, path := range posixPaths {
		p.symlink("target", path)
	}
}

// A chain of links may be 40 long.
func TestDifferLinkChain(t *testing.T) {
	p := newPair(t)
	posixTree(p)
	last := "file"
	for i := range 45 {
		next := fmt.Sprint("chain", i)
		p.symlink(last, next)
		p.stat(next, 0)
		p.open(next, unix.O_RDONLY, 0)
		last = next
	}
}

// What a file without a name can do.
func TestDifferUnlinked(t *testing.T) {
	p := newPair(t)
	posixTree(p)
	f := p.open("file", unix.O_RDWR, 0)
	p.link("file", "other", 0)
	p.fstat(f)
	p.at("unlink", unix.SYS_UNLINKAT, "other", 0)
	p.at("unlink", unix.SYS_UNLINKAT, "file", 0)
	p.fstat(f)
	p.on("pwrite", f, unix.SYS_PWRITE64, []byte("more"), 4, 100_000)
	p.read("pread", f, unix.SYS_PREAD64, 200_000, 0)
	p.on("fchmod", f, unix.SYS_FCHMOD, uint32(0o600))
	p.on("fsync", f, unix.SYS_FSYNC)
	p.fstat(f)
	d := p.open("empty", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	p.at("rmdir", unix.SYS_UNLINKAT, "empty", unix.AT_REMOVEDIR)
	p.fstat(d)
	p.on("openat", d, unix.SYS_OPENAT, "x", unix.O_CREAT|unix.O_WRONLY, uint32(0o600))
	p.on("mkdirat", d, unix.SYS_MKDIRAT, "x", uint32(0o700))
	p.read("getdents", d, unix.SYS_GETDENTS64, 1000)
	p.read("getdents", f, unix.SYS_GETDENTS64, 1000)
}

// Offsets and lengths that make no sense.
func TestDifferRanges(t *testing.T) {
	p := newPair(t)
	posixTree(p)
	for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR} {
		f := p.open("file", flags, 0)
		for _, at := range []int{-1, 0, 5, 10, 4096, 1 << 20, 1<<63 - 1, -1 << 63} {
			if at < 1<<62 {
				p.read("pread", f, unix.SYS_PREAD64, 3, at)
			}
			for _, whence := range []int{unix.SEEK_SET, unix.SEEK_CUR, unix.SEEK_END, unix.SEEK_DATA, unix.SEEK_HOLE, 5, -1} {
				if at == 1<<63-1 && whence != unix.SEEK_SET {
					continue // the largest size differs
				}
				p.on("lseek", f, unix.SYS_LSEEK, at, whence)
			}
			if at < 1<<30 {
				p.on("pwrite", f, unix.SYS_PWRITE64, []byte("abc"), 3, at)
			}
			for _, n := range []int{0, -1} {
				p.on("fallocate", f, unix.SYS_FALLOCATE, 0, at, n)
				p.on("punch", f, unix.SYS_FALLOCATE, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, n)
				p.on("zero", f, unix.SYS_FALLOCATE, unix.FALLOC_FL_ZERO_RANGE, at, n)
				p.on("zero", f, unix.SYS_FALLOCATE, unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, at, n)
			}
			p.on("punch", f, unix.SYS_FALLOCATE, unix.FALLOC_FL_PUNCH_HOLE, at, 10)
		}
	}
	d := p.open("dir", unix.O_RDONLY, 0)
	p.read("read", d, unix.SYS_READ, 3)
	p.read("pread", d, unix.SYS_PREAD64, 3, 0)
	p.on("write", d, unix.SYS_WRITE, []byte("abc"), 3)
}

// zero makes a range of a file zeros. A host whose file system refuses that, as tmpfs
// does, punches a hole, and makes the file longer if that was asked.
func (p *pair) zero(f, mode, off, n int) {
	p.t.Helper()
	p.both(fmt.Sprint("zero ", f, mode, off, n), func(i int) (string, syscall.Errno) {
		allocate := func(mode int) syscall.Errno {
			_, e := p.sides[i].call(unix.SYS_FALLOCATE, p.fds[f][i], mode, off, n)
			return e
		}
		e := allocate(unix.FALLOC_FL_ZERO_RANGE | mode)
		if i == 0 && e == syscall.EOPNOTSUPP {
			e = allocate(unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE)
			if e == 0 && mode == 0 {
				e = allocate(0)
			}
		}
		return "", e
	})
}

// Ranges of zeros within a file, over its end and beyond it, on pages and between them,
// with the size kept or not.
func TestDifferZeroRange(t *testing.T) {
	const size = 20_000
	p := newPair(t)
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(1 + i%255)
	}
	for _, mode := range []int{0, unix.FALLOC_FL_KEEP_SIZE} {
		for _, at := range []int{0, 1, 4095, 4096, 8192, 10_001, size - 1, size, size + 1, 100_000} {
			for _, n := range []int{1, 4095, 4096, 4097, 9999, size, 200_000} {
				f := p.open(fmt.Sprint(mode, at, n), unix.O_CREAT|unix.O_RDWR, 0o644)
				p.on("write", f, unix.SYS_WRITE, content, size)
				p.zero(f, mode, at, n)
				p.fstat(f)
				p.read("pread", f, unix.SYS_PREAD64, 400_000, 0)
				p.on("append", f, unix.SYS_PWRITE64, []byte("more"), 4, at+n)
				p.read("pread", f, unix.SYS_PREAD64, 400_000, 0)
			}
		}
	}
}
