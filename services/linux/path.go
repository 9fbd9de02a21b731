package linux

import (
	"strings"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

// node is an inode of any mounted file system: of the file service
// (diskNode) or made up (synthetic). Two nodes are the same inode if and only
// if they are equal.
type node interface {
	Attr() file.Attr
	Mode() uint32   // of Attr
	device() uint64 // st_dev
	Lookup(name string) (node, error)
	Parent() (node, error)
	Readlink() (string, error)
	ReadDir(position int64, emit func(file.Entry) bool) error

	// open makes the description of a file that is no directory, link, FIFO
	// or device.
	open(flags uint32) (Description, error)
}

func isDirectory(n node) bool { return n.Mode()&syscall.S_IFMT == syscall.S_IFDIR }

// located is a description that was opened by a path.
type located interface {
	node() node
}

// maxSymlinks is how many symbolic links one path may lead through.
const maxSymlinks = 40

// mount puts a made-up tree over a directory of the root file system.
type mount struct {
	on   uint64 // inode number of the directory
	over *file.Inode
	root *synthetic
	kind string // of file system, for /proc/mounts
	path string
}

// place is where the last component of a path lies.
type place struct {
	parent node
	last   string // "" for the root itself; may be "." or ".."
	slash  bool   // slashes followed: it has to be a directory
}

// walker resolves one path.
type walker struct {
	s     *System
	links int
	found place // of what was looked up last: of what finish has found, or of what was not
}

// walk goes from the directory along the path up to its last component.
func (w *walker) walk(at node, path string) (place, error) {
	if path == "" {
		return place{}, syscall.ENOENT
	}
	if path[0] == '/' {
		at = w.s.root
	}
	for {
		name, rest := cutComponent(path)
		if strings.Trim(rest, "/") == "" {
			if !isDirectory(at) {
				return place{}, syscall.ENOTDIR
			}
			return place{at, name, rest != ""}, nil
		}
		w.found = place{at, name, true}
		next, err := w.step(at, name)
		if err != nil {
			return place{}, err
		}
		if next, err = w.follow(at, next); err != nil {
			return place{}, err
		}
		at, path = next, rest
	}
}

// cutComponent splits off the first name of a path; rest keeps its slashes.
func cutComponent(path string) (name, rest string) {
	path = strings.TrimLeft(path, "/")
	i := strings.IndexByte(path, '/')
	if i < 0 {
		return path, ""
	}
	return path[:i], path[i:]
}

// step looks one component up and crosses mounts. It does not follow links.
func (w *walker) step(at node, name string) (node, error) {
	switch name {
	case "", ".":
		if !isDirectory(at) {
			return nil, syscall.ENOTDIR
		}
		return at, nil
	case "..":
		return at.Parent()
	}
	next, err := at.Lookup(name)
	if err != nil {
		return nil, err
	}
	if d, ok := next.(diskNode); ok {
		for i := range w.s.mounts {
			if w.s.mounts[i].on == d.Number() {
				return w.s.mounts[i].root, nil
			}
		}
	}
	return next, nil
}

// follow replaces a symbolic link, found in the directory at, by what it
// leads to in the end.
func (w *walker) follow(at, n node) (node, error) {
	if n.Mode()&syscall.S_IFMT != syscall.S_IFLNK {
		return n, nil
	}
	if made, ok := n.(*synthetic); ok && made.leads != nil {
		if to := made.leads(); to != nil {
			w.found = w.s.placeOf(to)
			return to, nil
		}
	}
	p, err := w.target(at, n)
	if err != nil {
		return nil, err
	}
	return w.finish(p, true)
}

// target is the place that the symbolic link n in directory at names.
func (w *walker) target(at, n node) (place, error) {
	if w.links++; w.links > maxSymlinks {
		return place{}, syscall.ELOOP
	}
	target, err := n.Readlink()
	if err != nil {
		return place{}, err
	}
	return w.walk(at, target)
}

// finish looks the last component up, following a link there if told to or
// if a slash stands behind it.
func (w *walker) finish(p place, follow bool) (node, error) {
	w.found = p
	n, err := w.step(p.parent, p.last)
	if err != nil {
		return nil, err
	}
	if follow || p.slash {
		if n, err = w.follow(p.parent, n); err != nil {
			return nil, err
		}
	}
	if p.slash && !isDirectory(n) {
		return nil, syscall.ENOTDIR
	}
	return n, nil
}

// base is where a path of an ...at call begins.
func (s *System) base(dirfd uintptr, path string) (node, error) {
	if len(path) > 0 && path[0] == '/' {
		return s.root, nil
	}
	if int32(dirfd) == unix.AT_FDCWD {
		return s.cwd.Load().node, nil
	}
	return s.descriptorNode(dirfd)
}

// descriptorNode is the inode that a descriptor was opened on; EBADF if it
// is not open and ENOTDIR if it was not opened by a path.
func (s *System) descriptorNode(fd uintptr) (node, error) {
	f, e := s.file(fd)
	if e != 0 {
		return nil, e
	}
	defer f.release()
	if l, ok := f.description.(located); ok {
		return l.node(), nil
	}
	return nil, syscall.ENOTDIR
}

// place resolves the path argument of an ...at call to its last component, in order
// to do there what want says.
func (s *System) place(dirfd uintptr, path string, want access) (place, error) {
	at, err := s.base(dirfd, path)
	if err != nil {
		return place{}, err
	}
	w := walker{s: s}
	p, err := w.walk(at, path)
	if err != nil {
		return place{}, s.hide(want, w.found, err)
	}
	return p, s.permit(want, p, nil)
}

// resolve resolves a whole path argument, in order to do with what it finds what want
// says.
func (s *System) resolve(dirfd uintptr, path string, follow bool, want access) (node, error) {
	at, err := s.base(dirfd, path)
	if err != nil {
		return nil, err
	}
	w := walker{s: s}
	n, err := w.whole(at, path, follow)
	if err != nil {
		return nil, s.hide(want, w.found, err)
	}
	return n, s.permit(want, w.found, n)
}

// whole resolves a path to the inode that it names.
func (w *walker) whole(at node, path string, follow bool) (node, error) {
	p, err := w.walk(at, path)
	if err != nil {
		return nil, err
	}
	return w.finish(p, follow)
}

// resolveAt is resolve for calls with AT_ flags: with AT_EMPTY_PATH an empty
// path (or none) means the descriptor itself, of whatever kind.
func (s *System) resolveAt(dirfd uintptr, word *uintptr, flags uintptr, want access) (node, error) {
	follow := flags&unix.AT_SYMLINK_NOFOLLOW == 0
	if flags&unix.AT_EMPTY_PATH != 0 && *word == 0 {
		return s.emptyPath(dirfd, want)
	}
	path, e := cString(word)
	if e != 0 {
		return nil, e
	}
	if flags&unix.AT_EMPTY_PATH != 0 && path == "" {
		return s.emptyPath(dirfd, want)
	}
	return s.resolve(dirfd, path, follow, want)
}

func (s *System) emptyPath(dirfd uintptr, want access) (node, error) {
	if int32(dirfd) == unix.AT_FDCWD {
		n := s.cwd.Load().node
		return n, s.permit(want, place{}, n)
	}
	n, err := s.descriptorNode(dirfd)
	if err != nil || want&toEdit == 0 {
		return n, err
	}
	return n, s.permitDescriptor(dirfd, n)
}

// editable is the inode of the file service behind a node that is to be
// changed; what is made up cannot be.
func editable(n node) (*file.Inode, error) {
	if d, ok := n.(diskNode); ok {
		return d.Inode, nil
	}
	if _, ok := n.(pastNode); ok {
		return nil, syscall.EROFS
	}
	return nil, syscall.EPERM
}

// newName checks a place where something is to be made.
func (p place) newName() error {
	if p.last == "" || p.last == "." || p.last == ".." {
		return syscall.EEXIST
	}
	return nil
}

// pathOf is the absolute path of a directory, by going up to the root.
// ENOENT if it was removed.
func (s *System) pathOf(n node) (string, error) {
	path := ""
	for n != s.root {
		parent, err := n.Parent()
		if err != nil {
			return "", err
		}
		name, err := s.nameOf(parent, n)
		if err != nil {
			return "", err
		}
		n, path = parent, "/"+name+path
	}
	if path == "" {
		path = "/"
	}
	return path, nil
}

// placeOf is where an inode is, as far as that is known without looking for it.
func (s *System) placeOf(n node) place {
	if d, ok := n.(diskNode); ok {
		if dir, name := d.Place(); dir != nil {
			if child, err := dir.Lookup(name); err == nil && child == d.Inode {
				return place{parent: diskNode{dir}, last: name}
			}
		}
	}
	return place{}
}

// nameOf finds the name of a directory in its parent.
func (s *System) nameOf(parent, n node) (string, error) {
	if p := s.placeOf(n); p.parent == parent && p.parent != nil {
		return p.last, nil
	}
	if made, ok := n.(*synthetic); ok {
		for _, m := range s.mounts {
			if m.root == made {
				return strings.TrimPrefix(m.path, "/"), nil
			}
		}
	}
	if p, ok := n.(pastNode); ok && p.number == p.past.Root() {
		return p.past.name, nil
	}
	number, name := n.Attr().Number, ""
	err := parent.ReadDir(0, func(e file.Entry) bool {
		if e.Number == number {
			name = strings.Clone(e.Name)
		}
		return name == ""
	})
	if err == nil && name == "" {
		err = syscall.ENOENT
	}
	return name, err
}
