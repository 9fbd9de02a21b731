package linux

import (
	"strings"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

var xattrCalls = []call{
	{unix.SYS_SETXATTR, telling(true, true, (*System).setXattr)},
	{unix.SYS_LSETXATTR, telling(true, false, (*System).setXattr)},
	{unix.SYS_FSETXATTR, telling(false, true, (*System).setXattr)},
	{unix.SYS_GETXATTR, byPath(true, toRead, (*System).getXattr)},
	{unix.SYS_LGETXATTR, byPath(false, toRead, (*System).getXattr)},
	{unix.SYS_FGETXATTR, byDescriptor(toRead, (*System).getXattr)},
	{unix.SYS_LISTXATTR, byPath(true, toRead, (*System).listXattr)},
	{unix.SYS_LLISTXATTR, byPath(false, toRead, (*System).listXattr)},
	{unix.SYS_FLISTXATTR, byDescriptor(toRead, (*System).listXattr)},
	{unix.SYS_REMOVEXATTR, telling(true, true, (*System).removeXattr)},
	{unix.SYS_LREMOVEXATTR, telling(true, false, (*System).removeXattr)},
	{unix.SYS_FREMOVEXATTR, telling(false, true, (*System).removeXattr)},
}

// attributed is a node that may have extended attributes.
type attributed interface {
	node
	Xattr(name string) ([]byte, error)
	Xattrs() ([]string, error)
}

// xattrHandler serves a call on extended attributes. It checks the other arguments before
// it looks for the node, as Linux does.
type xattrHandler func(s *System, find func() (node, error), a *[6]uintptr) (int, syscall.Errno)

// telling has a handler tell who watches of its success, byPath or byDescriptor.
func telling(path, follow bool, serve xattrHandler) handler {
	call, flags := byDescriptor(toEdit, serve), uintptr(0)
	if path {
		call = byPath(follow, toEdit, serve)
	}
	if !follow {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	return func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		_, e := call(s, a)
		if !path {
			return s.attributed(&[6]uintptr{a[0]}, flags, e)
		}
		return s.attributed(&[6]uintptr{atCWD, a[0]}, flags, e)
	}
}

// byPath serves the form of a call that names its file by a path.
func byPath(follow bool, want access, serve xattrHandler) handler {
	return func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return serve(s, func() (node, error) {
			path, e := cString(&a[0])
			if e != 0 {
				return nil, e
			}
			return s.resolve(atCWD, path, follow, want)
		}, a)
	}
}

// byDescriptor serves the form of a call that names its file by a descriptor.
func byDescriptor(want access, serve xattrHandler) handler {
	return func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return serve(s, func() (node, error) {
			find := s.openNodeArg
			if want == toEdit {
				find = s.changedNode
			}
			n, err := find(a[0])
			if err == syscall.EINVAL { // a pipe, a socket
				err = syscall.EOPNOTSUPP
			}
			return n, err
		}, a)
	}
}

// xattrName is the name argument: ERANGE if it is empty or too long.
func xattrName(word *uintptr) (string, syscall.Errno) {
	name, e := cString(word)
	if e == syscall.ENAMETOOLONG || e == 0 && (name == "" || len(name) > file.MaxXattrName) {
		e = syscall.ERANGE
	}
	return name, e
}

const userXattr = "user."

// xattrPlaces are the name spaces that there are. What is in "security." and "trusted."
// means nothing to this system, and anything may be there. The access
// lists of "system." are not offered, as they would have no effect.
var xattrPlaces = []string{userXattr, "security.", "trusted."}

// checkXattr judges a name. In "user." only files and directories have attributes; any
// other inode refuses the call with the errno given.
func checkXattr(n node, name string, refusal syscall.Errno) syscall.Errno {
	if strings.HasPrefix(name, userXattr) {
		if t := n.Mode() & syscall.S_IFMT; t != syscall.S_IFREG && t != syscall.S_IFDIR {
			return refusal
		}
	}
	for _, place := range xattrPlaces {
		if name == place {
			return syscall.EINVAL
		}
		if strings.HasPrefix(name, place) {
			return 0
		}
	}
	return syscall.EOPNOTSUPP
}

// editableXattrs is the inode whose extended attribute is to be changed.
func editableXattrs(find func() (node, error), name string) (*file.Inode, syscall.Errno) {
	n, err := find()
	if err != nil {
		return nil, errno(err)
	}
	if _, ok := n.(attributed); !ok {
		return nil, syscall.EOPNOTSUPP
	}
	inode, err := editable(n)
	if err != nil {
		return nil, errno(err)
	}
	return inode, checkXattr(n, name, syscall.EPERM)
}

// setXattr has the arguments name, value, size, flags behind the file.
func (s *System) setXattr(find func() (node, error), a *[6]uintptr) (int, syscall.Errno) {
	if uint32(a[4])&^(file.XattrCreate|file.XattrReplace) != 0 {
		return 0, syscall.EINVAL
	}
	name, e := xattrName(&a[1])
	if e != 0 {
		return 0, e
	}
	if a[3] > file.MaxXattrValue {
		return 0, syscall.E2BIG
	}
	value, e := buffer(&a[2], a[3])
	if e != 0 {
		return 0, e
	}
	inode, e := editableXattrs(find, name)
	if e != 0 {
		return 0, e
	}
	return 0, errno(inode.SetXattr(name, value, int(uint32(a[4]))))
}

func (s *System) removeXattr(find func() (node, error), a *[6]uintptr) (int, syscall.Errno) {
	name, e := xattrName(&a[1])
	if e != 0 {
		return 0, e
	}
	inode, e := editableXattrs(find, name)
	if e != 0 {
		return 0, e
	}
	return 0, errno(inode.RemoveXattr(name))
}

// getXattr has the arguments name, buffer, size behind the file.
func (s *System) getXattr(find func() (node, error), a *[6]uintptr) (int, syscall.Errno) {
	name, e := xattrName(&a[1])
	if e != 0 {
		return 0, e
	}
	n, err := find()
	if err != nil {
		return 0, errno(err)
	}
	from, ok := n.(attributed)
	if !ok {
		return 0, syscall.EOPNOTSUPP
	}
	if e := checkXattr(n, name, syscall.ENODATA); e != 0 {
		return 0, e
	}
	value, err := from.Xattr(name)
	if err != nil {
		return 0, errno(err)
	}
	return giveXattr(value, a[3], &a[2])
}

// giveXattr copies what was asked for into a buffer that may be too small: ERANGE. One of
// no size asks how large it must be.
func giveXattr[T []byte | string](value T, size uintptr, word *uintptr) (int, syscall.Errno) {
	if size == 0 {
		return len(value), 0
	}
	if uintptr(len(value)) > size {
		return 0, syscall.ERANGE
	}
	p, e := buffer(word, uintptr(len(value)))
	if e != 0 {
		return 0, e
	}
	return copy(p, value), 0
}

// listXattr has the arguments buffer, size behind the file. What it gives are the names,
// each with a zero behind it.
func (s *System) listXattr(find func() (node, error), a *[6]uintptr) (int, syscall.Errno) {
	n, err := find()
	if err != nil {
		return 0, errno(err)
	}
	from, ok := n.(attributed)
	if !ok {
		return 0, 0
	}
	names, err := from.Xattrs()
	if err != nil {
		return 0, errno(err)
	}
	list := ""
	if len(names) > 0 {
		list = strings.Join(names, "\x00") + "\x00"
	}
	return giveXattr(list, a[2], &a[1])
}
