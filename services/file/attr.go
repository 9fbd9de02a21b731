package file

import (
	"errors"
	"syscall"
)

// Attr is what stat(2) shows of an inode.
type Attr struct {
	Number   uint64
	Mode     uint32 // S_IFMT bits and permissions
	Links    uint32
	UID, GID uint32
	Size     int64  // bytes; of a directory the number of its entries
	Blocks   int64  // stored blocks of BlockSize bytes
	Device   uint64 // of a device node

	// Times in nanoseconds since 1970.
	Accessed, Modified, Changed, Born int64
}

// Type is the S_IFMT part of the mode.
func (a Attr) Type() uint32 { return a.Mode & syscall.S_IFMT }

// record is all there is to know of an inode, but its contents.
type record struct {
	Attr
	parent     uint64
	target     string
	attributes uint32
}

func (r *record) row() InodeRow {
	return InodeRow{
		Number: r.Number, Mode: r.Mode, Links: r.Links, UID: r.UID, GID: r.GID,
		Size: r.Size, Blocks: r.Blocks, Device: r.Device, Parent: r.parent,
		Accessed: r.Accessed, Modified: r.Modified, Changed: r.Changed, Born: r.Born,
		Target: r.target, Attributes: r.attributes,
	}
}

var errRow = errors.New("the row of an inode makes no sense")

// recordOf checks a row and takes it over.
func recordOf(w *InodeRow) (record, error) {
	r := record{Attr: Attr{
		Number: w.Number, Mode: w.Mode, Links: w.Links, UID: w.UID, GID: w.GID,
		Size: w.Size, Blocks: w.Blocks, Device: w.Device,
		Accessed: w.Accessed, Modified: w.Modified, Changed: w.Changed, Born: w.Born,
	}, parent: w.Parent, target: w.Target, attributes: w.Attributes}
	link := r.Type() == syscall.S_IFLNK
	switch {
	case r.Size < 0 || r.Size > MaxSize || r.Blocks < 0,
		!link && r.target != "", len(r.target) > MaxTarget,
		link && int64(len(r.target)) != r.Size:
		return record{}, errRow
	}
	return r, nil
}

// hashBits is the size of a name's hash. It leaves room in a directory
// position (63 bits) for the number of an entry among those of equal hash.
const hashBits = 54

// nameHash orders the entries of a directory: FNV-1a with a final mix. It is
// part of the format.
func nameHash(name string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return (h ^ h>>33) >> (64 - hashBits)
}
