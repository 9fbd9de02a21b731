package file

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// A call changes what is in memory, and notes in the open group what it has changed.
// A group becomes one transaction:
//
//	call ──► gate (shared) ──► inode, names, pages ──► open group
//	                                                        │ take: gate (alone), for a moment
//	                                                        ▼
//	fsync, timer, size ──────► commit (one at a time) ──► flushing group ──► transaction
//
// So a call is whole in one group, groups are stored one after another, and what many
// calls do to one row is written once. What is in a group stays in memory until it is
// stored: reads find it there.
type journal struct {
	gate sync.RWMutex // shared by calls that change something; alone: no call is under way

	mu       sync.Mutex // guards the lists and names of the groups
	open     *group     // replaced by who holds gate alone and mu
	flushing *group     // likewise; nil: none

	commit    sync.Mutex    // held by who stores a group
	committed atomic.Uint64 // number of the last group that was stored
	durable   atomic.Uint64 // number of the last group that is durable
	failed    atomic.Bool   // the store has failed: changes are EIO
}

// group is what the calls of some stretch of time have changed.
type group struct {
	number uint64
	inodes []*Inode // their records
	files  []*Inode // their contents
	names  map[nameKey]nameChange
	xattrs map[*Inode]map[string]xattrChange // of inodes
	size   atomic.Int64                      // about the bytes that it will write

	// As it was when the group was taken:
	rows       []InodeRow // of inodes
	dead       []bool     // which of them are to go
	layers     []*layer   // of files; nil: the file is to go
	nextNumber uint64     // of a new inode
	loaded     []uint64   // data that was loaded until then
}

// nameChange is what became of a name.
type nameChange struct {
	child *Inode // nil: it was removed
	mode  uint32 // S_IFMT bits
	fresh bool   // no such name is stored
}

func newGroup(number uint64) *group {
	return &group{number: number, names: map[nameKey]nameChange{}, xattrs: map[*Inode]map[string]xattrChange{}}
}

func (g *group) empty() bool { return len(g.inodes) == 0 && len(g.files) == 0 && len(g.names) == 0 }

// What the parts of a group count for, in bytes.
const (
	inodeCost = 200
	nameCost  = 100
	pageCost  = BlockSize + 64
	cutCost   = 64 // of a chunk
)

func (j *journal) init() {
	j.open = newGroup(1)
}

// touch notes that the record of an inode has changed. The caller is inside the gate
// and holds the inode's lock, or nobody else knows the inode.
func (j *journal) touch(n *Inode) {
	g := j.open
	if n.change == g.number {
		return
	}
	n.change = g.number
	j.mu.Lock()
	g.inodes = append(g.inodes, n)
	j.mu.Unlock()
	g.size.Add(inodeCost)
}

// addFile notes that a file has an open layer.
func (j *journal) addFile(n *Inode) {
	j.mu.Lock()
	j.open.files = append(j.open.files, n)
	j.mu.Unlock()
}

// name notes what became of a name; child nil: it was removed. was says whether the
// name existed before the call.
func (j *journal) name(directory *Inode, name string, child *Inode, was bool) {
	k := nameKey{directory.number, name}
	c := nameChange{child: child, fresh: !was}
	if child != nil {
		c.mode = child.record.Type()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if old, ok := j.open.names[k]; ok {
		c.fresh = old.fresh
	}
	if child == nil && c.fresh {
		delete(j.open.names, k)
		return
	}
	j.open.names[k] = c
	j.open.size.Add(nameCost + int64(len(name)))
}

// findName looks for a name among those that the store does not have yet.
func (j *journal) findName(k nameKey) (child *Inode, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, g := range [...]*group{j.open, j.flushing} {
		if g == nil {
			continue
		}
		if c, ok := g.names[k]; ok {
			return c.child, true
		}
	}
	return nil, false
}

// namesOf are the names of a directory that the store does not have yet.
func (j *journal) namesOf(directory uint64) map[string]nameChange {
	j.mu.Lock()
	defer j.mu.Unlock()
	found := map[string]nameChange{}
	for _, g := range [...]*group{j.flushing, j.open} {
		if g == nil {
			continue
		}
		for k, c := range g.names {
			if k.directory == directory {
				found[k.name] = c
			}
		}
	}
	return found
}

// number is that of the group that a change made now belongs to.
func (j *journal) number() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.open.number
}

// take closes the open group; nil if nothing has changed. commit is held.
func (fs *FS) take() *group {
	fs.journal.gate.Lock()
	defer fs.journal.gate.Unlock()
	return fs.takeAlone()
}

