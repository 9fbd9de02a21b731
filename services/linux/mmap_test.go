package linux

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hostMemory is the address space of this process. Reserved memory is a memfd, so that
// mappings can show it. The host does not tell which pages were stored to: all were that
// could be. An access beyond a limit is a fault here, too, if another one.
type hostMemory struct {
	t  testing.TB
	mu sync.Mutex

	homes map[uintptr]hostHome    // by address
	views map[uintptr]hostMapping // pages that show something, by address
}

type hostHome struct{ fd, n int }

type hostMapping struct{ prot int }

func raw(nr uintptr, a ...uintptr) (uintptr, error) {
	var w [6]uintptr
	copy(w[:], a)
	r, _, e := syscall.Syscall6(nr, w[0], w[1], w[2], w[3], w[4], w[5])
	if e != 0 {
		return 0, e
	}
	return r, nil
}

func (h *hostMemory) Reserve(n int) ([]byte, error) {
	fd, err := unix.MemfdCreate("home", unix.MFD_CLOEXEC)
	if err == nil {
		err = unix.Ftruncate(fd, int64(n))
	}
	if err != nil {
		return nil, err
	}
	at, err := raw(unix.SYS_MMAP, 0, uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, uintptr(fd), 0)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.homes[at] = hostHome{fd, n}
	return unsafe.Slice((*byte)(pointer(&at)), n), nil
}

func (h *hostMemory) Discard(p []byte) error {
	clear(p)
	return nil
}

func (h *hostMemory) MapFile(m *Mapping) (uintptr, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	flags, fd, off := uintptr(unix.MAP_PRIVATE|unix.MAP_ANONYMOUS), -1, uintptr(0)
	for at, home := range h.homes {
		if m.Home >= at && m.Home < at+uintptr(home.n) {
			flags, fd, off = unix.MAP_SHARED, home.fd, m.Home-at
		}
	}
	if m.Fixed {
		flags |= unix.MAP_FIXED
	}
	if m.NoReplace {
		flags = flags&^unix.MAP_FIXED | unix.MAP_FIXED_NOREPLACE
	}
	at, err := raw(unix.SYS_MMAP, m.Hint, uintptr(m.Size), 0, flags, uintptr(fd), off)
	if err != nil {
		return 0, err
	}
	if fd >= 0 {
		for p := at; p < at+uintptr(m.Size); p += pageSize {
			h.views[p] = hostMapping{m.Prot}
		}
		h.limit(at, uintptr(m.Size), at+uintptr(m.Limit))
	}
	return at, nil
}

func (h *hostMemory) SetLimit(address, n, limit uintptr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.limit(address, n, limit)
}

func (h *hostMemory) limit(address, n, limit uintptr) {
	for p := address; p < address+n; p += pageSize {
		prot := 0
		if p < limit {
			prot = h.views[p].prot
		}
		if _, err := raw(unix.SYS_MPROTECT, p, pageSize, uintptr(prot)); err != nil {
			h.t.Errorf("mprotect: %v", err)
		}
	}
}

func (h *hostMemory) TakeDirty(address uintptr, n int) (bits uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range n {
		if h.views[address+uintptr(i)*pageSize].prot&unix.PROT_WRITE != 0 {
			bits |= 1 << i
		}
	}
	return bits
}

func (h *hostMemory) MapAnonymous(a *[6]uintptr) (uintptr, error) {
	return raw(unix.SYS_MMAP, a[0], a[1], a[2], a[3], a[4], 0)
}

func (h *hostMemory) Unmap(address, n uintptr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if home, ok := h.homes[address]; ok {
		if int(n) != home.n {
			h.t.Errorf("%d bytes are released of %d", n, home.n)
		}
		delete(h.homes, address)
		if err := unix.Close(home.fd); err != nil {
			h.t.Error(err)
		}
	}
	for p := address; p < address+n; p += pageSize {
		delete(h.views, p)
	}
	_, err := raw(unix.SYS_MUNMAP, address, n)
	return err
}

