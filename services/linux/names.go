package linux

import (
	"syscall"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

var nameCalls = []call{
	{unix.SYS_MKDIRAT, (*System).mkdirat},
	{unix.SYS_MKNODAT, (*System).mknodat},
	{unix.SYS_UNLINKAT, (*System).unlinkat},
	{unix.SYS_RENAMEAT, (*System).renameat},
	{unix.SYS_RENAMEAT2, (*System).renameat2},
	{unix.SYS_LINKAT, (*System).linkat},
	{unix.SYS_SYMLINKAT, (*System).symlinkat},
	{unix.SYS_READLINKAT, (*System).readlinkat},
	{unix.SYS_GETCWD, (*System).getcwd},
	{unix.SYS_CHDIR, (*System).chdir},
	{unix.SYS_FCHDIR, (*System).fchdir},
}

// signedCWD is AT_FDCWD as an argument word.
const signedCWD = int(unix.AT_FDCWD)

// atCWD is the word for AT_FDCWD in calls that have no directory argument.
var atCWD = func(n int) uintptr { return uintptr(n) }(signedCWD)

// make creates something at a place.
func (s *System) make(p place, what file.New) syscall.Errno {
	w := walker{s: s}
	if p.newName() == syscall.EEXIST {
		return syscall.EEXIST
	}
	if p.slash && what.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		if _, err := w.step(p.parent, p.last); err == nil {
			return syscall.EEXIST
		}
		return syscall.ENOENT
	}
	if _, err := w.step(p.parent, p.last); err == nil {
		return syscall.EEXIST
	} else if err != syscall.ENOENT {
		return errno(err)
	}
	parent, err := editable(p.parent)
	if err != nil {
		return errno(err)
	}
	_, err = parent.Create(p.last, what)
	return errno(err)
}

func (s *System) mkdirat(a *[6]uintptr) (int, syscall.Errno) {
	mode := uint32(a[2]) & 0o1777 &^ s.umask.Load()
	return s.makeAt(a[0], &a[1], file.New{Mode: syscall.S_IFDIR | mode})
}

// mknodat makes files, FIFOs, sockets' names and device nodes.
func (s *System) mknodat(a *[6]uintptr) (int, syscall.Errno) {
	what := file.New{Mode: uint32(a[2]) & (syscall.S_IFMT | 07777) &^ s.umask.Load(), Device: uint64(uint32(a[3]))}
	switch what.Mode & syscall.S_IFMT {
	case 0:
		what.Mode |= syscall.S_IFREG
		what.Device = 0
	case syscall.S_IFREG, syscall.S_IFIFO, syscall.S_IFSOCK:
		what.Device = 0
	case syscall.S_IFCHR, syscall.S_IFBLK:
	case syscall.S_IFDIR:
		return 0, syscall.EPERM
	default:
		return 0, syscall.EINVAL
	}
	return s.makeAt(a[0], &a[1], what)
}

func (s *System) makeAt(dirfd uintptr, word *uintptr, what file.New) (int, syscall.Errno) {
	path, e := cString(word)
	if e != 0 {
		return 0, e
	}
	p, err := s.place(dirfd, path, toEdit)
	if err != nil {
		return 0, errno(err)
	}
	return 0, s.make(p, what)
}

func (s *System) symlinkat(a *[6]uintptr) (int, syscall.Errno) {
	target, e := cString(&a[0])
	if e != 0 {
		return 0, e
	}
	if target == "" {
		return 0, syscall.ENOENT
	}
	return s.makeAt(a[1], &a[2], file.New{Mode: syscall.S_IFLNK | 0o777, Target: target})
}

func (s *System) unlinkat(a *[6]uintptr) (int, syscall.Errno) {
	if a[2]&^unix.AT_REMOVEDIR != 0 {
		return 0, syscall.EINVAL
	}
	path, e := cString(&a[1])
	if e != 0 {
		return 0, e
	}
	p, err := s.place(a[0], path, toEdit)
	if err != nil {
		return 0, errno(err)
	}
	if a[2]&unix.AT_REMOVEDIR != 0 {
		return 0, s.rmdir(p)
	}
	return 0, s.unlink(p)
}

