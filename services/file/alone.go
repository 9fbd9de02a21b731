package file

import (
	"errors"
	"fmt"

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

// reload has what is in memory be what is stored, after somebody else has changed that. No
// call is under way. It takes no time for what is in memory: caches are dropped, and of
// inodes each is read again when it is used next (renew).
func (fs *FS) reload() error {
	fs.era.Add(1) // before the caches are empty: what was read before is not put into them
	fs.names.clear()
	fs.extents.clear()
	fs.pages.clear()
	err := firstError(fs.view(fs.loadCounters), fs.reloadImages())
	fs.tell(Notice{Kind: Overturned})
	return err
}

// lock locks the inode, whose record is then what is stored and what calls have changed
// since.
func (n *Inode) lock() {
	n.mu.Lock()
	n.renew()
}

// rlock is lock for readers.
func (n *Inode) rlock() {
	n.mu.RLock()
	for n.era != n.fs.era.Load() {
		n.mu.RUnlock()
		n.lock()
		n.mu.Unlock()
		n.mu.RLock()
	}
}

// renew takes over what is stored, if somebody else has changed that since the inode was
// read. An inode that is no longer there is empty, and stays so; one that cannot be read
// is refused by what would look into it. mu is held.
func (n *Inode) renew() {
	era := n.fs.era.Load()
	if n.era == era {
		return
	}
	n.era = era
	var r record
	var row InodeRow
	err := n.fs.view(func(tx *table.Tx) (err error) {
		row, err = inodes.Get(tx, n.number)
		return err
	})
	if err == nil {
		r, err = recordOf(&row)
	}
	n.epoch.Add(1)
	n.layers.Store(nil)
	n.change = n.fs.journal.committed.Load()
	n.stored, n.dead, n.unread = err == nil, err != nil, nil
	if err == nil {
		n.record, n.orphan, n.storedSize = r, r.Links == 0, r.Size
		return
	}
	n.record.Size, n.record.Blocks, n.record.Links, n.orphan, n.storedSize = 0, 0, 0, false, 0
	if !errors.Is(err, table.ErrNotFound) {
		n.unread = n.fs.broken(fmt.Errorf("inode %d: %w", n.number, err))
	}
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
	return fs.reload()
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
	if err := firstError(fs.discard(), fs.settleSteps()); err != nil {
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