func (h *hostMemory) Protect(address, n uintptr, prot int) error {
	_, err := raw(unix.SYS_MPROTECT, address, n, uintptr(prot))
	return err
}

// Ranges are two pages of an image, and the mappings that show something.
func (h *hostMemory) Ranges() []Range {
	list := []Range{{Start: 16 << 20, End: 16<<20 + 2*pageSize, Prot: unix.PROT_READ | unix.PROT_EXEC, Image: true}}
	h.mu.Lock()
	defer h.mu.Unlock()
	for at, v := range h.views {
		list = append(list, Range{Start: at, End: at + pageSize, Prot: v.prot})
	}
	return list
}

// newMappedPair is newPair with memory; when the test ends, none may be lost.
func newMappedPair(t *testing.T) *pair {
	t.Helper()
	h := &hostMemory{t: t, homes: map[uintptr]hostHome{}, views: map[uintptr]hostMapping{}}
	p := newPair(t, func(c *Config) { c.Memory = h })
	t.Cleanup(func() {
		if len(h.homes) > 0 || len(h.views) > 0 {
			t.Errorf("%d homes and %d pages of mappings remain", len(h.homes), len(h.views))
		}
	})
	return p
}

// mapped is a mapping on both sides.
type mapped struct {
	p   *pair
	at  [2]uintptr
	f   int // the file's number
	n   int
	off int
}

// size is that of the file, on the host.
func (m *mapped) size() int {
	var st unix.Stat_t
	if err := unix.Fstat(m.p.fds[m.f][0], &st); err != nil {
		m.p.t.Fatal(err)
	}
	return int(st.Size)
}

// mmap maps a file on both sides; nil if that failed.
func (p *pair) mmap(f, n, prot, flags, off int) *mapped {
	p.t.Helper()
	m := &mapped{p: p, f: f, n: n, off: off}
	ok := p.both(fmt.Sprintf("mmap %d %d prot %d flags %#x at %d", f, n, prot, flags, off), func(i int) (string, syscall.Errno) {
		at, e := p.sides[i].call(unix.SYS_MMAP, 0, n, prot, flags, p.fds[f][i], off)
		m.at[i] = uintptr(at)
		return "mapped", e
	})
	if !ok {
		return nil
	}
	return m
}

// on makes a call about a part of the mapping.
func (m *mapped) on(name string, nr uintptr, off, n int, more ...argument) {
	m.p.t.Helper()
	m.p.both(fmt.Sprint(name, " ", off, " ", n)+shown(more), func(i int) (string, syscall.Errno) {
		_, e := m.p.sides[i].call(nr, append([]argument{m.at[i] + uintptr(off), n}, more...)...)
		return "", e
	})
}

// access loads from the mapping or, with data, stores; what faults shows as a fault.
func (m *mapped) access(off, n int, data []byte) {
	m.p.t.Helper()
	m.p.both(fmt.Sprint("access ", off, " ", n, " store ", data != nil), func(i int) (text string, e syscall.Errno) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if recover() != nil {
				text = "fault"
			}
		}()
		at := m.at[i] + uintptr(off)
		memory := unsafe.Slice((*byte)(pointer(&at)), n)
		if data != nil {
			copy(memory, data)
			return "", 0
		}
		return digest(bytes.Clone(memory)), 0
	})
}