func (s *System) rmdir(p place) syscall.Errno {
	switch p.last {
	case "":
		return syscall.EBUSY
	case ".":
		return syscall.EINVAL
	case "..":
		return syscall.ENOTEMPTY
	}
	if s.isMount(p) {
		return syscall.EBUSY
	}
	parent, err := editable(p.parent)
	if err != nil {
		return errno(err)
	}
	return errno(parent.Rmdir(p.last))
}

func (s *System) unlink(p place) syscall.Errno {
	if p.newName() == syscall.EEXIST {
		return syscall.EISDIR
	}
	if p.slash {
		w := walker{s: s}
		n, err := w.step(p.parent, p.last)
		switch {
		case err != nil:
			return errno(err)
		case n.Attr().Type() == syscall.S_IFDIR:
			return syscall.EISDIR
		}
		return syscall.ENOTDIR
	}
	parent, err := editable(p.parent)
	if err != nil {
		return errno(err)
	}
	return errno(parent.Unlink(p.last))
}

// isMount tells whether the place is where something is mounted.
func (s *System) isMount(p place) bool {
	w := walker{s: s}
	n, err := w.step(p.parent, p.last)
	if err != nil {
		return false
	}
	for i := range s.mounts {
		if n == node(s.mounts[i].root) {
			return true
		}
	}
	return false
}

func (s *System) renameat(a *[6]uintptr) (int, syscall.Errno) {
	return s.rename(a[0], &a[1], a[2], &a[3], 0)
}

func (s *System) renameat2(a *[6]uintptr) (int, syscall.Errno) {
	return s.rename(a[0], &a[1], a[2], &a[3], uint32(a[4]))
}

func (s *System) rename(fromFD uintptr, from *uintptr, toFD uintptr, to *uintptr, flags uint32) (int, syscall.Errno) {
	if flags&^(file.RenameNoReplace|file.RenameExchange) != 0 {
		return 0, syscall.EINVAL
	}
	given := toEdit
	if flags&file.RenameExchange != 0 {
		given = toTake
	}
	p, e := s.placeArg(fromFD, from, toTake)
	if e != 0 {
		return 0, e
	}
	q, e := s.placeArg(toFD, to, given)
	if e != 0 {
		return 0, e
	}
	if p.parent.device() != q.parent.device() {
		return 0, syscall.EXDEV
	}
	if p.newName() == syscall.EEXIST {
		return 0, syscall.EBUSY
	}
	if q.newName() == syscall.EEXIST {
		if flags&file.RenameNoReplace != 0 {
			return 0, syscall.EEXIST
		}
		return 0, syscall.EBUSY
	}
	return 0, s.renamePlaces(p, q, flags)
}

func (s *System) placeArg(dirfd uintptr, word *uintptr, want access) (place, syscall.Errno) {
	path, e := cString(word)
	if e != 0 {
		return place{}, e
	}
	p, err := s.place(dirfd, path, want)
	return p, errno(err)
}

func (s *System) renamePlaces(p, q place, flags uint32) syscall.Errno {
	from, err := editable(p.parent)
	if err != nil {
		return errno(err)
	}
	to, err := editable(q.parent)
	if err != nil {
		return errno(err)
	}
	if s.isMount(p) || s.isMount(q) {
		return syscall.EBUSY
	}
	if p.slash || q.slash {
		if err := slashesFit(from, p, to, q, flags); err != nil {
			return errno(err)
		}
	}
	return errno(s.files.Rename(from, p.last, to, q.last, flags))
}

