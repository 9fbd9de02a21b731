package file

import (
	"errors"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// alone runs fn while no call that changes something is under way and all changes are
// stored. Reads go on.
func (fs *FS) alone(fn func() error) error {
	if err := fs.flush(); err != nil { // most of it, while others may go on
		return err
	}
	j := &fs.journal
	j.commit.Lock()
	defer j.commit.Unlock()
	j.gate.Lock()
	defer j.gate.Unlock()
	g := j.flushing
	for range 2 {
		if g != nil {
			if err := fs.store(g, false); err != nil {
				return err
			}
		}
		g = fs.takeAlone()
	}
	if err := fs.settleLoads(); err != nil {
		return err
	}
	return fn()
}

// reload makes what is in memory what is stored, after somebody else has changed that: of
// inodes these only, unless it is nil. No call is under way.
func (fs *FS) reload(these map[uint64]bool) error {
	fs.names.clear()
	fs.extents.clear()
	fs.pages.clear()
	err := fs.view(func(tx *table.Tx) error {
		if err := fs.loadCounters(tx); err != nil {
			return err
		}
		if these != nil {
			return fs.reloadInodes(tx, these)
		}
		for i := range fs.inodes {
			if err := fs.inodes[i].reload(tx); err != nil {
				return err
			}
		}
		return nil
	})
	return firstError(err, fs.reloadImages())
}

// reloadInodes reads the rows of these inodes, as far as somebody uses them.
func (fs *FS) reloadInodes(tx *table.Tx, these map[uint64]bool) error {
	for number := range these {
		t := &fs.inodes[number%inodeTables]
		t.mu.Lock()
		n := t.inodes[number].Value()
		t.mu.Unlock()
		if n == nil {
			continue // no call is under way that would load it
		}
		if err := n.reloadFrom(tx); err != nil {
			return err
		}
	}
	return nil
}

// reload reads the rows of inodes that somebody uses.
func (t *inodeTable) reload(tx *table.Tx) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.inodes {
		if n := p.Value(); n != nil {
			if err := n.reloadFrom(tx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Inode) reloadFrom(tx *table.Tx) error {
	row, err := inodes.Get(tx, n.number)
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return err
	}
	return n.reload(&row, err == nil)
}

// reload replaces the record; an inode that is no longer there is empty, and stays so.
func (n *Inode) reload(row *InodeRow, there bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.epoch.Add(1)
	n.layers.Store(nil)
	n.change = n.fs.journal.committed.Load()
	n.stored, n.dead = there, !there
	if !there {
		n.record.Size, n.record.Blocks, n.record.Links, n.orphan, n.storedSize = 0, 0, 0, false, 0
		return nil
	}
	r, err := recordOf(row)
	if err != nil {
		return err
	}
	n.record, n.orphan, n.storedSize = r, r.Links == 0, r.Size
	return nil
}

// discard forgets what calls have changed that is not stored, and takes what is. No
// call is under way; commit is held.
func (fs *FS) discard() error {
	fs.loads.abort()
	j := &fs.journal
	j.mu.Lock()
	number := j.open.number
	j.open, j.flushing = newGroup(number+1), nil
	j.mu.Unlock()
	j.committed.Store(number)
	return fs.reload(nil)
}

// restored is told of every restore in the store. If it has changed the rows of files,
// what is in memory of them is dropped; what calls have changed since is lost.
func (fs *FS) restored(ranges []engine.Range) {
	own, err := fs.ranges()
	if err != nil || !overlap(own, ranges) || fs.restoring.Load() {
		return
	}
	fs.journal.commit.Lock()
	defer fs.journal.commit.Unlock()
	fs.journal.gate.Lock()
	defer fs.journal.gate.Unlock()
	if err := fs.discard(); err != nil {
		_ = fs.broken(err)
	}
}

func overlap(a, b []engine.Range) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Overlaps(y) {
				return true
			}
		}
	}
	return false
}
