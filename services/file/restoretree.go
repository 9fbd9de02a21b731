package file

import (
	"errors"
	"iter"
	"math"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// subtree is what is reached from a name, but for what is the same then and now.
type subtree struct {
	inodes  map[uint64]*InodeRow
	names   map[uint64]uint32 // how many of them lead to an inode
	entries map[EntryRow]bool
}

// changed is what has changed in the tree since a version.
type changed struct {
	inodes map[uint64]bool // these rows
	names  map[nameAt]bool // that have come, gone or changed
	named  map[uint64]bool // what such names lead or led to
	dirs   map[uint64]bool // in which such names are
}

// nameAt is the key of a row of os.entries.
type nameAt struct {
	dir, hash uint64
	name      string
}

// listing is the names in directories as they are now.
type listing map[uint64][]EntryRow

// changesForName is how many rows written since, for each name, are looked at to find out
// what has changed. With more, it is found by comparing all there is.
const changesForName = 4

// restoreHow is how what differs is found; tests choose.
type restoreHow int

const (
	howCheapest restoreHow = iota
	howChanges             // by what has changed, also where that is more
	howNames               // so, but by reading every name, too
	howAll                 // by comparing all there is
)

// gather finds what differs below a name between now and then, an entry each that counts
// as one of dir. There are three ways to the same:
//
//   - by what has changed, wherever: what became of names, and which of them are or were
//     below (follow). It takes time for each change, none for what is the same;
//   - where that cannot tell, as files with several names have changed, by what has changed
//     and by reading every name below;
//   - by comparing all there is, then and now, where more was written since than there is,
//     where the tree was restored, and where the name led elsewhere.
func (r *restorer) gather(then, now *EntryRow, dir uint64) error {
	l := newTreeList(r.tx, now)
	var c *changed
	if now != nil && now.Inode == then.Inode {
		worth, err := r.worth(l)
		if err == nil && worth {
			c, err = r.changed()
		}
		if err != nil {
			return err
		}
	}
	if c != nil && r.how != howNames {
		known, err := r.follow(c, then, now, dir)
		if known || err != nil {
			return err
		}
	}
	if err := l.read(math.MaxInt); err != nil {
		return err
	}
	err := r.now.gather(r.tx, now, dir, c, func(dir uint64) ([]EntryRow, error) { return l.listed[dir], nil })
	if err != nil {
		return err
	}
	return r.then.gather(r.past, then, dir, c, func(dir uint64) ([]EntryRow, error) {
		if same, ok := l.listed[dir]; ok && c != nil && !c.dirs[dir] {
			return same, nil
		}
		return entriesOf(r.past, dir)
	})
}

// worth tells whether looking at what has changed takes less time than comparing all
// there is. It takes no longer than the lesser of both: it counts changes and names by
// turns.
func (r *restorer) worth(l *treeList) (bool, error) {
	if r.how != howCheapest {
		return r.how != howAll, nil
	}
	next, stop := iter.Pull2(r.tx.Raw().Commits(r.to, false))
	defer stop()
	rows := 0
	for most := 1 << 10; ; most *= 2 {
		for rows < most {
			c, err, ok := next()
			if err != nil || !ok {
				return err == nil, err
			}
			rows += c.RowsWritten
		}
		if err := l.read(most / changesForName); err != nil || l.done() {
			return false, err
		}
	}
}

// treeList reads the names in all directories that are reached from an entry.
type treeList struct {
	tx     *table.Tx
	listed listing
	names  int
	todo   []uint64
}

func newTreeList(tx *table.Tx, e *EntryRow) *treeList {
	l := &treeList{tx: tx, listed: listing{}, names: 1}
	if e != nil && e.Type == syscall.S_IFDIR {
		l.todo = []uint64{e.Inode}
	}
	return l
}

func (l *treeList) done() bool { return len(l.todo) == 0 }

// read goes on until there are so many names, or no more.
func (l *treeList) read(names int) error {
	for !l.done() && l.names < names {
		dir := l.todo[len(l.todo)-1]
		l.todo = l.todo[:len(l.todo)-1]
		below, err := entriesOf(l.tx, dir)
		if err != nil {
			return err
		}
		l.listed[dir] = below
		l.names += len(below)
		for i := range below {
			if below[i].Type == syscall.S_IFDIR {
				l.todo = append(l.todo, below[i].Inode)
			}
		}
	}
	return nil
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

// changed finds out what has changed in the tree since then: nil if the tree was
// restored.
func (r *restorer) changed() (*changed, error) {
	c := &changed{inodes: map[uint64]bool{}, names: map[nameAt]bool{}, named: map[uint64]bool{}, dirs: map[uint64]bool{}}
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
		c.names[nameAt{p.Row.Dir, p.Row.Hash, p.Row.Name}] = true
		c.dirs[p.Row.Dir] = true
		if !p.Deleted {
			c.named[p.Row.Inode] = true
		}
	}
	for at := range c.names {
		old, err := at.get(r.past)
		if err != nil {
			return nil, err
		}
		if old != nil {
			c.named[old.Inode] = true
		}
	}
	return c, nil
}

// get returns the entry, nil if there is none.
func (a nameAt) get(tx *table.Tx) (*EntryRow, error) {
	row, err := entries.Get(tx, a.dir, a.hash, a.name)
	if errors.Is(err, table.ErrNotFound) {
		return nil, nil
	}
	return &row, err
}

func (s *subtree) clear() {
	s.inodes, s.names, s.entries = map[uint64]*InodeRow{}, map[uint64]uint32{}, map[EntryRow]bool{}
}

// gather finds what is reached from an entry and may have changed. A directory that is
// reached by names none of which has changed was reached by the same ones then, and what
// is in it is the same where none of its own names has. Below a name that has changed, all
// is taken for changed.
func (s *subtree) gather(tx *table.Tx, e *EntryRow, dir uint64, c *changed, below func(dir uint64) ([]EntryRow, error)) error {
	s.clear()
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
