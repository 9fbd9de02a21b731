package file

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// Past is the tree of files as it was at some moment. It only reads. Errors are of
// type syscall.Errno: ESTALE once the past that it shows is no longer kept.
type Past struct {
	fs *FS
	at engine.Version
}

// Version is the version of the store that is shown.
func (p *Past) Version() engine.Version { return p.at }

// At returns the tree as it was at a time: with all changes that were stored until
// then. Those that are not stored yet are stored first, so that now is whole. ENOENT
// before everything that is kept.
func (fs *FS) At(t time.Time) (*Past, error) {
	if err := firstError(fs.saveImages(), fs.flush()); err != nil {
		return nil, err
	}
	v, err := fs.db.Engine().At(context.Background(), t)
	if err == nil {
		p := &Past{fs, v}
		err = p.view(func(tx *table.Tx) error {
			row, err := counters.Get(tx, uint64(1))
			if len(row.Undo) > 0 {
				p.at = engine.Version(row.Undo)
			}
			return err
		})
		if err == nil {
			_, err = p.Inode(rootNumber)
		}
		if err == nil {
			return p, nil
		}
	}
	return nil, syscall.ENOENT
}

// Root is the root directory.
func (p *Past) Root() uint64 { return rootNumber }

// view reads the store as it was.
func (p *Past) view(fn func(tx *table.Tx) error) error {
	err := p.fs.db.ViewAt(context.Background(), p.at, fn)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrTooOld), errors.Is(err, table.ErrNoTable), errors.Is(err, table.ErrNoCatalog):
		return syscall.ESTALE
	case errors.Is(err, table.ErrNotFound):
		return syscall.ENOENT
	case errors.As(err, new(syscall.Errno)):
		return err
	}
	return p.fs.damaged("the past: %v", err)
}

// Inode returns the inode of a number: ENOENT.
func (p *Past) Inode(number uint64) (*PastInode, error) {
	n := &PastInode{past: p}
	err := p.view(func(tx *table.Tx) error {
		row, err := inodes.Get(tx, number)
		if err == nil {
			n.record, err = recordOf(&row)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// PastInode is an inode as it was. It may be used from any goroutine.
type PastInode struct {
	past   *Past
	record record

	mu     sync.Mutex
	number uint64  // of the chunk that was read last, and one
	chunk  *extent // where it is
	row    DataRow // what was read last
}

// Attr returns the attributes.
func (n *PastInode) Attr() Attr { return n.record.Attr }

// Readlink returns the target of a symbolic link; EINVAL for anything else.
func (n *PastInode) Readlink() (string, error) {
	if n.record.Type() != syscall.S_IFLNK {
		return "", syscall.EINVAL
	}
	return n.record.target, nil
}

// Parent is the number of the directory that held this directory.
func (n *PastInode) Parent() (uint64, error) {
	if n.record.Type() != syscall.S_IFDIR {
		return 0, syscall.ENOTDIR
	}
	return n.record.parent, nil
}

// Lookup finds the number of a name: ENOENT, ENOTDIR, ENAMETOOLONG.
func (n *PastInode) Lookup(name string) (number uint64, err error) {
	switch {
	case n.record.Type() != syscall.S_IFDIR:
		return 0, syscall.ENOTDIR
	case len(name) > MaxName:
		return 0, syscall.ENAMETOOLONG
	}
	err = n.past.view(func(tx *table.Tx) error {
		row, err := entries.Get(tx, n.record.Number, nameHash(name), name)
		number = row.Inode
		return err
	})
	return number, err
}

// ReadDir lists the entries, as Inode.ReadDir does.
func (n *PastInode) ReadDir(position int64, emit func(Entry) bool) error {
	if n.record.Type() != syscall.S_IFDIR {
		return syscall.ENOTDIR
	}
	return n.past.view(func(tx *table.Tx) error { return list(tx, n.record.Number, position, emit) })
}

// ReadAt reads into p from offset off, as Inode.ReadAt does.
func (n *PastInode) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, syscall.EINVAL
	}
	if off >= n.record.Size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), n.record.Size-off)]
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.past.view(func(tx *table.Tx) error {
		for done := 0; done < len(p); {
			block, within := split(off + int64(done))
			m := min(len(p)-done, BlockSize-within)
			page, err := n.page(tx, block)
			if err != nil {
				return err
			}
			fill(p[done:done+m], page, within)
			done += m
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (n *PastInode) page(tx *table.Tx, block uint64) (_ []byte, err error) {
	number, i := block/chunkPages, block%chunkPages
	if n.number != number+1 {
		if n.chunk, err = readExtent(tx, n.record.Number, number); err != nil {
			return nil, err
		}
		n.number = number + 1
	}
	switch r := n.chunk.refs[i]; r.data {
	case 0:
		return nil, nil
	case inlined:
		return n.chunk.inline, nil
	default:
		if n.row.ID != r.data {
			if n.row, err = data.Get(tx, r.data); errors.Is(err, table.ErrNotFound) {
				return nil, engine.ErrTooOld
			} else if err != nil {
				return nil, err
			}
		}
		return pageOf(n.row.Bytes, int(r.index)), nil
	}
}

// Mode returns the type and permission bits.
func (n *PastInode) Mode() uint32 { return n.record.Mode }
