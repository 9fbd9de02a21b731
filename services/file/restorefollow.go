package file

import (
	"errors"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// follower finds what differs below a directory, now and then, from what has changed in
// the whole tree.
//
// Where a directory is, its row says. A name that has not changed is in the same directory
// now and then: it matters only if that has come to be below, or has ceased to be. So
// looked at are the names that have changed, all those in directories that have come, and
// the files that have changed, which say in which directory their only name is. Of a
// file that has names besides those that were looked at nobody knows whether they are
// below.
type follower struct {
	*finder
	changed *changed
	files   map[uint64]bool // of which names were looked at
}

// follow is gather by what has changed below a name that is and was a directory's. It
// reports whether that can be known.
func (f *finder) follow(c *changed, then, now *EntryRow) (known bool, err error) {
	if err := f.begin(then, now); err != nil {
		return false, err
	}
	w := &follower{f, c, map[uint64]bool{}}
	came, err := w.names()
	if err == nil {
		err = w.came(came)
	}
	for number := range c.inodes {
		if err == nil {
			err = w.inode(number)
		}
	}
	for number := range w.files {
		if err == nil && !c.inodes[number] {
			err = w.inode(number)
		}
	}
	if errors.Is(err, errPlaces) {
		return false, nil
	}
	return true, err
}

// errPlaces says that a file has names of which nobody knows where they are.
var errPlaces = errors.New("a file is in several places")

// find returns an inode that has a name, or nil.
func (s *side) find(number uint64) (*InodeRow, error) {
	row, err := inodes.Get(s.tx, number)
	if errors.Is(err, table.ErrNotFound) || err == nil && row.Links == 0 {
		return nil, nil
	}
	return &row, err
}

// isBelow tells whether a directory is the top one or below it.
func (s *side) isBelow(dir uint64) (bool, error) {
	below, known := s.inside[dir]
	if known {
		return below, nil
	}
	s.inside[dir] = false // a circle of damaged rows ends
	row, err := s.find(dir)
	if err == nil && row != nil && row.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		below, err = s.isBelow(row.Parent)
	}
	s.inside[dir] = below
	return below, err
}

// names finds the names below that have changed, and returns the directories that have come
// by them.
func (w *follower) names() (came []uint64, err error) {
	for at := range w.changed.names {
		now, err := w.name(&w.now, at)
		if err != nil {
			return nil, err
		}
		then, err := w.name(&w.then, at)
		if err == nil {
			err = w.entry(then, now)
		}
		if err == nil && now != nil {
			came, err = w.enter(came, now)
		}
		if err != nil {
			return nil, err
		}
	}
	return came, nil
}

// name returns the entry of a name if it is below, or nil.
func (w *follower) name(s *side, at nameAt) (*EntryRow, error) {
	e, err := at.get(s.tx)
	if err != nil || e == nil {
		return nil, err
	}
	below, err := s.isBelow(e.Dir)
	w.look(s, e, below)
	if err != nil || !below {
		return nil, err
	}
	return e, nil
}

// look notes that a name was looked at, which is below or not.
func (w *follower) look(s *side, e *EntryRow, below bool) {
	if e.Type != syscall.S_IFDIR {
		w.files[e.Inode] = true
		s.looked[e.Inode]++
	}
	if below {
		s.names[e.Inode]++
	}
}

// enter notes a directory that has come by an entry.
func (w *follower) enter(came []uint64, e *EntryRow) ([]uint64, error) {
	if e.Type != syscall.S_IFDIR {
		return came, nil
	}
	was, err := w.then.isBelow(e.Inode)
	if err == nil && !was {
		came = append(came, e.Inode)
	}
	return came, err
}

// came finds all that is in directories which have come to be below. Of those that
// have ceased to be nothing is missing: what was in one that is gone has gone by itself,
// and one that is elsewhere is refused.
func (w *follower) came(dirs []uint64) error {
	for len(dirs) > 0 {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		list, err := entriesOf(w.now.tx, dir)
		if err != nil {
			return err
		}
		for i := range list {
			e := &list[i]
			if w.changed.names[nameAt{e.Dir, e.Hash, e.Name}] {
				continue // it was looked at
			}
			w.look(&w.now, e, true)
			err := w.entry(nil, e)
			if err == nil {
				dirs, err = w.enter(dirs, e)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// inode counts the names below of one that has changed, or was looked at, as far as they
// are not counted.
func (w *follower) inode(number uint64) error {
	for _, s := range []*side{&w.now, &w.then} {
		row, err := s.find(number)
		if err == nil && row != nil {
			err = s.place(number, row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// place is inode at one of the two times.
func (s *side) place(number uint64, row *InodeRow) error {
	in := row.Parent
	switch {
	case row.Mode&syscall.S_IFMT == syscall.S_IFDIR:
		in = number
	case row.Links == s.looked[number]:
		return nil
	case row.Links > 1 || row.Parent == 0: // it has, or had, several names
		return errPlaces
	}
	below, err := s.isBelow(in)
	if err == nil && below {
		s.names[number]++
	}
	return err
}
