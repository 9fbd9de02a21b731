package blockfs

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// tree is the namespace: what records are applied to, live and at loading.
//
// Invariants, proved by Check:
//   - each directory but the root has one name, and leads up to the root;
//   - each file has at least one name and is in inodes;
//   - imageBytes is an upper bound of the encoded image and fits its area.
type tree struct {
	root       *inode
	inodes     map[uint64]*inode
	next       uint64 // no inode has this number or a higher one
	imageBytes int64
}

func newTree() *tree {
	root := newInode(rootID, kindDir)
	root.links = 1
	return &tree{root: root, inodes: map[uint64]*inode{rootID: root}, next: rootID + 1}
}

// apply makes the change of a namespace record. It refuses, with an errno and
// without effect, what makes no sense. It returns an inode that lost its last
// name, if any.
func (t *tree) apply(r *record) (dropped *inode, err error) {
	switch r.op {
	case opCreate:
		return nil, t.create(r)
	case opLink:
		return nil, t.link(r)
	case opUnlink:
		return t.unlink(r)
	case opRename:
		return t.rename(r)
	}
	return nil, syscall.EINVAL
}

// dir finds a directory by number.
func (t *tree) dir(id uint64) (*inode, error) {
	in := t.inodes[id]
	if in == nil {
		return nil, syscall.ENOENT
	}
	if !in.isDir() {
		return nil, syscall.ENOTDIR
	}
	return in, nil
}

// vacant finds the directory where a new name is to be entered.
func (t *tree) vacant(dir uint64, name string) (*inode, error) {
	d, err := t.dir(dir)
	if err != nil {
		return nil, err
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if d.children[name] != nil {
		return nil, syscall.EEXIST
	}
	return d, nil
}

func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return syscall.ENAMETOOLONG
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return syscall.EINVAL
	}
	return nil
}

func (t *tree) create(r *record) error {
	d, err := t.vacant(r.dir, r.name)
	if err != nil {
		return err
	}
	if r.inode == 0 || t.inodes[r.inode] != nil {
		return syscall.EEXIST
	}
	if r.kind < kindFile || r.kind > kindLog || r.inode == ^uint64(0) {
		return syscall.EINVAL
	}
	in := newInode(r.inode, r.kind)
	in.mtime = r.mtime
	t.inodes[in.id] = in
	t.next = max(t.next, in.id+1)
	t.imageBytes += setFileBytes
	t.enter(d, r.name, in)
	return nil
}

func (t *tree) link(r *record) error {
	d, err := t.vacant(r.dir, r.name)
	if err != nil {
		return err
	}
	in := t.inodes[r.inode]
	switch {
	case in == nil:
		return syscall.ENOENT
	case in.isDir():
		return syscall.EPERM
	}
	t.enter(d, r.name, in)
	return nil
}

func (t *tree) unlink(r *record) (*inode, error) {
	d, err := t.dir(r.dir)
	if err != nil {
		return nil, err
	}
	in := d.children[r.name]
	switch {
	case in == nil:
		return nil, syscall.ENOENT
	case len(in.children) > 0:
		return nil, syscall.ENOTEMPTY
	}
	t.leave(d, r.name, in)
	return t.drop(in), nil
}

func (t *tree) rename(r *record) (*inode, error) {
	from, err := t.dir(r.dir)
	if err != nil {
		return nil, err
	}
	to, err := t.dir(r.toDir)
	if err != nil {
		return nil, err
	}
	in, over := from.children[r.name], to.children[r.toName]
	if err := renameAllowed(in, over, to, r.toName); err != nil || in == over {
		return nil, err
	}
	var dropped *inode
	if over != nil {
		t.leave(to, r.toName, over)
		dropped = t.drop(over)
	}
	t.leave(from, r.name, in)
	t.enter(to, r.toName, in)
	return dropped, nil
}

