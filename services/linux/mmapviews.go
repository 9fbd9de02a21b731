package linux

import (
	"slices"
	"sync"
	"unsafe"

	"github.com/tuplix/tuplix/services/file"
)

// mappings are the shared mappings of files.
type mappings struct {
	mu sync.Mutex // held by calls that make or end mappings; before the inodes' locks

	list  sync.Mutex // guards files
	files map[*file.Inode]*views
}

// views are the shared mappings of one file; it is what the file service knows of them.
type views struct {
	s     *System
	inode *file.Inode // open

	mu   sync.Mutex // after the inode's lock
	list []view
}

// view is one of them: the addresses [start, end) show the file from off on.
type view struct {
	start, end uintptr
	off        int64
	mayWrite   bool
}

// of returns the views of an inode, opening it for the first. mu is held, and tidy
// follows.
func (m *mappings) of(s *System, n *file.Inode) (*views, error) {
	m.list.Lock()
	defer m.list.Unlock()
	if v := m.files[n]; v != nil {
		return v, nil
	}
	if err := n.Open(); err != nil {
		return nil, err
	}
	if m.files == nil {
		m.files = map[*file.Inode]*views{}
	}
	v := &views{s: s, inode: n}
	m.files[n] = v
	return v, nil
}

// tidy lets a file go that has no mapping any longer. mu is held. An error of saving what
// was changed is told by the file's next Sync, as munmap(2) has none for it.
func (m *mappings) tidy(v *views) {
	if v.count() > 0 || m.files[v.inode] != v {
		return
	}
	m.list.Lock()
	delete(m.files, v.inode)
	m.list.Unlock()
	_ = v.inode.Unshare()
	_ = v.inode.Close()
}

// all are the files that are mapped.
func (m *mappings) all() (list []*views) {
	m.list.Lock()
	defer m.list.Unlock()
	for _, v := range m.files {
		list = append(list, v)
	}
	return list
}

// inodes are those with mappings in a range.
func (m *mappings) inodes(address, n uintptr) (found []*file.Inode) {
	for _, v := range m.all() {
		if v.overlap(address, address+n) {
			found = append(found, v.inode)
		}
	}
	return found
}

// unmapViews ends the shared mappings in a range, or the parts of them that lie there.
// mappings.mu is held.
func (s *System) unmapViews(address, n uintptr) {
	for _, v := range s.mappings.all() {
		if !v.overlap(address, address+n) {
			continue
		}
		v.inode.CollectChanges() // the last time that it can be asked
		_ = s.memory.Unmap(address, n)
		v.cut(address, address+n)
		s.mappings.tidy(v)
	}
}

func (v *views) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.list)
}

func (v *views) add(w view) {
	v.mu.Lock()
	v.list = append(v.list, w)
	v.mu.Unlock()
}

func (v *views) overlap(start, end uintptr) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.list, func(w view) bool { return w.start < end && start < w.end })
}

// cut takes what lies in [start, end) out of the list.
func (v *views) cut(start, end uintptr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var kept []view
	for _, w := range v.list {
		if w.start >= end || w.end <= start {
			kept = append(kept, w)
			continue
		}
		if w.start < start {
			kept = append(kept, view{w.start, start, w.off, w.mayWrite})
		}
		if w.end > end {
			kept = append(kept, view{end, w.end, w.off + int64(end-w.start), w.mayWrite})
		}
	}
	v.list = kept
}

// Reserve, Release, Discard and Room are file.Views.
func (v *views) Reserve(n int) ([]byte, error) { return v.s.memory.Reserve(n) }

// Release has no use for an error: the range is one that was given.
func (v *views) Release(p []byte) {
	_ = v.s.memory.Unmap(address(unsafe.SliceData(p)), uintptr(len(p)))
}

// Discard is likewise; where it fails the pages stay in use.
func (v *views) Discard(p []byte) {
	if len(p) > 0 && v.s.memory.Discard(p) != nil {
		clear(p)
	}
}

func (v *views) Room(n int64) bool { return v.s.room(n) }

// Resized moves the limits of all mappings.
func (v *views) Resized(size int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, w := range v.list {
		n := w.end - w.start
		v.s.memory.SetLimit(w.start, n, w.start+uintptr(min(max(size-w.off, 0), int64(n))))
	}
}

// Changed asks for 64 pages at a time.
func (v *views) Changed(each func(off int64)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, w := range v.list {
		if !w.mayWrite {
			continue
		}
		for at := w.start; at < w.end; at += 64 * pageSize {
			n := int(min(64, (w.end-at)/pageSize))
			bits := v.s.memory.TakeDirty(at, n)
			for i := 0; bits != 0; i, bits = i+1, bits>>1 {
				if bits&1 != 0 {
					each(w.off + int64(at-w.start) + int64(i*pageSize))
				}
			}
		}
	}
}

// Writable tells whether anything may be stored into the file by a mapping.
func (v *views) Writable() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.list, func(w view) bool { return w.mayWrite })
}
