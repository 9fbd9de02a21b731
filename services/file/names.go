package file

import (
	"errors"
	"strings"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// nameKey is the key of the names cache.
type nameKey struct {
	directory uint64
	name      string
}

func (k nameKey) hash() uint64 { return nameHash(k.name) ^ k.directory }

// New describes an inode to be created.
type New struct {
	Mode     uint32 // type and permission bits
	UID, GID uint32
	Device   uint64 // for a device node
	Target   string // for a symbolic link
}

// checkName judges a name on its own, for a call that would make it.
func checkName(name string) error {
	switch {
	case len(name) > MaxName:
		return syscall.ENAMETOOLONG
	case name == "", name == ".", name == "..", strings.ContainsAny(name, "/\x00"):
		return syscall.EINVAL
	}
	return nil
}

// Lookup finds the inode of a name in the directory: ENOENT, ENOTDIR,
// ENAMETOOLONG. "." and ".." are the caller's to know. The name may be a
// view of memory that changes after the call.
func (n *Inode) Lookup(name string) (*Inode, error) {
	k := nameKey{n.number, name}
	if child, ok := n.fs.names.get(k.hash(), k); ok {
		if child == nil {
			return nil, syscall.ENOENT
		}
		return child, nil
	}
	n.rlock()
	defer n.mu.RUnlock()
	child, err := n.lookup(name)
	if err == nil && child == nil {
		err = syscall.ENOENT
	}
	return child, err
}

// lookup is Lookup with mu held, in either mode; no such name is nil.
func (n *Inode) lookup(name string) (*Inode, error) {
	switch {
	case n.record.Type() != syscall.S_IFDIR:
		return nil, syscall.ENOTDIR
	case len(name) > MaxName:
		return nil, syscall.ENAMETOOLONG
	}
	k := nameKey{n.number, name}
	if child, ok := n.fs.names.get(k.hash(), k); ok {
		return child, nil
	}
	child, err := n.load(name)
	if err != nil {
		return nil, err
	}
	k.name = strings.Clone(name)
	n.fs.names.putIf(k.hash(), k, child, 1, func() bool { return n.fs.era.Load() == n.era })
	if child != nil {
		child.placed.Store(&place{n, k.name})
	}
	return child, nil
}

// load finds a name that is not cached.
func (n *Inode) load(name string) (*Inode, error) {
	if child, known := n.fs.journal.findName(nameKey{n.number, name}); known {
		return child, nil
	}
	var row EntryRow
	err := n.fs.view(func(tx *table.Tx) (err error) {
		row, err = entries.Get(tx, n.number, nameHash(name), name)
		return err
	})
	if errors.Is(err, table.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, n.fs.damaged("entry %q of directory %d: %v", name, n.number, err)
	}
	return n.fs.inode(row.Inode)
}

// remember puts a name into the cache, which keeps it; child nil: it does not exist.
func (n *Inode) remember(name string, child *Inode) {
	k := nameKey{n.number, name}
	n.fs.names.put(k.hash(), k, child, 1)
	if child != nil {
		child.placed.Store(&place{n, name})
	}
}

// writableDirectory checks that entries may be added; mu is held.
func (n *Inode) writableDirectory() error {
	switch {
	case n.record.Type() != syscall.S_IFDIR:
		return syscall.ENOTDIR
	case n.record.Links == 0:
		return syscall.ENOENT
	}
	return nil
}

// Create makes an inode under a new name: EEXIST, ENOENT for a removed
// directory, ENOSPC.
func (n *Inode) Create(name string, what New) (*Inode, error) {
	if err := n.fs.enter(inodeCost + nameCost + MaxName + len(what.Target)); err != nil {
		return nil, err
	}
	defer n.fs.leave()
	return n.create(name, what)
}

// create is Create inside the gate.
func (n *Inode) create(name string, what New) (*Inode, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if len(what.Target) > MaxTarget {
		return nil, syscall.ENAMETOOLONG
	}
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	n.lock()
	defer n.mu.Unlock()
	if err := n.absent(name); err != nil {
		return nil, err
	}
	child := n.newChild(what)
	n.fs.journal.touch(child)
	n.fs.add(child)
	n.enter(name, child, child.record.Born)
	n.fs.tell(Notice{Kind: Created, Inode: child, Directory: child.isDirectory(), Dir: n, Name: name})
	return child, nil
}

// CreateUnnamed makes a file without a name, open, which goes with the last Close
// unless Link gives it a name before. The directory says which file system, and in it
// the owner. ENOENT, ENOTDIR, ENOSPC.
func (n *Inode) CreateUnnamed(what New) (*Inode, error) {
	if err := n.fs.enter(2 * inodeCost); err != nil {
		return nil, err
	}
	defer n.fs.leave()
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	n.lock()
	defer n.mu.Unlock()
	if err := n.writableDirectory(); err != nil {
		return nil, err
	}
	child := n.newChild(what)
	child.record.Links, child.record.parent, child.opens, child.unnamed = 0, 0, 1, true
	n.fs.journal.touch(child)
	n.fs.add(child)
	return child, nil
}

// enter gives the directory a new name; mu is held.
func (n *Inode) enter(name string, child *Inode, now int64) {
	n.grow(child, +1, now)
	n.name(name, child, false)
}

// name has the name refer to the child, or to nothing if that is nil. was tells
// whether there was such a name.
func (n *Inode) name(name string, child *Inode, was bool) {
	name = strings.Clone(name)
	n.fs.journal.name(n, name, child, was)
	n.remember(name, child)
}

// absent checks that the name can be made; mu is held.
func (n *Inode) absent(name string) error {
	if err := n.writableDirectory(); err != nil {
		return err
	}
	existing, err := n.lookup(name)
	if err == nil && existing != nil {
		err = syscall.EEXIST
	}
	return err
}

// newChild numbers a new inode of the directory; FS.tree is held.
func (n *Inode) newChild(what New) *Inode {
	now := n.fs.now()
	r := record{Attr: Attr{
		Number: n.fs.nextNumber, Mode: what.Mode, Links: 1,
		UID: what.UID, GID: what.GID, Device: what.Device,
		Accessed: now, Modified: now, Changed: now, Born: now,
	}}
	n.fs.nextNumber++
	if n.record.Mode&syscall.S_ISGID != 0 {
		r.GID = n.record.GID
	}
	r.parent = n.number
	switch r.Type() {
	case syscall.S_IFDIR:
		r.Links = 2
		r.Mode |= n.record.Mode & syscall.S_ISGID
	case syscall.S_IFLNK:
		r.target, r.Size = strings.Clone(what.Target), int64(len(what.Target))
	}
	return &Inode{fs: n.fs, number: r.Number, kind: r.Type(), record: r, era: n.fs.era.Load()}
}

// grow accounts in a directory for one entry more or less; mu is held.
func (n *Inode) grow(child *Inode, by int, now int64) {
	r := &n.record
	r.Size += int64(by)
	if child.record.Type() == syscall.S_IFDIR {
		r.Links = uint32(int(r.Links) + by)
	}
	r.Modified, r.Changed = now, now
	n.fs.journal.touch(n)
}

// Link gives an inode another name: EPERM for a directory, EEXIST, ENOENT
// if it has lost its last name, EMLINK.
func (n *Inode) Link(name string, child *Inode) error {
	if err := n.fs.enter(inodeCost + nameCost + MaxName); err != nil {
		return err
	}
	defer n.fs.leave()
	return n.link(name, child)
}

// link is Link inside the gate.
func (n *Inode) link(name string, child *Inode) error {
	if err := checkName(name); err != nil {
		return err
	}
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	defer lockAll(n, child)()
	if err := n.absent(name); err != nil {
		return err
	}
	r := &child.record
	switch {
	case r.Type() == syscall.S_IFDIR:
		return syscall.EPERM
	case child.dead, r.Links == 0 && !child.unnamed:
		return syscall.ENOENT
	case r.Links >= MaxLinks:
		return syscall.EMLINK
	}
	r.parent = 0 // with several names it has no one place
	if r.Links == 0 {
		r.parent = n.number
	}
	r.Links++
	child.unnamed = false
	r.Changed = n.fs.now()
	n.fs.journal.touch(child)
	n.enter(name, child, r.Changed)
	n.fs.tell(Notice{Kind: Linked, Inode: child, Dir: n, Name: name})
	return nil
}

// Unlink removes the name of anything but a directory (EISDIR). The inode
// goes with its last name, or with the last Close if it is open.
func (n *Inode) Unlink(name string) error { return n.remove(name, false) }

// Rmdir removes the name of an empty directory: ENOTEMPTY, ENOTDIR.
func (n *Inode) Rmdir(name string) error { return n.remove(name, true) }

func (n *Inode) remove(name string, directory bool) error {
	if err := n.fs.enter(0); err != nil {
		return err
	}
	defer n.fs.leave()
	return n.removeName(name, directory)
}

// removeName is Unlink or Rmdir inside the gate.
func (n *Inode) removeName(name string, directory bool) error {
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	child, err := n.Lookup(name)
	if err != nil {
		return err
	}
	defer lockAll(n, child)()
	if err := child.removable(directory); err != nil {
		return err
	}
	now := n.fs.now()
	n.grow(child, -1, now)
	n.name(name, nil, true)
	notice := Notice{Kind: Unlinked, Inode: child, Directory: directory, Dir: n, Name: name}
	n.fs.tell(notice)
	child.unlinked(now)
	child.misplace(n, name)
	notice.Kind = Removed
	n.fs.tell(notice)
	return nil
}

// unlinked takes one name's link from the inode. With the last it is deleted,
// or becomes an orphan if it is open. mu is held.
func (n *Inode) unlinked(now int64) {
	r := &n.record
	r.Links--
	r.Changed = now
	if r.Type() == syscall.S_IFDIR {
		r.Links = 0
	}
	n.fs.journal.touch(n)
	if r.Links == 0 && n.opens == 0 {
		n.delete()
	}
}

// removable checks an inode that is to lose a name; mu is held.
func (n *Inode) removable(directory bool) error {
	is := n.record.Type() == syscall.S_IFDIR
	switch {
	case is && !directory:
		return syscall.EISDIR
	case !is && directory:
		return syscall.ENOTDIR
	case is && n.record.Size > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

// lockAll locks each of the inodes once and returns what unlocks them. nil
// is skipped. The caller holds FS.tree, which makes any order safe.
func lockAll(inodes ...*Inode) (unlock func()) {
	locked := inodes[:0:0]
next:
	for _, n := range inodes {
		if n == nil {
			continue
		}
		for _, other := range locked {
			if n == other {
				continue next
			}
		}
		n.lock()
		locked = append(locked, n)
	}
	return func() {
		for _, n := range locked {
			n.mu.Unlock()
		}
	}
}
