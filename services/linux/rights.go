package linux

import (
	"errors"
	"path"
	"strings"
	"syscall"

	"github.com/tuplix/tuplix/services/user"
	"golang.org/x/sys/unix"
)

// Rights says whether a caller may do with a file what reach says: nil, an error that is
// user.ErrDenied, or another where that is not to be found out.
type Rights func(c user.Caller, reach user.Reach) error

// access is what a call does with the file that its path names. It is asked about for
// callers that are not root, by the path that the file has without symbolic links:
// after the walk, and of the very inodes that the walk has found.
//
// Nobody is asked for the directories on the way. What a descriptor was opened for may be
// done with it, whoever does it.
type access uint8

const (
	toPass access = 1 << iota // to see what it is: stat, chdir
	toRead                    // what is in it
	toEdit                    // to change, make or remove it

	bySystem access = 0               // for nobody: as the system itself
	toTake          = toRead | toEdit // to give what is in it another name
)

// accessOf is what open(2) does by its flags with a file that is there.
func accessOf(flags uint32) access {
	if flags&oPath != 0 {
		return toPass
	}
	var a access
	switch flags & unix.O_ACCMODE {
	case unix.O_RDONLY:
		a = toRead
	case unix.O_WRONLY:
		a = toEdit
	default:
		a = toRead | toEdit
	}
	if flags&unix.O_TRUNC != 0 {
		a |= toEdit
	}
	return a
}

// asked is for whom this goroutine makes its calls; ok is false where it may do
// everything.
func (s *System) asked() (c user.Caller, ok bool) {
	if s.rights == nil {
		return c, false
	}
	c, ok = user.OfGoroutine()
	return c, ok && c.User != user.Root
}

// permit asks for n, which lies at a place; n is nil where nothing is there yet.
// EACCES if the caller may not.
func (s *System) permit(want access, at place, n node) error {
	if want == bySystem {
		return nil
	}
	c, ok := s.asked()
	if !ok {
		return nil
	}
	name, err := s.pathAt(at, n)
	if err != nil {
		return err
	}
	if everybodys(name, want, n) {
		return nil
	}
	reach := user.Reach{Path: name, Read: want&toRead != 0, Edit: want&toEdit != 0, Pass: want&toPass != 0}
	if n != nil && !isDirectory(n) && reach.Pass {
		reach.Pass, reach.Read = false, true // only directories lead anywhere
	}
	if err := s.rights(c, reach); errors.Is(err, user.ErrDenied) {
		return syscall.EACCES
	} else if err != nil {
		return syscall.EIO
	}
	return nil
}

// hide is the error of a walk that has failed at a place: EACCES where the caller may
// not know whether something is there.
func (s *System) hide(want access, at place, err error) error {
	if want == bySystem || at.parent == nil {
		return err
	}
	if denied := s.permit(toRead, at, nil); denied != nil {
		return denied
	}
	return err
}

// pathAt is the path of n, or of what is to be made at the place. Of the past it is the
// path in the present: the rights are those of now.
func (s *System) pathAt(at place, n node) (name string, err error) {
	switch {
	case n != nil && isDirectory(n):
		name, err = s.pathOf(n)
	case at.parent == nil || at.newName() != nil:
		return "", syscall.EACCES // by /proc/self/fd, and moved since
	default:
		if name, err = s.pathOf(at.parent); err == nil {
			name = path.Join(name, at.last)
		}
	}
	if rest, past := strings.CutPrefix(name+"/", "/.at/"); past && err == nil {
		_, rest, _ = strings.Cut(rest, "/")
		name = path.Join("/", rest)
	}
	return name, err
}

// everybodys tells whether all may do that: look at what the system is made of, as far
// as its mode lets others, and use the devices that are nobody's.
func everybodys(name string, want access, n node) bool {
	if n != nil && n.Mode()&syscall.S_IFMT == syscall.S_IFCHR {
		switch n.Attr().Device {
		case deviceNull, deviceZero, deviceFull, deviceRandom, deviceURandom:
			return true
		}
	}
	if want&toEdit != 0 || n != nil && n.Mode()&0o004 == 0 {
		return false
	}
	for _, top := range []string{"/dev", "/etc", "/proc", "/sys", "/usr"} {
		if rest, ok := strings.CutPrefix(name, top); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// permitDescriptor asks for a change to the attributes of what a descriptor was opened
// on. Who has opened it to write may; else it is asked for by the path, if it is still
// there.
func (s *System) permitDescriptor(fd uintptr, n node) error {
	if _, ok := s.asked(); !ok {
		return nil
	}
	f, e := s.file(fd)
	if e != 0 {
		return e
	}
	defer f.release()
	if f.writable() {
		return nil
	}
	w := walker{s: s}
	if found, err := w.whole(s.root, path.Clean(f.path), true); err != nil || found != n {
		w.found = s.placeOf(n)
	}
	return s.permit(toEdit, w.found, n)
}
