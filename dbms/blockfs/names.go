package blockfs

import (
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walCategory is how Pebble marks the write-ahead logs it creates.
const walCategory vfs.DiskWriteCategory = "pebble-wal"

// lookup finds the inode of a name; fs.mu is held. Names are slash-separated;
// "", "." and "/" are the root, a leading slash makes no difference.
func (fs *FS) lookup(name string) (*inode, error) {
	at := fs.tree.root
	for part := range strings.SplitSeq(strings.TrimPrefix(path.Clean("/"+name), "/"), "/") {
		if part == "" {
			break
		}
		if !at.isDir() {
			return nil, syscall.ENOTDIR
		}
		if at = at.children[part]; at == nil {
			return nil, syscall.ENOENT
		}
	}
	return at, nil
}

// parent finds the directory that a name is in, and its last element.
func (fs *FS) parent(name string) (*inode, string, error) {
	dir, base := path.Split(path.Clean("/" + name))
	if base == "" {
		return nil, "", syscall.EEXIST // the root is in no directory
	}
	d, err := fs.lookup(dir)
	if err == nil && !d.isDir() {
		err = syscall.ENOTDIR
	}
	return d, base, err
}

// change runs f, which makes changes, with fs.mu held. Its records reach the
// device together or not at all.
func (fs *FS) change(op, name string, f func() error) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	err := fs.usable()
	if err == nil {
		err = f()
	}
	if err == nil && len(fs.batch) > maxBatchBytes {
		err = fs.commitLocked(fs.op)
	}
	return pathError(op, name, err)
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

// Create implements vfs.FS. A file that exists is replaced by a new one, in one
// step. Files of category "pebble-wal" become logs; see the package comment.
func (fs *FS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	var f *file
	err := fs.change("create", name, func() error {
		kind := kindFile
		if category == walCategory {
			kind = kindLog
		}
		in, err := fs.replace(name, kind)
		if err == nil {
			f = fs.newFile(in, name, true)
			f.log = kind == kindLog
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// replace makes a new file under a name, in the place of what file is there.
func (fs *FS) replace(name string, kind fileKind) (*inode, error) {
	dir, base, err := fs.parent(name)
	if err == nil {
		err = checkName(base)
	}
	if err == nil {
		err = fs.roomFor(&record{op: opCreate, name: base})
	}
	if err != nil {
		return nil, err
	}
	if old := dir.children[base]; old != nil {
		if old.isDir() {
			return nil, syscall.EISDIR
		}
		if err := fs.apply(record{op: opUnlink, dir: dir.id, name: base}, old); err != nil {
			return nil, err
		}
	}
	return fs.createIn(dir, base, kind)
}

// createIn makes a new inode under a name that is not taken; fs.mu is held.
func (fs *FS) createIn(dir *inode, name string, kind fileKind) (*inode, error) {
	id := fs.tree.next
	err := fs.apply(record{op: opCreate, kind: kind, inode: id, mtime: time.Now().UnixNano(), dir: dir.id, name: name}, nil)
	if err != nil {
		return nil, err
	}
	in := fs.tree.inodes[id]
	in.lastOp = fs.op
	return in, nil
}

// Link implements vfs.FS.
func (fs *FS) Link(oldname, newname string) error {
	return fs.change("link", newname, func() error {
		in, err := fs.lookup(oldname)
		if err != nil {
			return err
		}
		dir, base, err := fs.parent(newname)
		if err != nil {
			return err
		}
		return fs.apply(record{op: opLink, inode: in.id, dir: dir.id, name: base}, in)
	})
}

// Open implements vfs.FS: for reading, also directories. With
// vfs.SequentialReadsOption the handle reads ahead.
func (fs *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	var f *file
	fs.mu.Lock()
	in, err := fs.lookup(name)
	if err == nil && fs.closed {
		err = os.ErrClosed
	}
	if err == nil {
		f = fs.newFile(in, name, false)
	}
	fs.mu.Unlock()
	if err != nil {
		return nil, pathError("open", name, err)
	}
	for _, o := range opts {
		o.Apply(f)
		if o == vfs.SequentialReadsOption && !f.in.isDir() {
			f.ahead = new(readAhead)
		}
	}
	return f, nil
}

// OpenReadWrite implements vfs.FS.
func (fs *FS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	var f *file
	err := fs.change("open", name, func() error {
		in, err := fs.findOrCreate(name)
		if err == nil {
			f = fs.newFile(in, name, true)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, o := range opts {
		o.Apply(f)
	}
	return f, nil
}

// findOrCreate finds a file, or makes one; fs.mu is held.
func (fs *FS) findOrCreate(name string) (*inode, error) {
	dir, base, err := fs.parent(name)
	if err != nil {
		return nil, err
	}
	in := dir.children[base]
	switch {
	case in == nil:
		return fs.createIn(dir, base, kindFile)
	case in.isDir():
		return nil, syscall.EISDIR
	}
	return in, nil
}

// OpenDir implements vfs.FS. Sync of the directory makes all changes of names
// durable that were made before, in this directory and elsewhere.
func (fs *FS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	if !f.(*file).in.isDir() {
		return nil, pathError("opendir", name, errors.Join(syscall.ENOTDIR, f.Close()))
	}
	return f, nil
}

// Remove implements vfs.FS: a file or an empty directory. An open file stays
// usable, and keeps its blocks, until it is closed.
func (fs *FS) Remove(name string) error {
	return fs.change("remove", name, func() error {
		dir, base, err := fs.parent(name)
		if err != nil {
			return err
		}
		return fs.apply(record{op: opUnlink, dir: dir.id, name: base}, dir.children[base])
	})
}

// RemoveAll implements vfs.FS. The whole tree goes in one step.
func (fs *FS) RemoveAll(name string) error {
	return fs.change("removeall", name, func() error {
		dir, base, err := fs.parent(name)
		if err == syscall.EEXIST { // the root itself stays
			return fs.removeChildren(fs.tree.root)
		}
		if err == syscall.ENOENT || err == syscall.ENOTDIR || err == nil && dir.children[base] == nil {
			return nil
		}
		if err != nil {
			return err
		}
		return fs.removeTree(dir, base)
	})
}

func (fs *FS) removeTree(dir *inode, name string) error {
	in := dir.children[name]
	if err := fs.removeChildren(in); err != nil {
		return err
	}
	return fs.apply(record{op: opUnlink, dir: dir.id, name: name}, in)
}

func (fs *FS) removeChildren(dir *inode) error {
	for _, name := range sortedNames(dir.children) {
		if err := fs.removeTree(dir, name); err != nil {
			return err
		}
	}
	return nil
}

// Rename implements vfs.FS. It is atomic: at any time, also after a crash, the
// new name leads to the old or to the new file.
func (fs *FS) Rename(oldname, newname string) error {
	return fs.change("rename", oldname, func() error {
		_, err := fs.rename(oldname, newname)
		return err
	})
}

func (fs *FS) rename(oldname, newname string) (*inode, error) {
	from, base, err := fs.parent(oldname)
	if err != nil {
		return nil, err
	}
	to, toBase, err := fs.parent(newname)
	if err != nil {
		return nil, err
	}
	in, over := from.children[base], to.children[toBase]
	err = fs.apply(record{op: opRename, dir: from.id, name: base, toDir: to.id, toName: toBase}, in)
	if err == nil && over != nil {
		over.lastOp = fs.op // it lost a name, and may have others
	}
	return in, err
}

// ReuseForWrite implements vfs.FS: the file keeps its blocks and its content,
// and is written over from the start.
func (fs *FS) ReuseForWrite(oldname, newname string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	var f *file
	err := fs.change("reuse", oldname, func() error {
		in, err := fs.rename(oldname, newname)
		if err != nil {
			return err
		}
		if in.isDir() {
			return syscall.EISDIR
		}
		f = fs.newFile(in, newname, true)
		f.log = in.kind == kindLog
		return nil
	})
	if err != nil {
		return nil, err
	}
	if f.log {
		// The length goes ahead of the writer again; see doc.go.
		if _, err := fs.flushOut(f.in, true); err != nil {
			return nil, pathError("reuse", newname, errors.Join(err, f.Close()))
		}
	}
	return f, nil
}

// MkdirAll implements vfs.FS. Permissions are not kept: the volume has one user.
func (fs *FS) MkdirAll(dir string, _ os.FileMode) error {
	return fs.change("mkdir", dir, func() error {
		at := fs.tree.root
		for part := range strings.SplitSeq(strings.TrimPrefix(path.Clean("/"+dir), "/"), "/") {
			if part == "" {
				break
			}
			next := at.children[part]
			if next == nil {
				var err error
				if next, err = fs.createIn(at, part, kindDir); err != nil {
					return err
				}
			}
			if !next.isDir() {
				return syscall.ENOTDIR
			}
			at = next
		}
		return nil
	})
}

// Lock implements vfs.FS: a lock held by this FS, on a file that is made if need
// be. It gives EAGAIN where the file is locked already.
func (fs *FS) Lock(name string) (io.Closer, error) {
	var l *lock
	err := fs.change("lock", name, func() error {
		in, err := fs.findOrCreate(name)
		if err != nil {
			return err
		}
		if in.locked {
			return syscall.EAGAIN
		}
		in.locked = true
		l = &lock{fs, in}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// lock is a lock held.
type lock struct {
	fs *FS
	in *inode
}

// Close gives the lock up.
func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if !l.in.locked {
		return os.ErrClosed
	}
	l.in.locked = false
	return nil
}

// List implements vfs.FS: the names in a directory, sorted.
func (fs *FS) List(dir string) ([]string, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	in, err := fs.lookup(dir)
	if err == nil && !in.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	return sortedNames(in.children), nil
}

// Stat implements vfs.FS.
func (fs *FS) Stat(name string) (vfs.FileInfo, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	in, err := fs.lookup(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return in.info(path.Base(path.Clean("/" + name))), nil
}

// PathBase implements vfs.FS.
func (fs *FS) PathBase(p string) string { return path.Base(p) }

// PathJoin implements vfs.FS.
func (fs *FS) PathJoin(elem ...string) string { return path.Join(elem...) }

// PathDir implements vfs.FS.
func (fs *FS) PathDir(p string) string { return path.Dir(p) }
