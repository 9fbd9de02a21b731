package file

import (
	"context"
	"slices"

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
	fs    *FS
	tx    *table.Tx
	moved []misplaced
}

// misplaced is an inode whose names the transaction changes, and where it was before.
type misplaced struct {
	inode *Inode
	from  *place
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
		var running *Tx
		v, err = fs.db.Update(ctx, op, func(tx *table.Tx) error {
			if running != nil { // it is run again
				if err := running.undo(); err != nil {
					return err
				}
			}
			running = &Tx{fs: fs, tx: tx}
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
			return firstError(err, running.undoAfter(err))
		}
		if w.group != nil {
			fs.stored(&w, op == nil || !op.NoWait)
		}
		return nil
	})
	return v, err
}

// undo takes back in memory what the transaction has changed.
func (t *Tx) undo() error {
	for _, m := range slices.Backward(t.moved) {
		m.inode.placed.Store(m.from)
	}
	return t.fs.discard()
}

// undoAfter is undo of a transaction that has failed, or that has not begun (nil).
func (t *Tx) undoAfter(cause error) error {
	if t == nil {
		return cause
	}
	if err := t.undo(); err != nil {
		_ = t.fs.broken(err) // nothing can be trusted any more
	}
	return cause
}

// Create is Inode.Create.
func (t *Tx) Create(dir *Inode, name string, what New) (*Inode, error) { return dir.create(name, what) }

// Link is Inode.Link.
func (t *Tx) Link(dir *Inode, name string, child *Inode) error {
	t.moves(child)
	return dir.link(name, child)
}

// Unlink is Inode.Unlink.
func (t *Tx) Unlink(dir *Inode, name string) error {
	t.movesAt(dir, name)
	return dir.removeName(name, false)
}

// Rmdir is Inode.Rmdir.
func (t *Tx) Rmdir(dir *Inode, name string) error { return dir.removeName(name, true) }

// Rename is FS.Rename.
func (t *Tx) Rename(from *Inode, name string, to *Inode, newName string, flags uint32) error {
	t.movesAt(from, name)
	t.movesAt(to, newName)
	return t.fs.rename(from, name, to, newName, flags)
}

// moves keeps where an inode is that may be about to move.
func (t *Tx) moves(n *Inode) { t.moved = append(t.moved, misplaced{n, n.placed.Load()}) }

func (t *Tx) movesAt(dir *Inode, name string) {
	if n, err := dir.Lookup(name); err == nil {
		t.moves(n)
	}
}

// Truncate is Inode.Truncate.
func (t *Tx) Truncate(n *Inode, size int64) error {
	if err := n.truncate(size); err != nil {
		return err
	}
	t.tell(Modified, n)
	return nil
}

// SetAttr is Inode.Update.
func (t *Tx) SetAttr(n *Inode, fn func(a *Attr)) error {
	if err := n.update(fn); err != nil {
		return err
	}
	t.tell(Altered, n)
	return nil
}

func (t *Tx) tell(kind NoticeKind, n *Inode) {
	t.fs.tell(Notice{Kind: kind, Inode: n, Directory: n.isDirectory()})
}

// WriteAt is Inode.WriteAt; a long write is whole, too.
func (t *Tx) WriteAt(n *Inode, p []byte, off int64) (int, error) {
	n.lock()
	defer n.mu.Unlock()
	if err := n.put(p, off, &loadedChunks{}); err != nil {
		return 0, err
	}
	if len(p) > 0 {
		t.tell(Modified, n)
	}
	return len(p), nil
}
