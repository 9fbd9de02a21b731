package linux

import (
	"strings"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

var openCalls = []call{
	{unix.SYS_OPENAT, (*System).openat},
	{unix.SYS_MEMFD_CREATE, (*System).memfdCreate},
}

func (s *System) openat(a *[6]uintptr) (int, syscall.Errno) {
	path, e := cString(&a[1])
	if e != 0 {
		return 0, e
	}
	return result(s.openPath(a[0], path, uint32(a[2]), uint32(a[3])))
}

// openPath is openat(2) with O_LARGEFILE implied.
func (s *System) openPath(dirfd uintptr, path string, flags, mode uint32) (int, error) {
	if flags&unix.O_TMPFILE == unix.O_TMPFILE {
		return s.openUnnamed(dirfd, path, flags, mode)
	}
	if flags&oPath != 0 {
		flags &= oPath | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	}
	if flags&unix.O_CREAT != 0 && flags&unix.O_DIRECTORY != 0 {
		return 0, syscall.EINVAL
	}
	d, err := s.describe(dirfd, path, flags, mode)
	if err != nil {
		return 0, err
	}
	const creation = unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY | unix.O_TRUNC | unix.O_LARGEFILE
	fd, err := s.Install(d, flags&^creation, s.openedPath(dirfd, path))
	if err == nil && flags&oPath == 0 && s.watches.active() {
		s.opened(fd)
	}
	return fd, err
}

// opened tells who watches that a file was opened, and cut.
func (s *System) opened(fd int) {
	f, e := s.file(uintptr(fd))
	if e != 0 {
		return
	}
	s.happened(f, unix.IN_OPEN)
	if d, ok := f.description.(*diskFile); ok && d.cut {
		s.happened(f, unix.IN_MODIFY)
	}
	_ = f.release() // the last where another call closes it at once
}

// openUnnamed is open(2) with O_TMPFILE: of the directory only the file system counts.
func (s *System) openUnnamed(dirfd uintptr, path string, flags, mode uint32) (int, error) {
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		return 0, syscall.EINVAL
	}
	n, err := s.resolve(dirfd, path, true, toEdit)
	if err != nil {
		return 0, err
	}
	directory, err := editable(n)
	if err != nil {
		return 0, err
	}
	child, err := directory.CreateUnnamed(file.New{Mode: syscall.S_IFREG | mode&07777&^s.umask.Load()})
	if err != nil {
		return 0, err
	}
	const creation = unix.O_TMPFILE | unix.O_EXCL | unix.O_CREAT | unix.O_TRUNC | unix.O_NOCTTY | unix.O_LARGEFILE
	return s.Install(&diskFile{inode: child}, flags&^creation, s.openedPath(dirfd, path)+"/#unnamed")
}

// openedPath is the path for /proc/self/fd, not yet cleaned.
func (s *System) openedPath(dirfd uintptr, path string) string {
	if len(path) > 0 && path[0] == '/' {
		return strings.Clone(path)
	}
	if int32(dirfd) == unix.AT_FDCWD {
		return s.cwd.Load().path + "/" + path
	}
	f, e := s.file(dirfd)
	if e != 0 {
		return strings.Clone(path)
	}
	defer f.release()
	return f.path + "/" + path
}

// describe finds or makes the inode and opens a description on it.
func (s *System) describe(dirfd uintptr, path string, flags, mode uint32) (Description, error) {
	for {
		n, created, err := s.findOrCreate(dirfd, path, flags, mode)
		if err != nil {
			return nil, err
		}
		d, err := s.openNode(n, flags, created)
		if err == syscall.ENOENT && flags&unix.O_CREAT != 0 {
			continue // unlinked in between: make it anew
		}
		return d, err
	}
}

// findOrCreate resolves the path of an open.
func (s *System) findOrCreate(dirfd uintptr, path string, flags, mode uint32) (n node, created bool, err error) {
	if flags&unix.O_CREAT == 0 {
		n, err = s.resolve(dirfd, path, flags&unix.O_NOFOLLOW == 0, accessOf(flags))
		return n, false, err
	}
	p, err := s.place(dirfd, path, bySystem)
	if err != nil {
		return nil, false, err
	}
	w := walker{s: s}
	for {
		n, created, err = s.createAt(&w, p, flags, mode)
		if err != nil || created {
			return n, created, err
		}
		if n.Mode()&syscall.S_IFMT != syscall.S_IFLNK || flags&unix.O_NOFOLLOW != 0 {
			return n, false, s.permit(accessOf(flags), p, n)
		}
		if p, err = w.target(p.parent, n); err != nil {
			return nil, false, err
		}
	}
}

