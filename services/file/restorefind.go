package file

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"syscall"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// difference is what differs below a path between a time and now.
type difference struct {
	to      engine.Version // that time
	top     uint64         // what the path's name led to
	dir     InodeRow       // the directory in which that name is now, as it is to be
	counts  bool           // it is otherwise now
	entries []entryChange
	inodes  []uint64 // that may differ, in order

	was, is map[uint64]uint32 // how many names below lead to each of these
}

// entryChange is what becomes of a name; nil: there was none, or is none.
type entryChange struct{ was, is *EntryRow }

// below tells whether an inode is or was below the path, and may have changed.
func (d *difference) below(number uint64) bool { return d.is[number] > 0 || d.was[number] > 0 }

// finder finds a difference.
type finder struct {
	*difference
	how       restoreHow
	now, then side
	room      int64 // bytes of memory that it may yet take, about
}

// side is what is below at one of the two times.
type side struct {
	tx     *table.Tx
	names  map[uint64]uint32 // how many names below lead to an inode; of difference
	inside map[uint64]bool   // whether directories are below, of those that were asked for
	looked map[uint64]uint32 // how many names of a file were looked at, below or elsewhere
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

// How much memory a difference takes, in bytes, about.
const (
	sizeOfInode = 200 // one that has changed
	sizeOfName  = 250 // likewise, or what becomes of it
	sizeOfPlace = 100 // an inode, or a directory, that was reached
)

// findShare is how many times the memory of the files a difference may take.
const findShare = 4

// find finds what differs below a path between then and now.
func (fs *FS) find(tx *table.Tx, to engine.Version, parts []string) (*difference, error) {
	past, err := tx.At(to)
	if err != nil {
		return nil, err
	}
	then, err := findEntry(past, parts)
	if err != nil {
		return nil, err
	}
	if then == nil {
		return nil, syscall.ENOENT
	}
	dir, err := findDirectory(tx, parts[:len(parts)-1])
	if err != nil {
		return nil, err
	}
	now, err := entryOf(tx, dir.Number, parts[len(parts)-1])
	if err != nil {
		return nil, err
	}
	then.Dir = dir.Number // as the directory is found now
	d := &difference{to: to, top: then.Inode, dir: *dir}
	count(&d.dir, then, +1)
	if now != nil {
		count(&d.dir, now, -1)
	}
	d.counts = d.dir != *dir
	f := &finder{
		difference: d, how: fs.restoreHow, room: findShare * int64(fs.options.Memory),
		now: side{tx: tx}, then: side{tx: past},
	}
	if err := f.gather(then, now); err != nil {
		return nil, err
	}
	d.is, d.was = f.now.names, f.then.names
	d.inodes = slices.AppendSeq(slices.Collect(maps.Keys(d.was)), maps.Keys(d.is))
	slices.Sort(d.inodes)
	d.inodes = slices.Compact(d.inodes)
	return d, d.moved(tx)
}

// moved refuses directories that were below and are elsewhere now.
func (d *difference) moved(tx *table.Tx) error {
	for _, number := range d.inodes {
		if d.was[number] == 0 || d.is[number] > 0 {
			continue
		}
		row, err := rowOf(tx, number)
		if err != nil {
			return err
		}
		if row != nil && row.Links > 0 && row.Mode&syscall.S_IFMT == syscall.S_IFDIR {
			return fmt.Errorf("inode %d: %w", number, ErrMoved)
		}
	}
	return nil
}

// count counts an entry of the directory in or out.
func count(dir *InodeRow, e *EntryRow, by int) {
	dir.Size += int64(by)
	if e.Type == syscall.S_IFDIR {
		dir.Links = uint32(int(dir.Links) + by)
	}
}

// findDirectory walks to a directory, without following links.
func findDirectory(tx *table.Tx, parts []string) (*InodeRow, error) {
	number := uint64(rootNumber)
	for _, part := range parts {
		e, err := entryOf(tx, number, part)
		if err != nil {
			return nil, err
		}
		if e == nil {
			return nil, syscall.ENOENT
		}
		number = e.Inode
	}
	row, err := inodes.Get(tx, number)
	if err == nil && row.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		err = syscall.ENOTDIR
	}
	return &row, err
}

