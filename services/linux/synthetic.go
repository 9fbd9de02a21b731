package linux

import (
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
)

// synthetic is an inode of /proc or /sys, whose contents are made when it is
// opened. Exactly one of children, content and target is set.
type synthetic struct {
	fs     *syntheticFS
	name   string
	number uint64
	mode   uint32
	parent *synthetic // nil for the root

	children func() []*synthetic
	content  func() []byte
	target   func() string
	find     func(name string) (node, error) // a child that is not listed, nil if there are none
	leads    func() node                     // where the link goes past its text, nil if nowhere
}

// syntheticFS is one such tree.
type syntheticFS struct {
	s      *System
	device uint64
	root   *synthetic
	next   atomic.Uint64 // the last inode number
}

func (t *syntheticFS) add(n *synthetic) *synthetic {
	n.fs, n.number = t, t.next.Add(1)
	return n
}

// dir makes a directory with fixed contents.
func (t *syntheticFS) dir(name string, children ...*synthetic) *synthetic {
	n := t.add(&synthetic{name: name, mode: syscall.S_IFDIR | 0o555})
	for _, c := range children {
		c.parent = n
	}
	n.children = func() []*synthetic { return children }
	return n
}

// later makes a directory whose contents are made when it is first looked into: most
// never are, and making them all would be a good part of a boot.
func (t *syntheticFS) later(name string, children func() []*synthetic) *synthetic {
	n := t.add(&synthetic{name: name, mode: syscall.S_IFDIR | 0o555})
	n.children = sync.OnceValue(func() []*synthetic {
		all := children()
		for _, c := range all {
			c.parent = n
		}
		return all
	})
	return n
}

// text makes a file; content is called anew for each open.
func (t *syntheticFS) text(name string, content func() string) *synthetic {
	return t.add(&synthetic{name: name, mode: syscall.S_IFREG | 0o444,
		content: func() []byte { return []byte(content()) }})
}

// link makes a symbolic link.
func (t *syntheticFS) link(name string, target func() string) *synthetic {
	return t.add(&synthetic{name: name, mode: syscall.S_IFLNK | 0o777, target: target})
}

func (n *synthetic) Attr() file.Attr {
	a := file.Attr{Number: n.number, Mode: n.mode, Links: 1}
	if n.children != nil {
		a.Links = 2
	}
	at := n.fs.s.machine.Started().UnixNano()
	a.Accessed, a.Modified, a.Changed, a.Born = at, at, at, at
	return a
}

func (n *synthetic) Mode() uint32 { return n.mode }

func (n *synthetic) device() uint64 { return n.fs.device }

func (n *synthetic) Lookup(name string) (node, error) {
	if n.children == nil {
		return nil, syscall.ENOTDIR
	}
	for _, c := range n.children() {
		if c.name == name {
			return c, nil
		}
	}
	if n.find != nil {
		return n.find(name)
	}
	return nil, syscall.ENOENT
}

// Parent of the root is the directory that holds the mount.
func (n *synthetic) Parent() (node, error) {
	switch {
	case n.children == nil:
		return nil, syscall.ENOTDIR
	case n.parent == nil:
		return n.fs.s.root, nil
	}
	return n.parent, nil
}

func (n *synthetic) Readlink() (string, error) {
	if n.target == nil {
		return "", syscall.EINVAL
	}
	return n.target(), nil
}

func (n *synthetic) ReadDir(position int64, emit func(file.Entry) bool) error {
	if n.children == nil {
		return syscall.ENOTDIR
	}
	for i, c := range n.children() {
		at := int64(file.FirstPosition + i)
		if at <= position {
			continue
		}
		if !emit(file.Entry{Name: c.name, Number: c.number, Mode: c.mode & syscall.S_IFMT, Position: at}) {
			break
		}
	}
	return nil
}

func (n *synthetic) open(flags uint32) (Description, error) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return nil, syscall.EACCES
	}
	return &syntheticFile{n, n.content()}, nil
}

// syntheticFile is an open file with the contents of the moment of opening.
type syntheticFile struct {
	n    *synthetic
	data []byte
}

func (f *syntheticFile) node() node                 { return f.n }
func (f *syntheticFile) Read(p []byte) (int, error) { return f.ReadAt(p, 0) }
func (f *syntheticFile) Write([]byte) (int, error)  { return 0, syscall.EBADF }
func (f *syntheticFile) Ready() uint32              { return syscall.EPOLLIN }
func (f *syntheticFile) Close() error               { return nil }

func (f *syntheticFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(f.data)) {
		return 0, nil
	}
	return copy(p, f.data[off:]), nil
}

func (f *syntheticFile) Size() (int64, error)              { return 0, nil }
func (f *syntheticFile) SeekData(off int64) (int64, error) { return 0, syscall.EINVAL }
func (f *syntheticFile) SeekHole(off int64) (int64, error) { return 0, syscall.EINVAL }

func (f *syntheticFile) Stat(st *syscall.Stat_t) error {
	a := f.n.Attr()
	fillStat(st, f.n.device(), &a)
	return nil
}
