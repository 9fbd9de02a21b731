package file

import "syscall"

// Flags of Rename, with Linux's values.
const (
	RenameNoReplace = 1 << 0 // EEXIST rather than replace
	RenameExchange  = 1 << 1 // swap the two names
)

// Rename moves a name, replacing what the new one referred to, in one
// change: a crash leaves either all or nothing of it. Renaming to another
// name of the same inode does nothing, as POSIX wants. EINVAL if a directory
// would move into itself.
func (fs *FS) Rename(from *Inode, name string, to *Inode, newName string, flags uint32) error {
	if err := firstError(checkName(name), checkName(newName)); err != nil {
		return err
	}
	if flags&^(RenameNoReplace|RenameExchange) != 0 || flags == RenameNoReplace|RenameExchange {
		return syscall.EINVAL
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	r, err := fs.prepareRename(from, name, to, newName, flags)
	if err != nil || r.moved == r.replaced {
		return err
	}
	defer lockAll(from, to, r.moved, r.replaced)()
	if err := to.writableDirectory(); err != nil {
		return err
	}
	if flags&RenameExchange != 0 {
		return r.exchange()
	}
	return r.move()
}

// renaming is a rename whose names have been looked up.
type renaming struct {
	fs            *FS
	from, to      *Inode
	name, newName string
	moved         *Inode
	replaced      *Inode // nil if the new name is free
}

// prepareRename looks the names up and checks that the tree stays a tree.
// FS.tree is held, so that what it finds stays true.
func (fs *FS) prepareRename(from *Inode, name string, to *Inode, newName string, flags uint32) (*renaming, error) {
	r := &renaming{fs: fs, from: from, to: to, name: name, newName: newName}
	var err error
	if r.moved, err = from.Lookup(name); err != nil {
		return nil, err
	}
	r.replaced, err = to.Lookup(newName)
	if err != nil && err != syscall.ENOENT {
		return nil, err
	}
	switch {
	case r.replaced != nil && flags&RenameNoReplace != 0:
		return nil, syscall.EEXIST
	case r.replaced == nil && flags&RenameExchange != 0:
		return nil, syscall.ENOENT
	}
	inside, err := fs.inside(to, r.moved)
	if err == nil && inside {
		err = syscall.EINVAL
	}
	if err != nil || r.replaced == nil {
		return r, err
	}
	if inside, err = fs.inside(from, r.replaced); err == nil && inside {
		err = syscall.ENOTEMPTY
		if flags&RenameExchange != 0 {
			err = syscall.EINVAL
		}
	}
	return r, err
}

// inside tells whether the directory is the other inode or lies below it.
func (fs *FS) inside(directory, other *Inode) (bool, error) {
	for directory != other {
		if directory.number == rootNumber || directory.Attr().Links == 0 {
			return false, nil
		}
		parent, err := directory.Parent()
		if err != nil {
			return false, err
		}
		directory = parent
	}
	return true, nil
}

func (r *renaming) move() error {
	c, now := r.fs.begin(), r.fs.now()
	directory := r.moved.record.Type() == syscall.S_IFDIR
	if r.replaced != nil {
		if err := r.replaced.removable(directory); err != nil {
			return err
		}
		c.unlinked(r.replaced, now)
		r.account(c, r.to, r.replaced, -1, now)
	}
	r.account(c, r.from, r.moved, -1, now)
	r.account(c, r.to, r.moved, +1, now)
	r.place(c, r.moved, r.to, now)
	c.leave(r.from, r.name)
	c.enter(r.to, r.newName, r.moved)
	if err := c.commit(); err != nil {
		return err
	}
	r.from.remember(r.name, nil)
	r.to.remember(r.newName, r.moved)
	return nil
}

func (r *renaming) exchange() error {
	c, now := r.fs.begin(), r.fs.now()
	r.account(c, r.from, r.moved, -1, now)
	r.account(c, r.to, r.moved, +1, now)
	r.account(c, r.to, r.replaced, -1, now)
	r.account(c, r.from, r.replaced, +1, now)
	r.place(c, r.moved, r.to, now)
	r.place(c, r.replaced, r.from, now)
	c.enter(r.to, r.newName, r.moved)
	c.enter(r.from, r.name, r.replaced)
	if err := c.commit(); err != nil {
		return err
	}
	r.from.remember(r.name, r.replaced)
	r.to.remember(r.newName, r.moved)
	return nil
}

// account counts an entry of the directory in or out.
func (r *renaming) account(c *change, directory, child *Inode, by int, now int64) {
	next := c.latest(directory)
	next.grow(child, by, now)
	c.record(directory, next)
}

// place records where a moved inode now is.
func (r *renaming) place(c *change, n, parent *Inode, now int64) {
	next := c.latest(n)
	next.Changed = now
	if next.Type() == syscall.S_IFDIR {
		next.parent = parent.number
	}
	c.record(n, next)
}