func findEntry(tx *table.Tx, parts []string) (*EntryRow, error) {
	dir, err := findDirectory(tx, parts[:len(parts)-1])
	if err != nil {
		return nil, err
	}
	return entryOf(tx, dir.Number, parts[len(parts)-1])
}

// entryOf is the entry of a name, nil if there is none.
func entryOf(tx *table.Tx, dir uint64, name string) (*EntryRow, error) {
	row, err := entries.Get(tx, dir, nameHash(name), name)
	if errors.Is(err, table.ErrNotFound) {
		return nil, nil
	}
	return &row, err
}

// take accounts for memory.
func (f *finder) take(bytes int) error {
	if f.room -= int64(bytes); f.room < 0 {
		return ErrTooMuch
	}
	return nil
}

// begin forgets what was found. The path's own name leads to top, and then, at least.
func (f *finder) begin(then, now *EntryRow) error {
	f.entries = nil
	for s, e := range map[*side]*EntryRow{&f.now: now, &f.then: then} {
		s.names, s.looked = map[uint64]uint32{}, map[uint64]uint32{}
		s.inside = map[uint64]bool{f.top: true, rootNumber: false}
		if e != nil {
			s.names[e.Inode]++
		}
	}
	return f.entry(then, now)
}

// entry notes what becomes of a name.
func (f *finder) entry(then, now *EntryRow) error {
	if then == nil && now == nil || then != nil && now != nil && *then == *now {
		return nil
	}
	f.entries = append(f.entries, entryChange{then, now})
	return f.take(sizeOfName)
}

// gather finds the names that differ between then and now, an entry each of the path's
// own, and the inodes that may. There are three ways to the same:
//
//   - by what has changed, wherever: what became of names, and which of them are or were
//     below (follow). It takes time for each change, none for what is the same;
//   - where that cannot tell, as files with several names have changed, by what has changed
//     and by reading every name below;
//   - by comparing all there is, then and now, where more was written since than there is,
//     where the tree was restored, and where the name led elsewhere.
func (f *finder) gather(then, now *EntryRow) error {
	l := f.walk(&f.now, now)
	var c *changed
	if now != nil && now.Inode == then.Inode && now.Type == syscall.S_IFDIR {
		worth, err := f.worth(l)
		if err == nil && worth {
			c, err = f.changed()
		}
		if err != nil {
			return err
		}
	}
	room := f.room
	if c != nil && f.how != howNames {
		known, err := f.follow(c, then, now)
		if known || err != nil {
			return err
		}
	}
	f.room = room
	if err := l.read(math.MaxInt); err != nil {
		return err
	}
	if err := f.begin(then, now); err != nil {
		return err
	}
	return f.compare(c, then, l.found)
}

// worth tells whether looking at what has changed takes less time than comparing all
// there is. It takes no longer than the lesser of both: it counts changes and names by
// turns.
func (f *finder) worth(l *walk) (bool, error) {
	if f.how != howCheapest {
		return f.how != howAll, nil
	}
	next, stop := iter.Pull2(f.now.tx.Raw().Commits(f.to, false))
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
func (f *finder) changed() (*changed, error) {
	c := &changed{inodes: map[uint64]bool{}, names: map[nameAt]bool{}, named: map[uint64]bool{}, dirs: map[uint64]bool{}}
	for p, err := range inodes.Changes(f.now.tx, table.Span{}, f.to) {
		if err != nil {
			return nil, err
		}
		if p.To != "" {
			return nil, nil
		}
		c.inodes[p.Row.Number] = true
		if err := f.take(sizeOfInode); err != nil {
			return nil, err
		}
	}
	for p, err := range entries.Changes(f.now.tx, table.Span{}, f.to) {
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
		if err := f.take(sizeOfName); err != nil {
			return nil, err
		}
	}
	for at := range c.names {
		old, err := at.get(f.then.tx)
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