func TestDifferMmapErrnos(t *testing.T) {
	p := newMappedPair(t)
	p.at("mkdir", unix.SYS_MKDIRAT, "dir", uint32(0o755))
	files := []int{
		p.open("file", unix.O_CREAT|unix.O_RDWR, 0o644), p.open("file", unix.O_RDONLY, 0),
		p.open("file", unix.O_WRONLY, 0), p.open("file", unix.O_PATH, 0), p.open("dir", unix.O_RDONLY, 0),
		p.open("file", unix.O_RDWR|unix.O_APPEND, 0),
	}
	p.on("write", files[0], unix.SYS_WRITE, make([]byte, 5000), 5000)
	for _, f := range files {
		for _, flags := range []int{0, unix.MAP_SHARED, unix.MAP_PRIVATE, unix.MAP_SHARED_VALIDATE, 15} {
			for _, prot := range []int{0, unix.PROT_READ, unix.PROT_WRITE, unix.PROT_READ | unix.PROT_WRITE} {
				for _, n := range []int{0, 1, 8192, 1 << 62, -1} {
					for _, off := range []int{0, 4096, 1, 1 << 20, -4096} {
						if m := p.mmap(f, n, prot, flags, off); m != nil {
							m.on("munmap", unix.SYS_MUNMAP, 0, n)
						}
					}
				}
			}
		}
	}
	m := p.mmap(files[0], 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, 0)
	for flags := range 8 {
		m.on("msync", unix.SYS_MSYNC, 0, 8192, flags)
	}
	m.on("msync", unix.SYS_MSYNC, 1, 100, unix.MS_SYNC)
	m.on("munmap", unix.SYS_MUNMAP, 1, 100)
	m.on("munmap", unix.SYS_MUNMAP, 0, 0)
	m.on("munmap", unix.SYS_MUNMAP, 0, 8192)
}

// TestDifferMmap stores and loads by mappings of two files, and by every other way, at
// random.
func TestDifferMmap(t *testing.T) {
	seeds := 20
	if testing.Short() {
		seeds = 4
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newMappedPair(t)
			r := rand.New(rand.NewPCG(seed, 7))
			files := []int{p.open("a", unix.O_CREAT|unix.O_RDWR, 0o644), p.open("b", unix.O_CREAT|unix.O_RDWR, 0o644)}
			var maps []*mapped
			for range 500 {
				maps = p.mmapStep(r, files, maps)
				if t.Failed() {
					break
				}
			}
			for _, m := range maps {
				m.on("munmap", unix.SYS_MUNMAP, 0, m.n)
			}
			for _, f := range files {
				p.read("pread", f, unix.SYS_PREAD64, 400_000, 0)
			}
		})
	}
}

// mmapSpan is how far into a file mappings reach.
const mmapSpan = 40 * pageSize

func (p *pair) mmapStep(r *rand.Rand, files []int, maps []*mapped) []*mapped {
	f := files[r.IntN(len(files))]
	off, n := r.IntN(mmapSpan), r.IntN(3*pageSize)
	data := bytes.Repeat([]byte{byte(1 + r.IntN(255))}, n+1)
	switch r.IntN(13) {
	case 12:
		p.copyRange(files[r.IntN(2)], f, off, r.IntN(mmapSpan), r.IntN(mmapSpan))
	case 0:
		if len(maps) < 6 {
			off = off / pageSize * pageSize
			m := p.mmap(f, 1+r.IntN(mmapSpan-off), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, off)
			return append(maps, m)
		}
	case 1:
		if len(maps) > 3 {
			maps[0].on("munmap", unix.SYS_MUNMAP, 0, maps[0].n)
			return maps[1:]
		}
	case 2, 3, 4, 5:
		if len(maps) > 0 {
			m := maps[r.IntN(len(maps))]
			at := r.IntN(m.n)
			length := min(1+r.IntN(2*pageSize), m.n-at)
			if r.IntN(2) == 0 {
				data = nil
			} else {
				length = min(length, pageSize-at%pageSize) // what faults stores nothing
				// What is stored behind the end, in the last page, is for no file system
				// to keep; the host's may, until the file grows.
				if rest := m.size() - m.off - at; rest < length && rest+at%pageSize > 0 {
					length = rest
				}
			}
			if length > 0 {
				m.access(at, length, data)
			}
		}
	case 6:
		if len(maps) > 0 {
			m := maps[r.IntN(len(maps))]
			m.on("msync", unix.SYS_MSYNC, 0, m.n, []int{unix.MS_SYNC, unix.MS_ASYNC}[r.IntN(2)])
		}
	case 7:
		p.on("pwrite", f, unix.SYS_PWRITE64, data, n, off)
	case 8, 9:
		p.read("pread", f, unix.SYS_PREAD64, n, off)
	case 10:
		p.on("ftruncate", f, unix.SYS_FTRUNCATE, off)
	case 11:
		p.on("punch", f, unix.SYS_FALLOCATE, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n+1)
	}
	return maps
}

