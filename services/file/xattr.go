package file

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// Flags of SetXattr, with Linux's values.
const (
	XattrCreate  = 1 << 0 // EEXIST if there is such an attribute
	XattrReplace = 1 << 1 // ENODATA if there is none
)

// The bounds of extended attributes. So many names of the greatest length, each with a
// zero, are 64 KiB, the most that listxattr(2) may return.
const (
	MaxXattrName  = 255      // bytes
	MaxXattrValue = 64 << 10 // bytes
	MaxXattrs     = 256      // of one inode
)

// xattrChange is what became of an extended attribute.
type xattrChange struct {
	value   []byte // never changed
	removed bool
}

// setXattr notes what became of an extended attribute. The caller is inside the gate.
func (j *journal) setXattr(n *Inode, name string, c xattrChange) {
	j.mu.Lock()
	defer j.mu.Unlock()
	of := j.open.xattrs[n]
	if of == nil {
		of = map[string]xattrChange{}
		j.open.xattrs[n] = of
	}
	of[name] = c
	j.open.size.Add(nameCost + int64(len(name)+len(c.value)))
}

// findXattr looks for an attribute among the changes that the store does not have yet.
func (j *journal) findXattr(n *Inode, name string) (c xattrChange, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c, known = j.open.xattrs[n][name]; !known && j.flushing != nil {
		c, known = j.flushing.xattrs[n][name]
	}
	return c, known
}

// xattrsOf are the changes of an inode that the store does not have yet.
func (j *journal) xattrsOf(n *Inode) map[string]xattrChange {
	j.mu.Lock()
	defer j.mu.Unlock()
	found := map[string]xattrChange{}
	for _, g := range [...]*group{j.flushing, j.open} {
		if g == nil {
			continue
		}
		for name, c := range g.xattrs[n] {
			found[name] = c
		}
	}
	return found
}

// Xattr returns the value of an extended attribute, which must not be changed: ENODATA.
func (n *Inode) Xattr(name string) ([]byte, error) {
	n.rlock()
	defer n.mu.RUnlock()
	return n.xattr(name)
}

// xattr is Xattr with mu held, in either mode.
func (n *Inode) xattr(name string) (value []byte, err error) {
	if n.record.attributes == 0 {
		return nil, syscall.ENODATA
	}
	if c, known := n.fs.journal.findXattr(n, name); known {
		if c.removed {
			return nil, syscall.ENODATA
		}
		return c.value, nil
	}
	err = n.fs.view(func(tx *table.Tx) (err error) {
		value, err = storedXattr(tx, n.number, name)
		return err
	})
	if err != nil && err != syscall.ENODATA {
		err = n.fs.damaged("extended attribute %q of inode %d: %v", name, n.number, err)
	}
	return value, err
}

func storedXattr(tx *table.Tx, inode uint64, name string) ([]byte, error) {
	row, err := attributes.Get(tx, inode, name)
	if errors.Is(err, table.ErrNotFound) {
		err = syscall.ENODATA
	}
	return row.Value, err
}