// renameAllowed checks a rename of in to name in directory to, over what is there.
func renameAllowed(in, over, to *inode, name string) error {
	if in == nil {
		return syscall.ENOENT
	}
	if err := checkName(name); err != nil {
		return err
	}
	if in.isDir() {
		for d := to; d != nil; d = d.parent {
			if d == in {
				return syscall.EINVAL
			}
		}
	}
	switch {
	case over == nil || over == in:
		return nil
	case over.isDir() && !in.isDir():
		return syscall.EISDIR
	case in.isDir() && !over.isDir():
		return syscall.ENOTDIR
	case len(over.children) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

func (t *tree) enter(d *inode, name string, in *inode) {
	d.children[name] = in
	in.links++
	if in.isDir() {
		in.parent = d
	}
	t.imageBytes += createBytes + int64(len(name))
}

func (t *tree) leave(d *inode, name string, in *inode) {
	delete(d.children, name)
	in.links--
	if in.isDir() {
		in.parent = nil
	}
	t.imageBytes -= createBytes + int64(len(name))
}

// drop forgets an inode without names.
func (t *tree) drop(in *inode) *inode {
	if in.links > 0 {
		return nil
	}
	delete(t.inodes, in.id)
	t.imageBytes -= setFileBytes + int64(in.rec.count)*extentBytes
	return in
}

// setRecorded replaces the recorded view of a file.
func (t *tree) setRecorded(in *inode, rec recorded) {
	t.imageBytes += int64(rec.count-in.rec.count) * extentBytes
	in.rec = rec
}

// load applies a setfile record while loading, where both views are one.
func (t *tree) load(r *record) error {
	in := t.inodes[r.inode]
	if in == nil || in.isDir() {
		return fmt.Errorf("%w: length of inode %d, which is no file", ErrCorrupt, r.inode)
	}
	keep := int(r.keep)
	if keep > len(in.extents) || keep+len(r.extents) > maxExtents {
		return fmt.Errorf("%w: inode %d keeps %d of %d extents", ErrCorrupt, in.id, keep, len(in.extents))
	}
	in.extents = append(in.extents[:keep:keep], r.extents...)
	in.blocks = 0
	for _, e := range in.extents {
		if in.blocks += e.count; e.count == 0 || in.blocks > maxDeviceBlocks {
			return fmt.Errorf("%w: extents of inode %d", ErrCorrupt, in.id)
		}
	}
	if r.size < 0 || r.size > r.valid || r.valid > int64(in.blocks)*blockSize {
		return fmt.Errorf("%w: inode %d: size %d, valid %d, in %d blocks", ErrCorrupt, in.id, r.size, r.valid, in.blocks)
	}
	in.size, in.mtime = r.size, r.mtime
	t.setRecorded(in, recorded{r.size, r.valid, in.blocks, len(in.extents)})
	return nil
}

// image encodes the recorded state as the records that build it.
func (t *tree) image() []byte {
	b := make([]byte, 0, t.imageBytes)
	seen := map[*inode]bool{}
	for dirs := []*inode{t.root}; len(dirs) > 0; dirs = dirs[1:] {
		for _, name := range sortedNames(dirs[0].children) {
			in := dirs[0].children[name]
			if in.isDir() {
				dirs = append(dirs, in)
			}
			b = in.appendImage(b, dirs[0].id, name, seen)
		}
	}
	return b
}

// appendImage encodes in under its name: created at the first, linked at others.
func (in *inode) appendImage(b []byte, dir uint64, name string, seen map[*inode]bool) []byte {
	if seen[in] {
		r := record{op: opLink, inode: in.id, dir: dir, name: name}
		return r.append(b)
	}
	if in.links > 1 {
		seen[in] = true
	}
	in.view.RLock()
	defer in.view.RUnlock()
	r := record{op: opCreate, kind: in.kind, inode: in.id, mtime: in.mtime, dir: dir, name: name}
	b = r.append(b)
	if in.rec == (recorded{}) {
		return b
	}
	r = record{op: opSetFile, inode: in.id, size: in.rec.size, valid: in.rec.valid, mtime: in.mtime,
		extents: prefix(in.extents, in.rec.blocks)}
	return r.append(b)
}

func sortedNames(m map[string]*inode) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
