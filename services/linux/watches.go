package linux

import (
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

// watches are those of all inotify instances. What becomes of names, and what programs
// change by transactions (file.Tx), the file service tells (noticed), at each change and in
// their order. What calls do with an open file, or with attributes, the calls tell
// themselves, only if there is any watch: then count is not 0.
type watches struct {
	instances atomic.Int32
	count     atomic.Int32
	era       atomic.Uint64 // counts the times that the first watch was added

	mu     sync.Mutex // after the file service's locks
	by     map[*file.Inode][]*watch
	cookie uint32
}

// The parts of a watch's mask that are no events.
const watchOptions = unix.IN_ONESHOT | unix.IN_EXCL_UNLINK

func (t *watches) active() bool { return t.count.Load() != 0 }

// add makes a watch or, where the instance has one of the inode, changes it: EEXIST with
// IN_MASK_CREATE, ENOSPC.
func (t *watches) add(i *inotify, n *file.Inode, mask uint32) (int32, syscall.Errno) {
	wanted := mask & (unix.IN_ALL_EVENTS | watchOptions)
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := i.inodes[n]; w != nil {
		switch {
		case mask&unix.IN_MASK_CREATE != 0:
			return 0, syscall.EEXIST
		case mask&unix.IN_MASK_ADD != 0:
			wanted |= w.mask
		}
		w.mask = wanted
		return w.number, 0
	}
	if t.count.Load() >= maxInotifyWatches {
		return 0, syscall.ENOSPC
	}
	i.last++
	w := &watch{i, i.last, n, wanted}
	i.numbers[w.number], i.inodes[n] = w, w
	if t.by == nil {
		t.by = map[*file.Inode][]*watch{}
	}
	t.by[n] = append(t.by[n], w)
	if t.count.Load() == 0 {
		t.era.Add(1)
	}
	t.count.Add(1)
	return w.number, 0
}

func (t *watches) remove(i *inotify, number int32) syscall.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := i.numbers[number]
	if w == nil {
		return syscall.EINVAL
	}
	t.drop(w)
	return 0
}

// drop ends a watch, and says so to its instance. mu is held.
func (t *watches) drop(w *watch) {
	t.forget(w)
	w.of.push(inotifyEvent{watch: w.number, mask: unix.IN_IGNORED})
}

func (t *watches) forget(w *watch) {
	delete(w.of.numbers, w.number)
	delete(w.of.inodes, w.inode)
	rest := slices.DeleteFunc(t.by[w.inode], func(other *watch) bool { return other == w })
	if t.by[w.inode] = rest; len(rest) == 0 {
		delete(t.by, w.inode)
	}
	t.count.Add(-1)
}

func (t *watches) removeAll(i *inotify) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range i.numbers {
		t.forget(w)
	}
}

// tell gives an event to who watches the inode. mu is held.
func (t *watches) tell(n *file.Inode, e inotifyEvent) {
	for _, w := range slices.Clone(t.by[n]) {
		if w.mask&e.mask&unix.IN_ALL_EVENTS == 0 {
			continue
		}
		e.watch = w.number
		w.of.push(e)
		if w.mask&unix.IN_ONESHOT != 0 {
			t.drop(w)
		}
	}
}

// directoryBit is the part of an event's mask that says what it is about.
func directoryBit(directory bool) uint32 {
	if directory {
		return unix.IN_ISDIR
	}
	return 0
}

// noticed is told of what the file service knows of (file.FS.Listen).
func (t *watches) noticed(n *file.Notice) {
	if !t.active() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	is := directoryBit(n.Directory)
	switch n.Kind {
	case file.Created:
		t.tell(n.Dir, inotifyEvent{mask: unix.IN_CREATE | is, name: strings.Clone(n.Name)})
	case file.Linked:
		t.tell(n.Inode, inotifyEvent{mask: unix.IN_ATTRIB})
		t.tell(n.Dir, inotifyEvent{mask: unix.IN_CREATE, name: strings.Clone(n.Name)})
	case file.Unlinked:
		if !n.Directory {
			t.tell(n.Inode, inotifyEvent{mask: unix.IN_ATTRIB})
		}
	case file.Removed:
		t.tell(n.Dir, inotifyEvent{mask: unix.IN_DELETE | is, name: strings.Clone(n.Name)})
	case file.Renamed:
		t.moved(n.Inode, n.Dir, n.Name, n.To, n.NewName, n.Other, is)
	case file.Exchange:
		t.moved(n.Inode, n.Dir, n.Name, n.To, n.NewName, nil, is)
		t.moved(n.Other, n.To, n.NewName, n.Dir, n.Name, nil, directoryBit(n.OtherDir))
	case file.Gone:
		t.tell(n.Inode, inotifyEvent{mask: unix.IN_DELETE_SELF})
		for _, w := range slices.Clone(t.by[n.Inode]) {
			t.drop(w)
		}
	case file.Modified:
		t.changed(n.Inode, unix.IN_MODIFY|is)
	case file.Altered:
		t.changed(n.Inode, unix.IN_ATTRIB|is)
	case file.Overturned:
		t.overflow()
	}
}

// overflow tells each instance with a watch that events are missing: its program looks at
// everything anew, as it must where there were more events than are kept. mu is held.
func (t *watches) overflow() {
	told := map[*inotify]bool{}
	for _, list := range t.by {
		for _, w := range list {
			if !told[w.of] {
				told[w.of] = true
				w.of.push(inotifyOverflow)
			}
		}
	}
}

