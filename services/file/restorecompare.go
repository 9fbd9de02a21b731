package file

import (
	"fmt"
	"math"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// directories are those that are reached from an entry, with the directories in each.
type directories map[uint64][]uint64

// walk finds the directories that are reached from an entry.
type walk struct {
	f     *finder
	tx    *table.Tx
	same  directories     // of another walk, but for those in
	but   map[uint64]bool // these
	found directories
	names int
	todo  []uint64
}

func (f *finder) walk(s *side, e *EntryRow) *walk {
	l := &walk{f: f, tx: s.tx, found: directories{}, names: 1}
	if e != nil && e.Type == syscall.S_IFDIR {
		l.todo = []uint64{e.Inode}
	}
	return l
}

func (l *walk) done() bool { return len(l.todo) == 0 }

// read goes on until so many names were read, or all.
func (l *walk) read(names int) error {
	for !l.done() && l.names < names {
		dir := l.todo[len(l.todo)-1]
		l.todo = l.todo[:len(l.todo)-1]
		if _, ok := l.found[dir]; ok {
			return fmt.Errorf("%w: directory %d has two names", ErrDamaged, dir)
		}
		below, ok := l.same[dir]
		if !ok || l.but[dir] {
			below = nil
			for e, err := range entries.Scan(l.tx, table.Prefix(dir)) {
				if err != nil {
					return err
				}
				if l.names++; e.Type == syscall.S_IFDIR {
					below = append(below, e.Inode)
				}
			}
		}
		if err := l.f.take(sizeOfPlace); err != nil {
			return err
		}
		l.found[dir] = below
		l.todo = append(l.todo, below...)
	}
	return nil
}

// compare finds the names that differ in directories that are below, now or then, and counts
// those of inodes that may differ. A directory in which no name has changed has the same
// ones. What a name leads to that has not changed is the same, unless it is in a
// directory that has come or gone. c is nil if nobody knows what has changed.
func (f *finder) compare(c *changed, then *EntryRow, now directories) error {
	l := f.walk(&f.then, then)
	if c != nil {
		l.same, l.but = now, c.dirs
	}
	if err := l.read(math.MaxInt); err != nil {
		return err
	}
	for dir := range now {
		_, both := l.found[dir]
		if err := f.directory(c, dir, true, both); err != nil {
			return err
		}
	}
	for dir := range l.found {
		if _, both := now[dir]; !both {
			if err := f.directory(c, dir, false, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// directory is compare for one directory, which is below now, or then, or both.
func (f *finder) directory(c *changed, dir uint64, now, then bool) (err error) {
	var is, was []EntryRow
	if now {
		is, err = entriesOf(f.now.tx, dir)
	}
	stays := now && then
	if stays && c != nil && !c.dirs[dir] {
		was = is
	} else if then && err == nil {
		was, err = entriesOf(f.then.tx, dir)
	}
	if err != nil {
		return err
	}
	for s, list := range map[*side][]EntryRow{&f.now: is, &f.then: was} {
		for i := range list {
			if number := list[i].Inode; c == nil || !stays || c.inodes[number] || c.named[number] {
				s.names[number]++
				if err := f.take(sizeOfPlace); err != nil {
					return err
				}
			}
		}
	}
	for len(is) > 0 || len(was) > 0 {
		var a, b *EntryRow
		order := 0
		switch {
		case len(is) == 0:
			order = 1
		case len(was) == 0:
			order = -1
		default:
			order = is[0].compare(&was[0])
		}
		if order <= 0 {
			a, is = &is[0], is[1:]
		}
		if order >= 0 {
			b, was = &was[0], was[1:]
		}
		if err := f.entry(b, a); err != nil {
			return err
		}
	}
	return nil
}
