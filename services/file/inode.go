package file

import (
	"sync"
	"sync/atomic"
	"syscall"
	"weak"

	"github.com/tuplix/tuplix/dbms/table"
)

// Inode is a file, directory, symbolic link or device node. It may be used
// from any goroutine, for as long as somebody refers to it; one that has lost
// its last name keeps its contents only while it is open.
type Inode struct {
	fs     *FS
	number uint64
	kind   uint32 // its type, the S_IFMT bits of the mode, which never changes

	writing sync.Mutex // held by writes, which may be several changes; before FS.journal.gate

	mu      sync.RWMutex
	record  record
	opens   int    // Open calls without their Close
	unnamed bool   // it has never had a name
	dead    bool   // it is gone, and so are its rows when the group is stored
	change  uint64 // number of the group with the last change
	era     uint64 // of FS.era when the record was read
	unread  error  // why there is nothing to be seen of an inode that is there; nil: it was read

	image *image // what mappings show; nil: there are none

	placed atomic.Pointer[place]  // a name of it; nil: nobody has looked
	layers atomic.Pointer[layers] // contents that are not stored; nil: none
	epoch  atomic.Uint64          // counts the groups with its contents that were stored

	// What is stored; of who holds FS.journal.commit.
	stored     bool  // a row of os.inodes
	orphan     bool  // a row of os.orphans
	storedSize int64 // up to which there may be extents
}

// Number is the inode number.
func (n *Inode) Number() uint64 { return n.number }

// Attr returns the attributes.
func (n *Inode) Attr() Attr {
	n.rlock()
	defer n.mu.RUnlock()
	return n.record.Attr
}

// Mode returns the type and permission bits.
func (n *Inode) Mode() uint32 {
	n.rlock()
	defer n.mu.RUnlock()
	return n.record.Mode
}

// Size returns the size of a file in bytes.
func (n *Inode) Size() int64 {
	n.rlock()
	defer n.mu.RUnlock()
	return n.record.Size
}

// Readlink returns the target of a symbolic link; EINVAL for anything else.
func (n *Inode) Readlink() (string, error) {
	n.rlock()
	defer n.mu.RUnlock()
	if n.record.Type() != syscall.S_IFLNK {
		return "", syscall.EINVAL
	}
	return n.record.target, nil
}

// Parent returns the directory that holds this directory; the root's is the
// root itself. ENOTDIR for what is not a directory, ENOENT for a directory
// that was removed.
func (n *Inode) Parent() (*Inode, error) {
	n.rlock()
	parent, mode, dead := n.record.parent, n.record.Type(), n.record.Links == 0
	n.mu.RUnlock()
	switch {
	case mode != syscall.S_IFDIR:
		return nil, syscall.ENOTDIR
	case dead:
		return nil, syscall.ENOENT
	}
	return n.fs.inode(parent)
}

// place is where a directory names an inode.
type place struct {
	dir  *Inode
	name string
}

// Place returns a name of the inode: the one by which it was made, found or renamed
// last, which it keeps when its last name is removed. A file may have others; after a
// restore it is the one of before until somebody looks the file up. The directory is nil
// where no name is known. It takes no locks.
func (n *Inode) Place() (dir *Inode, name string) {
	if p := n.placed.Load(); p != nil {
		return p.dir, p.name
	}
	return nil, ""
}

// misplace forgets a name that was removed from an inode that has others.
func (n *Inode) misplace(dir *Inode, name string) {
	if p := n.placed.Load(); p != nil && n.record.Links > 0 && *p == (place{dir, name}) {
		n.placed.Store(nil)
	}
}

// Open keeps the contents until Close, whatever happens to the names.
// ENOENT if the last name went before.
func (n *Inode) Open() error {
	n.lock()
	defer n.mu.Unlock()
	switch {
	case n.unread != nil:
		return n.unread
	case n.dead:
		return syscall.ENOENT
	}
	n.opens++
	return nil
}

