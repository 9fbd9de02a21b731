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
	changed   *changed
	now, then side
	files     map[uint64]bool // that have changed, or of which names were looked at
}

// side is what is below at one of the two times.
type side struct {
	*subtree
	tx     *table.Tx
	rows   map[uint64]*InodeRow // that were read; nil: there is none with a name
	inside map[uint64]bool      // whether directories are below, of those that were asked for
	looked map[uint64]uint32    // how many names of a file were looked at, below or elsewhere
}

func newSide(s *subtree, tx *table.Tx, top uint64) side {
	s.clear()
	return side{subtree: s, tx: tx, rows: map[uint64]*InodeRow{}, inside: map[uint64]bool{top: true, rootNumber: false}, looked: map[uint64]uint32{}}
}

// follow gathers what has changed below a name that is and was a directory's. It reports
// whether that can be known.
func (r *restorer) follow(c *changed, then, now *EntryRow, dir uint64) (known bool, err error) {
	f := &follower{
		changed: c, files: map[uint64]bool{},
		now: newSide(&r.now, r.tx, then.Inode), then: newSide(&r.then, r.past, then.Inode),
	}
	if then.Type != syscall.S_IFDIR {
		return false, nil
	}
	for s, e := range map[*side]*EntryRow{&f.now: now, &f.then: then} {
		top := *e
		top.Dir = dir // as the directory is found now
		if err := s.add(&top); err != nil {
			return false, err
		}
	}
	if err := f.names(); err != nil {
		return false, err
	}
	for number := range c.inodes {
		if err := f.inode(number); err != nil {
			return false, err
		}
	}
	for number := range f.files {
		for _, s := range []*side{&f.now, &f.then} {
			if known, err := s.place(number); err != nil || !known {
				return false, err
			}
		}
	}
	return true, nil
}

// add takes an entry that is below.
func (s *side) add(e *EntryRow) error {
	if s.entries[*e] {
		return nil
	}
	s.entries[*e] = true
	return s.addInode(e.Inode)
}

func (s *side) addInode(number uint64) error {
	if s.names[number]++; s.inodes[number] != nil {
		return nil
	}
	row, err := s.find(number)
	if err == nil && row == nil {
		err = table.ErrNotFound // a name without an inode: the store is damaged
	}
	if err == nil {
		s.inodes[number] = row
	}
	return err
}

// find returns an inode that has a name, or nil.
func (s *side) find(number uint64) (*InodeRow, error) {
	if row, known := s.rows[number]; known {
		return row, nil
	}
	row, err := inodes.Get(s.tx, number)
	found := &row
	if errors.Is(err, table.ErrNotFound) || err == nil && row.Links == 0 {
		found, err = nil, nil
	}
	if err == nil {
		s.rows[number] = found
	}
	return found, err
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

// names looks at the names that have changed, and below the directories that they lead to.
func (f *follower) names() error {
	for at := range f.changed.names {
		for _, s := range []*side{&f.now, &f.then} {
			e, err := at.get(s.tx)
			if err != nil {
				return err
			}
			if e == nil {
				continue
			}
			f.look(s, e)
			below, err := s.isBelow(e.Dir)
			if err == nil && below {
				err = s.add(e)
			}
			if err != nil {
				return err
			}
		}
	}
	return f.came()
}

// look notes that a name was looked at.
func (f *follower) look(s *side, e *EntryRow) {
	if e.Type != syscall.S_IFDIR {
		f.files[e.Inode] = true
		s.looked[e.Inode]++
	}
}

// came takes all that is in directories which have come to be below. Of those that have
// ceased to be nothing is missing: what was in one that is gone has gone by itself, and one
// that is elsewhere is refused.
func (f *follower) came() error {
	var todo []uint64
	enter := func(e *EntryRow) error {
		if e.Type != syscall.S_IFDIR {
			return nil
		}
		was, err := f.then.isBelow(e.Inode)
		if err == nil && !was {
			todo = append(todo, e.Inode)
		}
		return err
	}
	for e := range f.now.entries {
		if err := enter(&e); err != nil {
			return err
		}
	}
	for len(todo) > 0 {
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		list, err := entriesOf(f.now.tx, dir)
		if err != nil {
			return err
		}
		for i := range list {
			e := &list[i]
			if f.now.entries[*e] {
				continue // it has changed itself, and was looked at
			}
			f.look(&f.now, e)
			if err := firstError(f.now.add(e), enter(e)); err != nil {
				return err
			}
		}
	}
	return nil
}

// inode takes a directory that has changed, if it is below; files are for place.
func (f *follower) inode(number uint64) error {
	for _, s := range []*side{&f.now, &f.then} {
		row, err := s.find(number)
		if err != nil {
			return err
		}
		if row == nil {
			continue
		}
		if row.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			f.files[number] = true
			continue
		}
		below, err := s.isBelow(number)
		if err == nil && below {
			err = s.addInode(number)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// place takes a file that has changed, if its only name is below, and reports whether all
// its names are known.
func (s *side) place(number uint64) (known bool, err error) {
	row, err := s.find(number)
	if err != nil || row == nil || row.Links == s.looked[number] {
		return err == nil, err
	}
	if row.Links > 1 || row.Parent == 0 { // it has, or had, several names
		return false, nil
	}
	below, err := s.isBelow(row.Parent)
	if err == nil && below {
		err = s.addInode(number)
	}
	return err == nil, err
}
