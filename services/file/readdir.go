package file

import (
	"cmp"
	"slices"
	"strings"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// Entry is one name in a directory.
type Entry struct {
	Name   string
	Number uint64 // of the inode
	Mode   uint32 // S_IFMT bits only

	// Position is where a listing goes on behind this entry. It stays valid
	// whatever is created and removed: entries that were there all the time
	// are listed once. It is above FirstPosition.
	Position int64
}

// FirstPosition is above the positions that callers may use for themselves
// ("." and ".."); it or anything less lists from the beginning.
const FirstPosition = 1 << positionBits

// A position is the hash of a name plus one, and below it the number of the
// entry among those of equal hash.
const positionBits = 8

// Positions must fit in 63 bits.
const _ = uint(62 - hashBits - positionBits)

// ReadDir calls emit for each entry behind the position until emit returns
// false; the entry refused counts as not listed. emit must not use the file
// system. ENOTDIR.
func (n *Inode) ReadDir(position int64, emit func(Entry) bool) error {
	n.rlock()
	a, unread := n.record.Attr, n.unread
	n.mu.RUnlock()
	switch {
	case unread != nil:
		return unread
	case a.Type() != syscall.S_IFDIR:
		return syscall.ENOTDIR
	case a.Size == 0:
		return nil
	}
	if n.fs.settle(n.lastChange(), false) != nil {
		return n.readUnstored(position, emit)
	}
	err := n.fs.view(func(tx *table.Tx) error {
		return list(tx, n.number, position, func(e Entry) bool {
			more := emit(e)
			if more {
				position = e.Position // if the view has to begin anew
			}
			return more
		})
	})
	if err != nil {
		return n.fs.damaged("entries of directory %d: %v", n.number, err)
	}
	return nil
}

// readUnstored is ReadDir where what has changed cannot be stored: it lays names that
// are in memory only over those that are stored.
func (n *Inode) readUnstored(position int64, emit func(Entry) bool) error {
	unstored := n.fs.journal.namesOf(n.number)
	var all []EntryRow
	err := n.fs.view(func(tx *table.Tx) error {
		all = nil
		for row, err := range entries.Scan(tx, table.Prefix(n.number)) {
			if err != nil {
				return err
			}
			if _, ok := unstored[row.Name]; !ok {
				all = append(all, row)
			}
		}
		return nil
	})
	if err != nil {
		return n.fs.damaged("entries of directory %d: %v", n.number, err)
	}
	for name, c := range unstored {
		if c.child != nil {
			all = append(all, EntryRow{n.number, nameHash(name), name, c.child.number, c.mode})
		}
	}
	slices.SortFunc(all, func(a, b EntryRow) int { return a.compare(&b) })
	var l lister
	for _, row := range all {
		if at := l.position(row.Hash); at > position && !emit(Entry{row.Name, row.Inode, row.Type, at}) {
			break
		}
	}
	return nil
}

// compare orders the entries of a directory as they are stored.
func (e *EntryRow) compare(other *EntryRow) int {
	return cmp.Or(cmp.Compare(e.Hash, other.Hash), strings.Compare(e.Name, other.Name))
}

// lister numbers the entries of a directory, in their order.
type lister struct {
	hash, number uint64
	begun        bool
}

// position is that of the next entry.
func (l *lister) position(hash uint64) int64 {
	if l.number++; !l.begun || hash != l.hash {
		l.hash, l.number, l.begun = hash, 0, true
	}
	return int64((hash+1)<<positionBits | min(l.number, 1<<positionBits-1))
}

// lastChange is the group of the inode's last change.
func (n *Inode) lastChange() uint64 {
	n.rlock()
	defer n.mu.RUnlock()
	return n.change
}

// startHash is the least hash that entries behind the position have.
func startHash(position int64) uint64 {
	if position < FirstPosition {
		return 0
	}
	return uint64(position)>>positionBits - 1
}

// list emits the entries of a directory as a transaction sees them.
func list(tx *table.Tx, directory uint64, position int64, emit func(Entry) bool) error {
	var l lister
	for row, err := range entries.Scan(tx, table.From(directory, startHash(position)).Through(directory)) {
		if err != nil {
			return err
		}
		if at := l.position(row.Hash); at > position && !emit(Entry{row.Name, row.Inode, row.Type, at}) {
			return nil
		}
	}
	return nil
}
