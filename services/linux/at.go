package linux

import (
	"strings"
	"sync"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
)

// The directory /.at has no entries that are listed, but any moment of the past as a
// name: /.at/-10m is the root directory of ten minutes ago, read-only
// (file.ParseTime has the forms). Symbolic links with a path from the root lead to the
// present.

// deviceAt is the st_dev of /.at itself; each moment has one above.
const deviceAt = 0x0100_0000

// pasts are the moments that somebody looks at.
type pasts struct {
	mu    sync.Mutex
	known map[string]*past // by version
	made  uint64
}

// past is one moment.
type past struct {
	*file.Past
	s      *System
	dir    *synthetic // /.at
	name   string     // under which it was looked for first
	number uint64
}

// mostPasts is how many moments are remembered. One that is forgotten goes on for who
// uses it, and has another st_dev the next time.
const mostPasts = 64

func (s *System) newAt() *synthetic {
	t := &syntheticFS{s: s, device: deviceAt}
	t.root = t.dir("")
	t.root.find = func(name string) (node, error) { return s.findPast(t.root, name) }
	return t.root
}

// findPast returns the root directory of a moment.
func (s *System) findPast(dir *synthetic, name string) (node, error) {
	at, err := file.ParseTime(name, s.now())
	if err != nil {
		return nil, syscall.ENOENT
	}
	found, err := s.files.At(at)
	if err != nil {
		return nil, err
	}
	s.pasts.mu.Lock()
	defer s.pasts.mu.Unlock()
	key := string(found.Version())
	p := s.pasts.known[key]
	if p == nil {
		if len(s.pasts.known) >= mostPasts || s.pasts.known == nil {
			s.pasts.known = map[string]*past{}
		}
		s.pasts.made++
		p = &past{Past: found, s: s, dir: dir, name: strings.Clone(name), number: s.pasts.made}
		s.pasts.known[key] = p
	}
	return p.node(found.Root())
}

func (p *past) node(number uint64) (node, error) {
	n, err := p.Inode(number)
	if err != nil {
		return nil, err
	}
	return pastNode{p, number, n.Mode()}, nil
}

// pastNode is an inode of a moment of the past.
type pastNode struct {
	past   *past
	number uint64
	mode   uint32
}

// inode reads the inode; one that is no longer kept has no attributes but its number.
func (n pastNode) inode() (*file.PastInode, error) { return n.past.Inode(n.number) }

func (n pastNode) Attr() file.Attr {
	i, err := n.inode()
	if err != nil {
		return file.Attr{Number: n.number, Mode: n.mode}
	}
	return i.Attr()
}

func (n pastNode) Mode() uint32   { return n.mode }
func (n pastNode) device() uint64 { return deviceAt + n.past.number }

func (n pastNode) Lookup(name string) (node, error) {
	i, err := n.inode()
	if err != nil {
		return nil, err
	}
	number, err := i.Lookup(name)
	if err != nil {
		return nil, err
	}
	return n.past.node(number)
}

// Parent of the root is /.at.
func (n pastNode) Parent() (node, error) {
	if n.number == n.past.Root() {
		return n.past.dir, nil
	}
	i, err := n.inode()
	if err != nil {
		return nil, err
	}
	number, err := i.Parent()
	if err != nil {
		return nil, err
	}
	return n.past.node(number)
}

func (n pastNode) Readlink() (string, error) {
	i, err := n.inode()
	if err != nil {
		return "", err
	}
	return i.Readlink()
}

func (n pastNode) Xattr(name string) ([]byte, error) {
	i, err := n.inode()
	if err != nil {
		return nil, err
	}
	return i.Xattr(name)
}

func (n pastNode) Xattrs() ([]string, error) {
	i, err := n.inode()
	if err != nil {
		return nil, err
	}
	return i.Xattrs()
}

func (n pastNode) ReadDir(position int64, emit func(file.Entry) bool) error {
	i, err := n.inode()
	if err != nil {
		return err
	}
	return i.ReadDir(position, emit)
}

func (n pastNode) open(flags uint32) (Description, error) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY || flags&syscall.O_TRUNC != 0 {
		return nil, syscall.EROFS
	}
	i, err := n.inode()
	if err != nil {
		return nil, err
	}
	return &pastFile{n, i}, nil
}

// pastFile is an open file of the past.
type pastFile struct {
	n     pastNode
	inode *file.PastInode
}

func (f *pastFile) node() node                              { return f.n }
func (f *pastFile) Read(p []byte) (int, error)              { return f.ReadAt(p, 0) }
func (f *pastFile) Write([]byte) (int, error)               { return 0, syscall.EBADF }
func (f *pastFile) Ready() uint32                           { return syscall.EPOLLIN }
func (f *pastFile) Close() error                            { return nil }
func (f *pastFile) ReadAt(p []byte, off int64) (int, error) { return f.inode.ReadAt(p, off) }
func (f *pastFile) Size() (int64, error)                    { return f.inode.Attr().Size, nil }

// SeekData and SeekHole take the file for one without holes, as they may.
func (f *pastFile) SeekData(off int64) (int64, error) {
	if off < 0 || off >= f.inode.Attr().Size {
		return 0, syscall.ENXIO
	}
	return off, nil
}

func (f *pastFile) SeekHole(off int64) (int64, error) {
	size := f.inode.Attr().Size
	if off < 0 || off >= size {
		return 0, syscall.ENXIO
	}
	return size, nil
}

func (f *pastFile) Stat(st *syscall.Stat_t) error {
	a := f.inode.Attr()
	fillStat(st, f.n.device(), &a)
	return nil
}
