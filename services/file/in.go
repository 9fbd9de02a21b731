package file

import (
	"context"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// Tx changes files as a part of a transaction that may change other rows, too:
//
//	_, err := fs.Update(ctx, op, func(tx *table.Tx, files *file.Tx) error {
//		if err := notes.Insert(tx, &note); err != nil {
//			return err
//		}
//		f, err := files.Create(dir, "note", file.New{Mode: syscall.S_IFREG | 0o644})
//		if err == nil {
//			_, err = files.WriteAt(f, text, 0)
//		}
//		return err
//	})
//
// Its methods are those of Inode and FS. It is of no use after the function has
// returned.
type Tx struct {
	fs *FS
	tx *table.Tx
}

// In returns what changes files within a transaction that FS.Update has begun; nil in
// any other.
func (fs *FS) In(tx *table.Tx) *Tx {
	if running := fs.running.Load(); running != nil && running.tx == tx {
		return running
	}
	return nil
}

// Update runs fn as one serializable transaction over files and rows. It is durable,
// and shown to others, whole or not at all; but who reads files without locking them
// may see what it has changed a moment before it is stored, or before it is undone.
// All other calls that change files wait meanwhile, so fn must be short. It may be run
// again. Errors are those of table.DB.Update, and what fn returned.
func (fs *FS) Update(ctx context.Context, op *engine.Op, fn func(tx *table.Tx, files *Tx) error) (v engine.Version, err error) {
	err = fs.alone(func() error {
		var w writer
		dirty := false
		v, err = fs.db.Update(ctx, op, func(tx *table.Tx) error {
			if dirty { // it is run again
				if err := fs.discard(); err != nil {
					return err
				}
			}
			dirty = true
			running := &Tx{fs, tx}
			fs.running.Store(running)
			defer fs.running.Store(nil)
			if err := fn(tx, running); err != nil {
				return err
			}
			g := fs.takeAlone()
			if g == nil {
				w = writer{}
				return nil
			}
			w = writer{fs: fs, group: g}
			return w.write(tx)
		})
		if err != nil {
			return firstError(err, fs.discardAfter(err))
		}
		if w.group != nil {
			fs.stored(&w, op == nil || !op.NoWait)
		}
		return nil
	})
	return v, err
}

// discardAfter undoes in memory what a failed transaction has changed.
func (fs *FS) discardAfter(cause error) error {
	err := fs.discard()
	if err != nil {
		_ = fs.broken(err) // nothing can be trusted any more
	}
	return cause
}

// Create is Inode.Create.
func (t *Tx) Create(dir *Inode, name string, what New) (*Inode, error) { return dir.create(name, what) }

// Link is Inode.Link.
func (t *Tx) Link(dir *Inode, name string, child *Inode) error { return dir.link(name, child) }

// Unlink is Inode.Unlink.
func (t *Tx) Unlink(dir *Inode, name string) error { return dir.removeName(name, false) }

// Rmdir is Inode.Rmdir.
func (t *Tx) Rmdir(dir *Inode, name string) error { return dir.removeName(name, true) }

// Rename is FS.Rename.
func (t *Tx) Rename(from *Inode, name string, to *Inode, newName string, flags uint32) error {
	return t.fs.rename(from, name, to, newName, flags)
}

// Truncate is Inode.Truncate.
func (t *Tx) Truncate(n *Inode, size int64) error { return n.truncate(size) }

// SetAttr is Inode.Update.
func (t *Tx) SetAttr(n *Inode, fn func(a *Attr)) error { return n.update(fn) }

// WriteAt is Inode.WriteAt; a long write is whole, too.
func (t *Tx) WriteAt(n *Inode, p []byte, off int64) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.put(p, off, &loadedChunks{}); err != nil {
		return 0, err
	}
	return len(p), nil
}
