package file

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"syscall"
)

// ImportTar unpacks a tar stream below the directory. Files that exist are
// overwritten, directories are merged. Names that lead out of the directory
// are refused; owners, modes, modification times, hard and symbolic links
// are kept. What was unpacked before an error stays.
func (n *Inode) ImportTar(r io.Reader) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("file: tar: %w", err)
		}
		if err := n.importEntry(h, t); err != nil {
			return fmt.Errorf("file: tar: %q: %w", h.Name, err)
		}
	}
}

func (n *Inode) importEntry(h *tar.Header, r io.Reader) error {
	name := path.Clean("/" + h.Name)[1:]
	if strings.Contains("/"+h.Name+"/", "/../") {
		return syscall.EINVAL
	}
	if name == "" { // the directory itself
		return nil
	}
	parent, err := n.makeAll(path.Dir(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	perm := uint32(h.Mode) & 07777
	what := New{UID: uint32(h.Uid), GID: uint32(h.Gid)}
	switch h.Typeflag {
	case tar.TypeDir:
		what.Mode = syscall.S_IFDIR | perm
	case tar.TypeReg:
		what.Mode = syscall.S_IFREG | perm
	case tar.TypeSymlink:
		what.Mode, what.Target = syscall.S_IFLNK|0o777, h.Linkname
	case tar.TypeLink:
		return n.importLink(parent, base, h.Linkname)
	default:
		return syscall.ENOTSUP
	}
	child, err := parent.replace(base, what)
	if err != nil {
		return err
	}
	return child.importContents(h, what, r)
}

func (n *Inode) importContents(h *tar.Header, what New, r io.Reader) error {
	if h.Typeflag == tar.TypeReg {
		if _, err := io.Copy(&writerAt{n, 0}, r); err != nil {
			return err
		}
	}
	return n.Update(func(a *Attr) {
		a.Mode, a.UID, a.GID = what.Mode, what.UID, what.GID
		a.Accessed, a.Modified = h.ModTime.UnixNano(), h.ModTime.UnixNano()
	})
}

func (n *Inode) importLink(parent *Inode, base, target string) error {
	existing, err := n.walk(path.Clean("/" + target)[1:])
	if err != nil {
		return err
	}
	if err := parent.Unlink(base); err != nil && err != syscall.ENOENT {
		return err
	}
	return parent.Link(base, existing)
}

// walk finds a clean relative path without following links.
func (n *Inode) walk(name string) (*Inode, error) {
	for part := range strings.SplitSeq(name, "/") {
		child, err := n.Lookup(part)
		if err != nil {
			return nil, err
		}
		n = child
	}
	return n, nil
}

// makeAll finds a directory by a clean relative path, making what is missing.
func (n *Inode) makeAll(name string) (*Inode, error) {
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		child, err := n.Lookup(part)
		if err == syscall.ENOENT {
			child, err = n.Create(part, New{Mode: syscall.S_IFDIR | 0o755})
		}
		if err != nil {
			return nil, err
		}
		n = child
	}
	return n, nil
}

// replace makes an inode in place of what has the name; a directory stays
// if a directory is wanted.
func (n *Inode) replace(name string, what New) (*Inode, error) {
	existing, err := n.Lookup(name)
	if err == nil && existing.Mode()&what.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		return existing, nil
	}
	if err == nil {
		err = n.Unlink(name)
	}
	if err != nil && err != syscall.ENOENT {
		return nil, err
	}
	return n.Create(name, what)
}

// writerAt writes a stream into a file.
type writerAt struct {
	inode *Inode
	at    int64
}

func (w *writerAt) Write(p []byte) (int, error) {
	n, err := w.inode.WriteAt(p, w.at)
	w.at += int64(n)
	return n, err
}

// ReadFrom makes io.Copy use pieces of one change.
func (w *writerAt) ReadFrom(r io.Reader) (total int64, err error) {
	buffer := make([]byte, maxStep)
	for {
		m, err := io.ReadFull(r, buffer)
		if n, werr := w.Write(buffer[:m]); werr != nil {
			return total + int64(n), werr
		}
		total += int64(m)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