// slashesFit checks a rename with slashes behind a name: only what is or
// becomes the name of a directory may have them.
func slashesFit(from *file.Inode, p place, to *file.Inode, q place, flags uint32) error {
	source, err := from.Lookup(p.last)
	if err != nil {
		return err
	}
	target, err := to.Lookup(q.last)
	exchange := flags&file.RenameExchange != 0
	switch {
	case err == nil && flags&file.RenameNoReplace != 0:
		return syscall.EEXIST
	case err != nil && exchange:
		return err
	case exchange && q.slash && !isDirectory(diskNode{target}):
		return syscall.ENOTDIR
	case !isDirectory(diskNode{source}) && (p.slash || q.slash && !exchange):
		return syscall.ENOTDIR
	}
	return nil
}

func (s *System) linkat(a *[6]uintptr) (int, syscall.Errno) {
	if a[4]&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	flags := a[4] & unix.AT_EMPTY_PATH
	if a[4]&unix.AT_SYMLINK_FOLLOW == 0 {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	n, err := s.resolveAt(a[0], &a[1], flags, toTake)
	if err != nil {
		return 0, errno(err)
	}
	p, e := s.placeArg(a[2], &a[3], toEdit)
	if e != 0 {
		return 0, e
	}
	if err := p.newName(); err != nil {
		return 0, errno(err)
	}
	w := walker{s: s}
	if _, err := w.step(p.parent, p.last); err == nil {
		return 0, syscall.EEXIST
	} else if err != syscall.ENOENT {
		return 0, errno(err)
	}
	if p.slash {
		return 0, syscall.ENOENT
	}
	if n.device() != p.parent.device() {
		return 0, syscall.EXDEV
	}
	return 0, s.link(n, p)
}

func (s *System) link(n node, p place) syscall.Errno {
	child, err := editable(n)
	if err != nil {
		return errno(err)
	}
	parent, err := editable(p.parent)
	if err != nil {
		return errno(err)
	}
	return errno(parent.Link(p.last, child))
}

func (s *System) readlinkat(a *[6]uintptr) (int, syscall.Errno) {
	if int(int32(a[3])) <= 0 {
		return 0, syscall.EINVAL
	}
	n, err := s.resolveAt(a[0], &a[1], unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH, toRead)
	if err != nil {
		return 0, errno(err)
	}
	if path, e := cString(&a[1]); e == 0 && path == "" && n.Attr().Type() != syscall.S_IFLNK {
		return 0, syscall.ENOENT
	}
	p, e := buffer(&a[2], a[3])
	if e != 0 {
		return 0, e
	}
	target, err := n.Readlink()
	return result(copy(p, target), err)
}

// workingDirectory is where relative paths begin.
type workingDirectory struct {
	node node
	path string // when it was entered
}

func (s *System) getcwd(a *[6]uintptr) (int, syscall.Errno) {
	p, e := buffer(&a[0], a[1])
	if e != 0 {
		return 0, e
	}
	path, err := s.pathOf(s.cwd.Load().node)
	if err != nil {
		return 0, errno(err)
	}
	if len(path)+1 > len(p) {
		return 0, syscall.ERANGE
	}
	n := copy(p, path)
	p[n] = 0
	return n + 1, 0
}

func (s *System) chdir(a *[6]uintptr) (int, syscall.Errno) {
	path, e := cString(&a[0])
	if e != 0 {
		return 0, e
	}
	n, err := s.resolve(atCWD, path, true, toPass)
	if err != nil {
		return 0, errno(err)
	}
	return 0, s.enter(n)
}

func (s *System) fchdir(a *[6]uintptr) (int, syscall.Errno) {
	n, err := s.descriptorNode(a[0])
	if err != nil {
		return 0, errno(err)
	}
	return 0, s.enter(n)
}

// enter makes a directory the working directory.
func (s *System) enter(n node) syscall.Errno {
	if n.Attr().Type() != syscall.S_IFDIR {
		return syscall.ENOTDIR
	}
	path, err := s.pathOf(n)
	if err != nil {
		return errno(err)
	}
	if err := pin(n); err != nil {
		return errno(err)
	}
	old := s.cwd.Swap(&workingDirectory{n, path})
	return errno(unpin(old.node))
}