// Xattrs lists the names of the extended attributes, sorted.
func (n *Inode) Xattrs() (names []string, err error) {
	n.rlock()
	defer n.mu.RUnlock()
	if n.record.attributes == 0 {
		return nil, nil
	}
	changes := n.fs.journal.xattrsOf(n) // first: what is stored in between is in both
	err = n.fs.view(func(tx *table.Tx) (err error) {
		names, err = storedXattrs(tx, n.number)
		return err
	})
	if err != nil {
		return nil, n.fs.damaged("extended attributes of inode %d: %v", n.number, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		_, changed := changes[name]
		return changed
	})
	for name, c := range changes {
		if !c.removed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func storedXattrs(tx *table.Tx, inode uint64) (names []string, err error) {
	for row, err := range attributes.Scan(tx, table.Prefix(inode)) {
		if err != nil {
			return nil, err
		}
		names = append(names, row.Name)
	}
	return names, nil
}

// SetXattr gives an extended attribute a value. EEXIST and ENODATA as the flags say,
// ERANGE for a name that is empty or too long, E2BIG for too long a value, ENOSPC for
// more than MaxXattrs. What names mean is the caller's to know.
func (n *Inode) SetXattr(name string, value []byte, flags int) error {
	if err := n.fs.enter(inodeCost + nameCost + len(name) + len(value)); err != nil {
		return err
	}
	defer n.fs.leave()
	return n.setXattr(name, value, flags)
}

// setXattr is SetXattr inside the gate.
func (n *Inode) setXattr(name string, value []byte, flags int) error {
	switch {
	case flags&^(XattrCreate|XattrReplace) != 0:
		return syscall.EINVAL
	case name == "" || len(name) > MaxXattrName:
		return syscall.ERANGE
	case len(value) > MaxXattrValue:
		return syscall.E2BIG
	}
	n.lock()
	defer n.mu.Unlock()
	exists, err := n.hasXattr(name)
	switch {
	case err != nil:
		return err
	case exists && flags&XattrCreate != 0:
		return syscall.EEXIST
	case !exists && flags&XattrReplace != 0:
		return syscall.ENODATA
	case !exists && n.record.attributes >= MaxXattrs:
		return syscall.ENOSPC
	case !exists:
		n.record.attributes++
	}
	n.changeXattr(name, xattrChange{value: append([]byte{}, value...)})
	return nil
}

// hasXattr tells whether there is such an attribute; ENOENT if the inode is gone.
func (n *Inode) hasXattr(name string) (bool, error) {
	if n.dead {
		return false, syscall.ENOENT
	}
	_, err := n.xattr(name)
	if err == syscall.ENODATA {
		return false, nil
	}
	return err == nil, err
}

// changeXattr notes a change. mu is held, inside the gate.
func (n *Inode) changeXattr(name string, c xattrChange) {
	n.record.Changed = n.fs.now()
	n.fs.journal.touch(n)
	n.fs.journal.setXattr(n, strings.Clone(name), c)
}

// RemoveXattr removes an extended attribute: ENODATA.
func (n *Inode) RemoveXattr(name string) error {
	if err := n.fs.enter(0); err != nil {
		return err
	}
	defer n.fs.leave()
	return n.removeXattr(name)
}

// removeXattr is RemoveXattr inside the gate.
func (n *Inode) removeXattr(name string) error {
	n.lock()
	defer n.mu.Unlock()
	exists, err := n.hasXattr(name)
	if err == nil && !exists {
		err = syscall.ENODATA
	}
	if err != nil {
		return err
	}
	n.record.attributes--
	n.changeXattr(name, xattrChange{removed: true})
	return nil
}

// xattrs writes what became of the extended attributes of an inode.
func (w *writer) xattrs(n *Inode) error {
	for name, c := range w.group.xattrs[n] {
		var err error
		if c.removed {
			err = deleteRow(attributes.Delete(w.tx, n.number, name))
		} else {
			err = attributes.Put(w.tx, &AttributeRow{Inode: n.number, Name: name, Value: c.value})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SetXattr is Inode.SetXattr.
func (t *Tx) SetXattr(n *Inode, name string, value []byte, flags int) error {
	return n.setXattr(name, value, flags)
}

// RemoveXattr is Inode.RemoveXattr.
func (t *Tx) RemoveXattr(n *Inode, name string) error { return n.removeXattr(name) }

// Xattr returns the value of an extended attribute: ENODATA.
func (n *PastInode) Xattr(name string) (value []byte, err error) {
	err = n.past.view(func(tx *table.Tx) (err error) {
		value, err = storedXattr(tx, n.record.Number, name)
		return err
	})
	return value, err
}

// Xattrs lists the names of the extended attributes, sorted.
func (n *PastInode) Xattrs() (names []string, err error) {
	err = n.past.view(func(tx *table.Tx) (err error) {
		names, err = storedXattrs(tx, n.record.Number)
		return err
	})
	return names, err
}
