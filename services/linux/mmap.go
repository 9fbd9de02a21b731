package linux

import (
	"errors"
	"math"
	"syscall"
	"unsafe"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

// Mapping is a mapping of a part of a file to be made.
type Mapping struct {
	Hint      uintptr // address that is wished for, 0: none
	Fixed     bool    // there and nowhere else, in place of what is there
	NoReplace bool    // likewise, but EEXIST if there is something
	Prot      int     // PROT_READ, PROT_WRITE
	MayWrite  bool    // mprotect may make it writable
	Home      uintptr // address of the memory that is shown, in what Reserve has given
	Size      int     // bytes, whole pages
	Limit     int     // bytes from Home on that the file has: beyond is SIGBUS
}

// Memory is the address space, as far as mappings of files need it. The kernel package
// satisfies it on the metal, shared memory of the host in the tests. Addresses and sizes
// are of whole pages. Its methods may be called from any goroutine and do not block.
type Memory interface {
	// Reserve returns n bytes of zeros, which take memory as they are touched. Unmap
	// takes them back, when no mapping shows them.
	Reserve(n int) ([]byte, error)

	// Discard makes pages of reserved memory zeros again, and frees them.
	Discard(p []byte) error

	// MapFile makes a mapping and returns its address; SetLimit says up to which address
	// the file has what mappings in a range show.
	MapFile(m *Mapping) (uintptr, error)
	SetLimit(address, n, limit uintptr)

	// TakeDirty tells, a bit for each, which of n pages, 64 at most, were stored to since
	// it was last asked.
	TakeDirty(address uintptr, n int) uint64

	// MapAnonymous is mmap(2) without a file; Unmap and Protect are munmap(2) and
	// mprotect(2). None of them comes back to this package.
	MapAnonymous(args *[6]uintptr) (uintptr, error)
	Unmap(address, n uintptr) error
	Protect(address, n uintptr, prot int) error

	// Ranges lists what is mapped, by address.
	Ranges() []Range
}

var mapCalls = []call{
	{unix.SYS_MMAP, (*System).mmap},
	{unix.SYS_MUNMAP, (*System).munmap},
	{unix.SYS_MSYNC, (*System).msync},
}

const fixedFlags = unix.MAP_FIXED | unix.MAP_FIXED_NOREPLACE

// mmap serves mappings of files, and others where such have to go first.
func (s *System) mmap(a *[6]uintptr) (int, syscall.Errno) {
	if s.memory == nil {
		return 0, syscall.ENODEV
	}
	s.mappings.mu.Lock()
	defer s.mappings.mu.Unlock()
	if a[3]&unix.MAP_ANONYMOUS != 0 {
		if a[3]&unix.MAP_FIXED != 0 && a[3]&unix.MAP_FIXED_NOREPLACE == 0 {
			s.unmapViews(a[0], roundPage(a[1]))
		}
		at, err := s.memory.MapAnonymous(a)
		return result(int(at), err)
	}
	if a[5]%pageSize != 0 {
		return 0, syscall.EINVAL
	}
	f, e := s.usableFile(a[4])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	r := mapRequest{hint: a[0], length: a[1], size: roundPage(a[1]), prot: int(a[2]), flags: a[3], off: int64(a[5])}
	if e := r.check(f); e != 0 {
		return 0, e
	}
	at, err := s.mapFile(f, &r)
	return result(int(at), err)
}

func roundPage(n uintptr) uintptr { return (n + pageSize - 1) &^ (pageSize - 1) }

// mapRequest are the arguments of mmap.
type mapRequest struct {
	hint, length uintptr
	size         uintptr // length, whole pages
	prot         int
	flags        uintptr
	off          int64
}

// maxAddress is where the addresses of programs end.
const maxAddress = 1 << 47

func (r *mapRequest) shared() bool {
	return r.flags&unix.MAP_TYPE == unix.MAP_SHARED || r.flags&unix.MAP_TYPE == unix.MAP_SHARED_VALIDATE
}

func (r *mapRequest) fixed() bool { return r.flags&fixedFlags != 0 }

// check judges the arguments: EINVAL, ENOMEM, EOVERFLOW, EACCES as Linux has them, and
// EPERM for PROT_EXEC, as on a file system that is mounted with noexec.
func (r *mapRequest) check(f *openFile) syscall.Errno {
	kind := r.flags & unix.MAP_TYPE
	switch {
	case r.length == 0:
		return syscall.EINVAL
	case r.fixed() && r.hint%pageSize != 0:
		return syscall.EINVAL
	case r.size == 0 || r.size > maxAddress:
		return syscall.ENOMEM
	case r.off < 0 || r.off > math.MaxInt64-int64(r.size):
		return syscall.EOVERFLOW
	case kind != unix.MAP_SHARED && kind != unix.MAP_PRIVATE && kind != unix.MAP_SHARED_VALIDATE:
		return syscall.EINVAL
	case !f.readable(), r.shared() && r.prot&unix.PROT_WRITE != 0 && !f.writable():
		return syscall.EACCES
	case r.prot&unix.PROT_EXEC != 0:
		return syscall.EPERM
	}
	return 0
}

// mapFile makes a mapping. mappings.mu is held.
func (s *System) mapFile(f *openFile, r *mapRequest) (uintptr, error) {
	d, onDisk := f.description.(*diskFile)
	sized, ok := f.description.(Seeker)
	if f.reader == nil || !ok {
		return 0, syscall.ENODEV
	}
	switch {
	case !onDisk && f.writable(), !onDisk && !readOnly(f.description): // a device, /proc
		return 0, syscall.ENODEV
	case r.shared() && onDisk:
		return s.mapShared(d.inode, f.writable(), r)
	}
	size, err := sized.Size()
	if err != nil {
		return 0, err
	}
	return s.mapCopy(f.reader, size, r)
}

// readOnly tells whether what is open can never change, so that a copy of it is as good.
func readOnly(d Description) bool {
	_, past := d.(*pastFile)
	return past
}

// makeRoom lets mappings of files go that are about to be replaced. mappings.mu is held.
func (s *System) makeRoom(r *mapRequest) {
	if r.flags&unix.MAP_FIXED != 0 && r.flags&unix.MAP_FIXED_NOREPLACE == 0 {
		s.unmapViews(r.hint, r.size)
	}
}

// mapping is what the memory is asked for.
func (r *mapRequest) mapping() Mapping {
	return Mapping{
		Hint: r.hint, Fixed: r.fixed(), NoReplace: r.flags&unix.MAP_FIXED_NOREPLACE != 0,
		Prot: r.prot & (unix.PROT_READ | unix.PROT_WRITE), Size: int(r.size),
	}
}

// mapCopy makes a private mapping: a copy of what the file has now. What the file gets
// later is not seen, as POSIX allows. mappings.mu is held.
func (s *System) mapCopy(from PositionReader, size int64, r *mapRequest) (uintptr, error) {
	content := min(max(size-r.off, 0), int64(r.size))
	if !s.room(content) {
		return 0, syscall.ENOMEM
	}
	s.makeRoom(r)
	m := r.mapping()
	m.Home, m.MayWrite = pageSize, true // nothing is ever shown: the limit is 0
	at, err := s.memory.MapFile(&m)
	if err != nil || content == 0 {
		return at, err
	}
	n := roundPage(uintptr(content))
	err = s.copyInto(at, n, from, r)
	if err == nil {
		err = s.memory.Protect(at, n, m.Prot)
	}
	if err != nil {
		return 0, errors.Join(err, s.memory.Unmap(at, r.size))
	}
	return at, nil
}

// copyInto puts memory with the file's contents in place of the first n bytes of a mapping.
func (s *System) copyInto(at, n uintptr, from PositionReader, r *mapRequest) error {
	_, err := s.memory.MapAnonymous(&[6]uintptr{at, n, unix.PROT_READ | unix.PROT_WRITE,
		unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED, ^uintptr(0)})
	if err != nil {
		return err
	}
	p := unsafe.Slice((*byte)(pointer(&at)), n)
	for done := 0; done < len(p); {
		m, err := from.ReadAt(p[done:min(len(p), done+copyBuffer)], r.off+int64(done))
		if m == 0 || err != nil {
			return err
		}
		done += m
	}
	return nil
}

// room tells whether so many bytes more may be used for contents of mapped files: half of
// what is free, since the rest of the system, and the program, need some, too.
func (s *System) room(n int64) bool {
	_, available := s.machine.Memory()
	return n <= int64(available/2)
}

// munmap comes here while any file is mapped.
func (s *System) munmap(a *[6]uintptr) (int, syscall.Errno) {
	if s.memory == nil {
		return 0, syscall.ENOSYS
	}
	s.mappings.mu.Lock()
	defer s.mappings.mu.Unlock()
	size := roundPage(a[1])
	if a[0]%pageSize == 0 && size > 0 && a[0]+size > a[0] {
		s.unmapViews(a[0], size)
	}
	return 0, errno(s.memory.Unmap(a[0], a[1]))
}

// msync stores what was stored into shared mappings, and waits for the disk if asked to.
func (s *System) msync(a *[6]uintptr) (int, syscall.Errno) {
	const both = unix.MS_SYNC | unix.MS_ASYNC
	if a[0]%pageSize != 0 || a[2]&^(both|unix.MS_INVALIDATE) != 0 || a[2]&both == both {
		return 0, syscall.EINVAL
	}
	if a[2]&unix.MS_SYNC == 0 {
		return 0, 0 // the background does it
	}
	for _, n := range s.mappings.inodes(a[0], roundPage(a[1])) {
		if err := n.Sync(); err != nil {
			return 0, errno(err)
		}
	}
	return 0, 0
}

// mapShared makes a shared mapping. mappings.mu is held.
func (s *System) mapShared(n *file.Inode, mayWrite bool, r *mapRequest) (uintptr, error) {
	v, err := s.mappings.of(s, n)
	if err != nil {
		return 0, err
	}
	defer s.mappings.tidy(v)
	parts, err := n.Share(v, r.off, int64(r.size))
	if err != nil {
		return 0, err
	}
	s.makeRoom(r)
	at := r.hint
	m := r.mapping()
	if len(parts) > 1 && !r.fixed() { // one address for all
		m.Home = pageSize
		if at, err = s.memory.MapFile(&m); err != nil {
			return 0, err
		}
		m.Fixed = true
	}
	start, err := s.mapParts(v, parts, at, mayWrite, m, r)
	if err != nil {
		s.unmapViews(at, r.size)
		return 0, err
	}
	n.Refresh()
	return start, nil
}

// mapParts maps the parts of an image side by side.
func (s *System) mapParts(v *views, parts []file.Part, at uintptr, mayWrite bool, m Mapping, r *mapRequest) (start uintptr, err error) {
	for i, p := range parts {
		from, to := max(r.off, p.Off), min(r.off+int64(r.size), p.Off+int64(len(p.Memory)))
		m.Hint, m.Size, m.MayWrite = at, int(to-from), mayWrite
		m.Home = uintptr(unsafe.Pointer(&p.Memory[from-p.Off]))
		got, err := s.memory.MapFile(&m)
		if err != nil {
			return 0, err
		}
		if i == 0 {
			start = got
		}
		v.add(view{got, got + uintptr(m.Size), from, mayWrite})
		at = got + uintptr(m.Size)
	}
	return start, nil
}