// Close undoes an Open. The last Close of an inode without a name deletes
// its contents.
func (n *Inode) Close() error {
	n.lock()
	switch {
	case n.opens == 0:
		n.mu.Unlock()
		return syscall.EBADF
	case n.opens > 1 || n.record.Links > 0 || n.dead:
		n.opens--
		n.mu.Unlock()
		return nil
	}
	n.mu.Unlock()
	if err := n.fs.enter(0); err != nil {
		return err
	}
	defer n.fs.leave()
	n.lock()
	defer n.mu.Unlock()
	if n.opens--; n.opens == 0 && n.record.Links == 0 && !n.dead {
		n.delete()
	}
	return nil
}

// Update lets fn change the mode bits, owner and times of a copy of the
// attributes, keeps these and sets the change time. Other fields and the
// type bits stay as they are.
func (n *Inode) Update(fn func(a *Attr)) error {
	if err := n.fs.enter(inodeCost); err != nil {
		return err
	}
	defer n.fs.leave()
	return n.update(fn)
}

// update is Update inside the gate.
func (n *Inode) update(fn func(a *Attr)) error {
	n.lock()
	defer n.mu.Unlock()
	if n.dead {
		return syscall.ENOENT
	}
	edited, r := n.record.Attr, &n.record
	fn(&edited)
	r.Mode = r.Type() | edited.Mode&07777
	r.UID, r.GID = edited.UID, edited.GID
	r.Accessed, r.Modified = edited.Accessed, edited.Modified
	r.Changed = n.fs.now()
	n.fs.journal.touch(n)
	return nil
}

// delete lets the inode and its contents go. The caller holds mu, inside the gate.
func (n *Inode) delete() {
	n.fs.tell(Notice{Kind: Gone, Inode: n, Directory: n.isDirectory()})
	n.dead = true
	n.fs.journal.touch(n)
	n.fs.journal.open.size.Add(int64(chunksOf(n.record.Size)) * cutCost)
}

// isDirectory tells what the inode is for ever. No lock is needed.
func (n *Inode) isDirectory() bool { return n.kind == syscall.S_IFDIR }

// inodeTable finds the one Inode of each number that somebody uses.
type inodeTable struct {
	mu     sync.Mutex
	inodes map[uint64]weak.Pointer[Inode]
	sweep  int // size at which the dead are removed
}

const minSweep = 64

// inode returns the inode of that number, from memory or from the store.
// The table stays locked meanwhile: were two allowed to load the same inode,
// the slower could bring back an old record.
func (fs *FS) inode(number uint64) (*Inode, error) {
	t := &fs.inodes[number%inodeTables]
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.inodes[number].Value(); n != nil {
		return n, nil
	}
	n := &Inode{fs: fs, number: number, stored: true, change: fs.journal.committed.Load(), era: fs.era.Load()}
	err := fs.view(func(tx *table.Tx) error {
		row, err := inodes.Get(tx, number)
		if err == nil {
			n.record, err = recordOf(&row)
		}
		return err
	})
	if err != nil {
		return nil, fs.damaged("inode %d: %v", number, err)
	}
	n.kind = n.record.Type()
	n.storedSize, n.orphan = n.record.Size, n.record.Links == 0
	t.add(n)
	return n, nil
}

// add makes a new inode known before anybody can look it up.
func (fs *FS) add(n *Inode) {
	t := &fs.inodes[n.number%inodeTables]
	t.mu.Lock()
	t.add(n)
	t.mu.Unlock()
}

// add is called with mu held.
func (t *inodeTable) add(n *Inode) {
	if t.inodes == nil {
		t.inodes, t.sweep = map[uint64]weak.Pointer[Inode]{}, minSweep
	}
	t.inodes[n.number] = weak.Make(n)
	if len(t.inodes) < t.sweep {
		return
	}
	for number, p := range t.inodes {
		if p.Value() == nil {
			delete(t.inodes, number)
		}
	}
	t.sweep = max(minSweep, 2*len(t.inodes))
}