// takeAlone is take with the gate held.
func (fs *FS) takeAlone() *group {
	j := &fs.journal
	g := j.open
	if g.empty() {
		return nil
	}
	g.rows, g.dead, g.layers = make([]InodeRow, len(g.inodes)), make([]bool, len(g.inodes)), make([]*layer, len(g.files))
	for i, n := range g.inodes {
		g.rows[i], g.dead[i] = n.record.row(), n.dead
	}
	for i, n := range g.files {
		if g.layers[i] = n.takeLayer(); n.dead {
			g.layers[i] = nil
		}
	}
	g.nextNumber, g.loaded = fs.nextNumber, fs.loads.taken()
	j.mu.Lock()
	j.open, j.flushing = newGroup(g.number+1), g
	j.mu.Unlock()
	return g
}

// enter begins a call that changes something by at most so many bytes. It waits while
// too much is not yet stored. The caller ends it by leave.
func (fs *FS) enter(size int) error {
	if fs.journal.failed.Load() {
		return syscall.EIO
	}
	if size > 0 {
		if err := fs.claim(size); err != nil {
			return err
		}
	}
	fs.journal.gate.RLock()
	for fs.journal.open.size.Load() > 2*fs.groupLimit {
		fs.journal.gate.RUnlock()
		err := fs.flush()
		if err != nil && (err != syscall.ENOSPC || size > 0) {
			return err
		}
		fs.journal.gate.RLock()
		if err != nil {
			break // what only removes goes on, and makes room
		}
	}
	return nil
}

// leave ends a call.
func (fs *FS) leave() {
	large := fs.journal.open.size.Load() > fs.groupLimit
	fs.journal.gate.RUnlock()
	fs.arm(large)
}

// flush stores what has changed, without waiting for the device.
func (fs *FS) flush() error { return fs.settle(fs.journal.number(), false) }

// settle stores the groups up to a number, which may be the open one, and with wait
// makes them durable.
func (fs *FS) settle(number uint64, wait bool) error {
	j := &fs.journal
	if j.failed.Load() {
		return syscall.EIO
	}
	if j.reached(number, wait) {
		return nil
	}
	j.commit.Lock()
	defer j.commit.Unlock()
	for j.committed.Load() < number {
		g := j.flushing // of an attempt that failed
		if g == nil {
			g = fs.take()
		}
		if g == nil {
			break
		}
		if err := fs.store(g, wait); err != nil {
			return err
		}
	}
	upTo := j.committed.Load()
	if !wait || j.durable.Load() >= upTo {
		return nil
	}
	if err := fs.db.Engine().Sync(context.Background(), ""); err != nil {
		return fs.broken(err)
	}
	j.durable.Store(upTo)
	fs.loads.settled(nil, true)
	return nil
}

func (j *journal) reached(number uint64, wait bool) bool {
	if wait {
		return j.durable.Load() >= number
	}
	return j.committed.Load() >= number
}

// store writes a group as one transaction. commit is held.
func (fs *FS) store(g *group, wait bool) error {
	if err := fs.loads.finish(); err != nil {
		return fs.broken(err)
	}
	op := fs.op("change files")
	op.NoWait, op.Claimed = !wait, true
	w := writer{fs: fs, group: g}
	_, err := fs.db.Update(context.Background(), &op, func(tx *table.Tx) error { return w.write(tx) })
	if err != nil {
		return fs.broken(err)
	}
	fs.stored(&w, wait)
	return nil
}

// stored makes known that a group is in the store, and durable or not. commit is held.
func (fs *FS) stored(w *writer, durable bool) {
	w.show()
	fs.loads.settled(w.group.loaded, durable)
	j := &fs.journal
	j.mu.Lock()
	j.flushing = nil
	j.mu.Unlock()
	j.committed.Store(w.group.number)
	if durable {
		j.durable.Store(w.group.number)
	}
}

// broken is the errno of a change that could not be stored. But for want of space,
// nothing can be stored from then on: what later calls change would be out of order.
func (fs *FS) broken(err error) error {
	if errors.Is(err, engine.ErrFull) {
		return syscall.ENOSPC
	}
	if !fs.journal.failed.Swap(true) {
		fs.options.Log("file: no change can be stored any more: %v", err)
	}
	return syscall.EIO
}

// Sync makes all changes durable that returned before it was called.
func (fs *FS) Sync() error {
	err := fs.saveImages()
	return firstError(fs.settle(fs.journal.number(), true), err)
}

// Sync makes the inode's changes durable, its names among them.
func (n *Inode) Sync() error {
	n.rlock()
	change, mapped := n.change, n.image != nil
	n.mu.RUnlock()
	if mapped {
		if err := n.save(); err != nil {
			return err
		}
		n.rlock()
		change = n.change
		n.mu.RUnlock()
	}
	return n.fs.settle(change, true)
}
