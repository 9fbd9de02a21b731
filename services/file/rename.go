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
	if err := fs.enter(2*inodeCost + nameCost + MaxName); err != nil {
		return err
	}
	defer fs.leave()
	return fs.rename(from, name, to, newName, flags)
}

// rename is Rename inside the gate.
func (fs *FS) rename(from *Inode, name string, to *Inode, newName string, flags uint32) error {
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
	now := r.fs.now()
	if r.replaced != nil {
		if err := r.replaced.removable(r.moved.isDirectory()); err != nil {
			return err
		}
		r.to.grow(r.replaced, -1, now)
	}
	r.from.grow(r.moved, -1, now)
	r.to.grow(r.moved, +1, now)
	r.place(r.moved, r.to, now)
	r.from.name(r.name, nil, true)
	r.to.name(r.newName, r.moved, r.replaced != nil)
	r.tell(Renamed)
	if r.replaced != nil {
		r.replaced.unlinked(now)
		r.replaced.misplace(r.to, r.newName)
	}
	return nil
}

func (r *renaming) exchange() error {
	now := r.fs.now()
	r.from.grow(r.moved, -1, now)
	r.to.grow(r.moved, +1, now)
	r.to.grow(r.replaced, -1, now)
	r.from.grow(r.replaced, +1, now)
	r.place(r.moved, r.to, now)
	r.place(r.replaced, r.from, now)
	r.to.name(r.newName, r.moved, true)
	r.from.name(r.name, r.replaced, true)
	r.tell(Exchange)
	return nil
}

func (r *renaming) tell(kind NoticeKind) {
	n := Notice{
		Kind: kind, Inode: r.moved, Directory: r.moved.isDirectory(), Dir: r.from, Name: r.name,
		To: r.to, NewName: r.newName, Other: r.replaced,
	}
	n.OtherDir = n.Other != nil && n.Other.isDirectory()
	r.fs.tell(n)
}

// place notes where a moved inode now is.
func (r *renaming) place(n, parent *Inode, now int64) {
	n.record.Changed = now
	if n.record.Type() == syscall.S_IFDIR || n.record.Links == 1 {
		n.record.parent = parent.number
	}
	r.fs.journal.touch(n)
}
