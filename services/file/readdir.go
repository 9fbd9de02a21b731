package file

import (
	"syscall"

	"github.com/cockroachdb/pebble/v2"
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
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.record.Type() != syscall.S_IFDIR {
		return syscall.ENOTDIR
	}
	if n.record.Size == 0 {
		return nil
	}
	var lower, upper key
	it, err := n.fs.db.NewIter(&pebble.IterOptions{
		LowerBound: lower.entriesFrom(n.number, startHash(position)),
		UpperBound: upper.afterKind(n.number, kindEntry),
	})
	if err != nil {
		return storage(err)
	}
	err = n.list(it, position, emit)
	return firstError(err, storage(it.Close()))
}

// startHash is the least hash that entries behind the position have.
func startHash(position int64) uint64 {
	if position < FirstPosition {
		return 0
	}
	return uint64(position)>>positionBits - 1
}

func (n *Inode) list(it *pebble.Iterator, position int64, emit func(Entry) bool) error {
	hash, number := ^uint64(0), uint64(0)
	for valid := it.First(); valid; valid = it.Next() {
		p, ok := parseKey(it.Key())
		e, err := decodeEntry(it.Value())
		if !ok || err != nil {
			return n.fs.damaged("entry %x of directory %d", it.Key(), n.number)
		}
		if number++; p.value != hash {
			hash, number = p.value, 0
		}
		at := int64((p.value+1)<<positionBits | min(number, 1<<positionBits-1))
		if at <= position {
			continue
		}
		if !emit(Entry{p.name, e.inode, e.mode, at}) {
			return nil
		}
	}
	return nil
}
