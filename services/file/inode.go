package file

import (
	"sync"
	"syscall"
	"weak"

	"github.com/cockroachdb/pebble/v2"
)

// Inode is a file, directory, symbolic link or device node. It may be used
// from any goroutine, for as long as somebody refers to it; one that has lost
// its last name keeps its contents only while it is open.
type Inode struct {
	fs     *FS
	number uint64

	mu     sync.RWMutex
	record record // as stored
	opens  int    // Open calls without their Close
	dead   bool   // deleted from the store
	change uint64 // FS.sequence behind the last change
}

// Number is the inode number.
func (n *Inode) Number() uint64 { return n.number }

// Attr returns the attributes.
func (n *Inode) Attr() Attr {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.record.Attr
}

// Mode returns the type and permission bits.
func (n *Inode) Mode() uint32 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.record.Mode
}

// Size returns the size of a file in bytes.
func (n *Inode) Size() int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.record.Size
}

// Readlink returns the target of a symbolic link; EINVAL for anything else.
func (n *Inode) Readlink() (string, error) {
	n.mu.RLock()
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
	n.mu.RLock()
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

// Open keeps the contents until Close, whatever happens to the names.
// ENOENT if the last name went before.
func (n *Inode) Open() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead {
		return syscall.ENOENT
	}
	n.opens++
	return nil
}

// Close undoes an Open. The last Close of an inode without a name deletes
// its contents.
func (n *Inode) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.opens == 0 {
		return syscall.EBADF
	}
	n.opens--
	if n.opens > 0 || n.record.Links > 0 || n.dead {
		return nil
	}
	b := n.fs.db.NewBatch()
	var k key
	if err := b.Delete(k.orphan(n.number), nil); err != nil {
		return storage(err)
	}
	if err := n.delete(b); err != nil {
		return err
	}
	return n.fs.commit(b)
}

// Update lets fn change the mode bits, owner and times of a copy of the
// attributes, stores these and sets the change time. Other fields and the
// type bits stay as they are.
func (n *Inode) Update(fn func(a *Attr)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead {
		return syscall.ENOENT
	}
	edited, next := n.record.Attr, n.record
	fn(&edited)
	next.Mode = n.record.Type() | edited.Mode&07777
	next.UID, next.GID = edited.UID, edited.GID
	next.Accessed, next.Modified = edited.Accessed, edited.Modified
	next.Changed = n.fs.now()
	b := n.fs.db.NewBatch()
	if err := n.stage(b, &next); err != nil {
		return err
	}
	return n.commit(b, next)
}

// stage puts the record into the batch. The caller holds mu.
func (n *Inode) stage(b *pebble.Batch, r *record) error {
	var k key
	name := k.inode(n.number)
	op := b.SetDeferred(len(name), r.size())
	copy(op.Key, name)
	r.encode(op.Value)
	return storage(op.Finish())
}

// commit carries the batch out and makes next, which is in it, the present
// record. The caller holds mu.
func (n *Inode) commit(b *pebble.Batch, next record) error {
	if err := n.fs.commit(b); err != nil {
		return err
	}
	n.show(next)
	return nil
}

// show makes a committed record the present one.
func (n *Inode) show(next record) {
	n.record = next
	n.change = n.fs.sequence.Load()
}

// delete puts the removal of the inode and its contents into the batch, and
// regards it as done. The caller holds mu.
func (n *Inode) delete(b *pebble.Batch) error {
	var k key
	if err := b.Delete(k.inode(n.number), nil); err != nil {
		return storage(err)
	}
	if err := n.deleteBlocks(b, 0); err != nil {
		return err
	}
	n.dead = true
	return nil
}

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
	var k key
	value, closer, err := fs.db.Get(k.inode(number))
	if err != nil {
		return nil, fs.damaged("inode %d: %v", number, err)
	}
	r, err := decodeRecord(number, value)
	if err = firstError(err, closer.Close()); err != nil {
		return nil, fs.damaged("inode %d: %v", number, err)
	}
	n := &Inode{fs: fs, number: number, record: r, change: fs.sequence.Load()}
	t.add(n)
	return n, nil
}

// enter makes a new inode known before anybody can look it up.
func (fs *FS) enter(n *Inode) {
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