// TestDifferMmapPrivate: what is stored into a private mapping is nobody else's.
func TestDifferMmapPrivate(t *testing.T) {
	p := newMappedPair(t)
	f := p.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
	p.on("write", f, unix.SYS_WRITE, bytes.Repeat([]byte("old"), 3000), 9000)
	m := p.mmap(f, 5*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE, pageSize)
	m.access(0, 2*pageSize, nil)
	m.access(100, 3, []byte("new"))
	m.access(0, 200, nil)
	p.read("pread", f, unix.SYS_PREAD64, 9000, 0)
	m.access(3*pageSize, 10, nil)
	m.on("munmap", unix.SYS_MUNMAP, 0, 5*pageSize)
	if m := p.mmap(f, pageSize, unix.PROT_READ, unix.MAP_PRIVATE, 0); m != nil {
		m.access(0, 10, nil)
		m.access(0, 10, []byte("x"))
		m.on("munmap", unix.SYS_MUNMAP, 0, pageSize)
	}
}

// TestDifferMmapLives: a mapping outlives its descriptor and the name of its file, and
// a part of it can be unmapped or replaced.
func TestDifferMmapLives(t *testing.T) {
	p := newMappedPair(t)
	f := p.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
	other := p.open("file", unix.O_RDWR, 0)
	p.on("ftruncate", f, unix.SYS_FTRUNCATE, 10*pageSize)
	m := p.mmap(f, 10*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, 0)
	m.access(pageSize, 5, []byte("first"))
	m.on("munmap", unix.SYS_MUNMAP, 4*pageSize, 2*pageSize)
	m.access(9*pageSize, 4, []byte("last"))
	m.on("mmap over it", unix.SYS_MMAP, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED, -1, 0)
	m.access(0, 9, []byte("anonymous"))
	p.read("pread", other, unix.SYS_PREAD64, 10*pageSize, 0)
	p.at("unlink", unix.SYS_UNLINKAT, "file", 0)
	m.on("msync", unix.SYS_MSYNC, pageSize, pageSize, unix.MS_SYNC)
	m.on("munmap", unix.SYS_MUNMAP, 0, 10*pageSize)
	p.read("pread", other, unix.SYS_PREAD64, 10*pageSize, 0)
}

// TestMmapClone: a clone has what mappings of its source have stored, and mappings of the
// clone show it.
func TestMmapClone(t *testing.T) {
	h := &hostMemory{t: t, homes: map[uintptr]hostHome{}, views: map[uintptr]hostMapping{}}
	s := newSystem(t, func(c *Config) { c.Memory = h })
	var maps [2][]byte
	var fds [2]int
	for i, name := range []string{"/tmp/from", "/tmp/to"} {
		fds[i] = s.open(name, unix.O_CREAT|unix.O_RDWR, 0o644)
		s.must(unix.SYS_FTRUNCATE, fds[i], 3*pageSize)
		at := uintptr(s.must(unix.SYS_MMAP, 0, 4*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, fds[i], 0))
		maps[i] = unsafe.Slice((*byte)(pointer(&at)), 3*pageSize)
		defer s.must(unix.SYS_MUNMAP, at, 4*pageSize)
	}
	maps[0][pageSize], maps[1][pageSize], maps[1][0] = 'f', 't', 't'
	s.must(unix.SYS_IOCTL, fds[1], unix.FICLONE, fds[0])
	if maps[1][pageSize] != 'f' || maps[1][0] != 0 || s.readAll("/tmp/to") != s.readAll("/tmp/from") {
		t.Errorf("the clone has %q and %q", maps[1][pageSize], maps[1][0])
	}
	maps[1][pageSize] = 'c'
	if maps[0][pageSize] != 'f' || s.readAll("/tmp/from")[pageSize] != 'f' {
		t.Error("the source has changed with its clone")
	}
}