// createAt finds the file of the place or makes it.
func (s *System) createAt(w *walker, p place, flags, mode uint32) (node, bool, error) {
	switch exists := p.newName() == syscall.EEXIST; {
	case exists && !p.slash && flags&unix.O_EXCL != 0:
		return nil, false, syscall.EEXIST
	case exists || p.slash:
		return nil, false, syscall.EISDIR
	}
	if flags&unix.O_EXCL != 0 {
		if err := s.permit(toEdit, p, nil); err != nil {
			return nil, false, err
		}
	}
	for {
		n, err := w.step(p.parent, p.last)
		if err == nil && flags&unix.O_EXCL != 0 {
			return nil, false, syscall.EEXIST
		}
		if err != syscall.ENOENT {
			return n, false, err
		}
		if err := s.permit(accessOf(flags)|toEdit, p, nil); err != nil {
			return nil, false, err
		}
		parent, err := editable(p.parent)
		if err != nil {
			return nil, false, err
		}
		child, err := parent.Create(p.last, file.New{Mode: syscall.S_IFREG | mode&07777&^s.umask.Load()})
		if err == nil {
			return diskNode{child}, true, nil
		}
		if err != syscall.EEXIST { // else somebody was faster
			return nil, false, err
		}
	}
}

// openNode opens a description on an inode.
func (s *System) openNode(n node, flags uint32, created bool) (Description, error) {
	a := n.Attr()
	if flags&unix.O_DIRECTORY != 0 && a.Type() != syscall.S_IFDIR {
		return nil, syscall.ENOTDIR
	}
	if flags&oPath != 0 {
		return openPathOnly(n)
	}
	write := flags&unix.O_ACCMODE != unix.O_RDONLY
	switch a.Type() {
	case syscall.S_IFDIR:
		if write || flags&(unix.O_CREAT|unix.O_TRUNC) != 0 {
			return nil, syscall.EISDIR
		}
		return openDirectory(n)
	case syscall.S_IFLNK:
		return nil, syscall.ELOOP
	case syscall.S_IFCHR, syscall.S_IFBLK:
		return s.openDevice(n, a.Device)
	case syscall.S_IFIFO:
		return s.openFIFO(n, flags)
	case syscall.S_IFSOCK:
		return nil, syscall.ENXIO
	}
	d, err := n.open(flags)
	if err != nil || flags&unix.O_TRUNC == 0 || created {
		return d, err
	}
	if t, ok := d.(Truncater); ok {
		if err := t.Truncate(0); err != nil {
			return nil, closeAfter(d, errno(err))
		}
		if d, ok := d.(*diskFile); ok {
			d.cut = true
		}
	}
	return d, nil
}

// pathOnly is what O_PATH opens: a name to start from and to stat.
type pathOnly struct {
	n node
}

// pin keeps an inode of the file service until unpin.
func pin(n node) error {
	if d, ok := n.(diskNode); ok {
		return d.Open()
	}
	return nil
}

func unpin(n node) error {
	if d, ok := n.(diskNode); ok {
		return d.Close()
	}
	return nil
}

func openPathOnly(n node) (Description, error) {
	if err := pin(n); err != nil {
		return nil, err
	}
	return &pathOnly{n}, nil
}

func (p *pathOnly) node() node                { return p.n }
func (p *pathOnly) Read([]byte) (int, error)  { return 0, syscall.EBADF }
func (p *pathOnly) Write([]byte) (int, error) { return 0, syscall.EBADF }
func (p *pathOnly) Ready() uint32             { return 0 }
func (p *pathOnly) Close() error              { return unpin(p.n) }

func (p *pathOnly) Stat(st *syscall.Stat_t) error {
	a := p.n.Attr()
	fillStat(st, p.n.device(), &a)
	return nil
}

// memfdCreate makes a file that never had a name. Sealing is not offered.
func (s *System) memfdCreate(a *[6]uintptr) (int, syscall.Errno) {
	name, e := cString(&a[0])
	if e != 0 {
		return 0, e
	}
	if a[1]&^unix.MFD_CLOEXEC != 0 {
		return 0, syscall.EINVAL
	}
	d, err := s.unnamedFile()
	if err != nil {
		return 0, errno(err)
	}
	flags := uint32(unix.O_RDWR)
	if a[1]&unix.MFD_CLOEXEC != 0 {
		flags |= unix.O_CLOEXEC
	}
	return result(s.Install(d, flags, "/memfd:"+name+" (deleted)"))
}