// changed tells of what happened to an inode that was not reached by a name: it goes by
// the one that is known. mu is held.
func (t *watches) changed(n *file.Inode, mask uint32) {
	if dir, name := n.Place(); dir != nil {
		t.tell(dir, inotifyEvent{mask: mask, name: name})
	}
	t.tell(n, inotifyEvent{mask: mask})
}

// moved tells of one name that has become another. mu is held.
func (t *watches) moved(n, from *file.Inode, name string, to *file.Inode, newName string, over *file.Inode, is uint32) {
	t.cookie++
	t.tell(from, inotifyEvent{mask: unix.IN_MOVED_FROM | is, cookie: t.cookie, name: strings.Clone(name)})
	t.tell(to, inotifyEvent{mask: unix.IN_MOVED_TO | is, cookie: t.cookie, name: strings.Clone(newName)})
	if over != nil {
		t.tell(over, inotifyEvent{mask: unix.IN_ATTRIB | is})
	}
	t.tell(n, inotifyEvent{mask: unix.IN_MOVE_SELF})
}

// origin is by which name an inode was reached.
type origin struct {
	parent *file.Inode
	name   string
	era    uint64 // of the watches, when it was found; without a watch, renames pass it by
}

// happened tells who watches the inode, or the directory that it was reached by.
func (t *watches) happened(n *file.Inode, o origin, mask uint32) {
	mask |= directoryBit(n.Mode()&syscall.S_IFMT == syscall.S_IFDIR)
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.parent != nil {
		t.tell(o.parent, inotifyEvent{mask: mask, name: o.name})
	}
	t.tell(n, inotifyEvent{mask: mask})
}

// happened tells that a call did something to an open file.
func (s *System) happened(f *openFile, mask uint32) {
	if !s.watches.active() {
		return
	}
	l, ok := f.description.(located)
	if !ok {
		return
	}
	if d, ok := l.node().(diskNode); ok {
		s.watches.happened(d.Inode, s.originOf(f, d.Inode), mask)
	}
}

// accessed and modified tell of calls that have moved n bytes.
func (s *System) accessed(f *openFile, n int) {
	if n > 0 && s.watches.active() {
		s.happened(f, unix.IN_ACCESS)
	}
}

func (s *System) modified(f *openFile, n int) {
	if n > 0 && s.watches.active() {
		s.happened(f, unix.IN_MODIFY)
	}
}

// happenedAt tells that a call did something to what a path names.
func (s *System) happenedAt(dirfd uintptr, word *uintptr, flags uintptr, mask uint32) {
	if !s.watches.active() {
		return
	}
	path := ""
	if *word != 0 {
		var e syscall.Errno
		if path, e = cString(word); e != 0 {
			return
		}
	}
	if path == "" { // the descriptor itself
		if f, e := s.file(dirfd); e == 0 {
			s.happened(f, mask)
			_ = f.release() // the last of a file that another call closes
		}
		return
	}
	if n, o, ok := s.reach(dirfd, path, flags&unix.AT_SYMLINK_NOFOLLOW == 0); ok {
		s.watches.happened(n, o, mask)
	}
}

// reach resolves a path to an inode of the file service, and tells by which name it was
// reached in the end.
func (s *System) reach(dirfd uintptr, path string, follow bool) (*file.Inode, origin, bool) {
	at, err := s.base(dirfd, path)
	if err != nil {
		return nil, origin{}, false
	}
	w := walker{s: s}
	p, err := w.walk(at, path)
	if err != nil {
		return nil, origin{}, false
	}
	n, err := w.finish(p, follow)
	d, ok := n.(diskNode)
	if err != nil || !ok {
		return nil, origin{}, false
	}
	o := origin{name: strings.Clone(w.found.last)}
	if parent, ok := w.found.parent.(diskNode); ok && w.found.newName() == nil {
		o.parent = parent.Inode
	}
	return d.Inode, o, true
}

// originOf is by which name an open file was reached: found once by the path that it was
// opened by, and kept as renames go on. Where that path leads elsewhere by now, it is the
// name that the file service knows.
func (s *System) originOf(f *openFile, n *file.Inode) origin {
	era, known := s.watches.era.Load(), f.origin.Load()
	if known != nil && known.era == era {
		return *known
	}
	found, o, ok := s.reach(atCWD, path.Clean(f.path), true)
	if !ok || found != n {
		o.parent, o.name = n.Place()
	}
	o.era = era
	f.origin.CompareAndSwap(known, &o)
	return *f.origin.Load()
}

// follow keeps the origins of open files, for watches, when a name has moved.
func (s *System) follow(n *file.Notice) {
	if !s.watches.active() || n.Kind != file.Renamed && n.Kind != file.Exchange {
		return
	}
	for i := range s.table.chunks {
		c := s.table.chunks[i].Load()
		for fd := 0; c != nil && fd < tableChunk; fd++ {
			if f := c[fd].file.Load(); f != nil {
				f.follow(n)
			}
		}
	}
}

func (f *openFile) follow(n *file.Notice) {
	o := f.origin.Load()
	if o == nil {
		return
	}
	moved := *o
	switch {
	case o.parent == n.Dir && o.name == n.Name:
		moved.parent, moved.name = n.To, strings.Clone(n.NewName)
	case n.Kind == file.Exchange && o.parent == n.To && o.name == n.NewName:
		moved.parent, moved.name = n.Dir, strings.Clone(n.Name)
	default:
		return
	}
	if l, ok := f.description.(located); ok && (l.node() == diskNode{n.Inode} || l.node() == diskNode{n.Other}) {
		f.origin.CompareAndSwap(o, &moved)
	}
}
