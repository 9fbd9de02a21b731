package file

import (
	"errors"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// subtree is what is reached from a name, but for what is the same then and now.
type subtree struct {
	inodes  map[uint64]*InodeRow
	names   map[uint64]uint32 // how many of them lead to an inode
	entries map[EntryRow]bool
}

// changed is what has changed in the tree since a version. Nil: nobody knows.
type changed struct {
	inodes map[uint64]bool // these rows
	named  map[uint64]bool // what names lead or led to that have come, gone or changed
	dirs   map[uint64]bool // in which such names are
}

// listing is the names in directories as they are now.
type listing map[uint64][]EntryRow

// changesForName is how many rows written since, for each name, are looked at to find out
// what has changed. With more, it is found by comparing all there is.
const changesForName = 4

// gather finds what is and was below a name, an entry each that counts as one of dir.
//
// A directory that is reached by names none of which has changed was reached by the
// same ones then, and what is in it is the same where none of its own names has. Below a
// name that has changed, all is taken for changed.
func (r *restorer) gather(then, now *EntryRow, dir uint64) error {
	listed, n, err := listBelow(r.tx, now)
	if err != nil {
		return err
	}
	var c *changed
	if now != nil && now.Inode == then.Inode {
		if c, err = r.changed(r.look * n); err != nil {
			return err
		}
	}
	err = r.now.gather(r.tx, now, dir, c, func(dir uint64) ([]EntryRow, error) { return listed[dir], nil })
	if err != nil {
		return err
	}
	return r.then.gather(r.past, then, dir, c, func(dir uint64) ([]EntryRow, error) {
		if same, ok := listed[dir]; ok && c != nil && !c.dirs[dir] {
			return same, nil
		}
		return entriesOf(r.past, dir)
	})
}

// listBelow reads the names in all directories that are reached from an entry, and counts
// them.
func listBelow(tx *table.Tx, e *EntryRow) (listed listing, n int, err error) {
	listed = listing{}
	if e == nil || e.Type != syscall.S_IFDIR {
		return listed, 1, nil
	}
	todo := []uint64{e.Inode}
	for len(todo) > 0 {
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		below, err := entriesOf(tx, dir)
		if err != nil {
			return nil, 0, err
		}
		listed[dir] = below
		n += len(below)
		for i := range below {
			if below[i].Type == syscall.S_IFDIR {
				todo = append(todo, below[i].Inode)
			}
		}
	}
	return listed, n, nil
}

func entriesOf(tx *table.Tx, dir uint64) (all []EntryRow, err error) {
	for e, err := range entries.Scan(tx, table.Prefix(dir)) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// changed finds out what has changed in the tree since then: nil if the store has
// written more than most rows since, or the tree was restored.
func (r *restorer) changed(most int) (*changed, error) {
	for c, err := range r.tx.Raw().Commits(r.to, false) {
		if err != nil {
			return nil, err
		}
		if most -= c.RowsWritten; most < 0 {
			return nil, nil
		}
	}
	c := &changed{inodes: map[uint64]bool{}, named: map[uint64]bool{}, dirs: map[uint64]bool{}}
	for p, err := range inodes.Changes(r.tx, table.Span{}, r.to) {
		if err != nil {
			return nil, err
		}
		if p.To != "" {
			return nil, nil
		}
		c.inodes[p.Row.Number] = true
	}
	for p, err := range entries.Changes(r.tx, table.Span{}, r.to) {
		if err != nil {
			return nil, err
		}
		if p.To != "" {
			return nil, nil
		}
		c.dirs[p.Row.Dir] = true
		if !p.Deleted {
			c.named[p.Row.Inode] = true
		}
		old, err := entries.Get(r.past, p.Row.Dir, p.Row.Hash, p.Row.Name)
		switch {
		case err == nil:
			c.named[old.Inode] = true
		case !errors.Is(err, table.ErrNotFound):
			return nil, err
		}
	}
	return c, nil
}

// gather finds what is reached from an entry and may have changed.
func (s *subtree) gather(tx *table.Tx, e *EntryRow, dir uint64, c *changed, below func(dir uint64) ([]EntryRow, error)) error {
	s.inodes, s.names, s.entries = map[uint64]*InodeRow{}, map[uint64]uint32{}, map[EntryRow]bool{}
	if e == nil {
		return nil
	}
	type found struct {
		EntryRow
		all bool // take it and what is below it for changed
	}
	top := found{*e, c == nil}
	top.Dir = dir // as the directory is found now
	s.entries[top.EntryRow] = true
	for todo := []found{top}; len(todo) > 0; {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		all := e.all || c.named[e.Inode]
		if all {
			s.entries[e.EntryRow] = true
		}
		if all || c.inodes[e.Inode] || e == top {
			if s.names[e.Inode]++; s.names[e.Inode] > 1 {
				continue
			}
			row, err := inodes.Get(tx, e.Inode)
			if err != nil {
				return err
			}
			s.inodes[e.Inode] = &row
		}
		if e.Type != syscall.S_IFDIR {
			continue
		}
		list, err := below(e.Inode)
		if err != nil {
			return err
		}
		for i := range list {
			todo = append(todo, found{list[i], all})
		}
	}
	return nil
}
