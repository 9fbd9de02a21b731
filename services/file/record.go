package file

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// The inode record, little endian, version 1:
//
//	 0  version (1), zero (3)       40  device (8)
//	 4  mode (4)                    48  parent (8): of a directory, its ".."
//	 8  links (4)                   56  accessed (8)
//	12  uid (4)                     64  modified (8)
//	16  gid (4)                     72  changed (8)
//	20  zero (4)                    80  born (8)
//	24  size (8)                    88  target: of a symbolic link
//	32  blocks (8)
const (
	recordVersion = 1
	recordFixed   = 88

	// MaxTarget is the longest target of a symbolic link, in bytes.
	MaxTarget = 4095
)

var errRecord = errors.New("file: inode record is malformed")

// record is a decoded inode record.
type record struct {
	Attr
	parent uint64
	target string
}

func (r *record) size() int { return recordFixed + len(r.target) }

// encode fills b, which has the record's size.
func (r *record) encode(b []byte) {
	le := binary.LittleEndian
	le.PutUint32(b, recordVersion)
	le.PutUint32(b[4:], r.Mode)
	le.PutUint32(b[8:], r.Links)
	le.PutUint32(b[12:], r.UID)
	le.PutUint32(b[16:], r.GID)
	le.PutUint32(b[20:], 0)
	le.PutUint64(b[24:], uint64(r.Size))
	le.PutUint64(b[32:], uint64(r.Blocks))
	le.PutUint64(b[40:], r.Device)
	le.PutUint64(b[48:], r.parent)
	le.PutUint64(b[56:], uint64(r.Accessed))
	le.PutUint64(b[64:], uint64(r.Modified))
	le.PutUint64(b[72:], uint64(r.Changed))
	le.PutUint64(b[80:], uint64(r.Born))
	copy(b[recordFixed:], r.target)
}

// decodeRecord checks and decodes a stored record.
func decodeRecord(number uint64, b []byte) (r record, err error) {
	le := binary.LittleEndian
	if len(b) < recordFixed || le.Uint32(b) != recordVersion {
		return r, errRecord
	}
	r.Number = number
	r.Mode = le.Uint32(b[4:])
	r.Links = le.Uint32(b[8:])
	r.UID = le.Uint32(b[12:])
	r.GID = le.Uint32(b[16:])
	r.Size = int64(le.Uint64(b[24:]))
	r.Blocks = int64(le.Uint64(b[32:]))
	r.Device = le.Uint64(b[40:])
	r.parent = le.Uint64(b[48:])
	r.Accessed = int64(le.Uint64(b[56:]))
	r.Modified = int64(le.Uint64(b[64:]))
	r.Changed = int64(le.Uint64(b[72:]))
	r.Born = int64(le.Uint64(b[80:]))
	r.target = string(b[recordFixed:])
	return r, r.validate()
}

func (r *record) validate() error {
	link := r.Type() == syscall.S_IFLNK
	switch {
	case r.Size < 0 || r.Size > MaxSize || r.Blocks < 0:
		return errRecord
	case !link && r.target != "", len(r.target) > MaxTarget:
		return errRecord
	case link && int64(len(r.target)) != r.Size:
		return errRecord
	}
	return nil
}

// The value of a directory entry, little endian:
//
//	0  inode (8)
//	8  type (1): the S_IFMT bits of the inode's mode, shifted down by 12
const entrySize = 9

// entry is what a name refers to.
type entry struct {
	inode uint64
	mode  uint32 // S_IFMT bits only
}

func (e entry) encode(b []byte) {
	binary.LittleEndian.PutUint64(b, e.inode)
	b[8] = byte(e.mode >> 12)
}

func decodeEntry(b []byte) (entry, error) {
	if len(b) != entrySize {
		return entry{}, errors.New("file: directory entry is malformed")
	}
	return entry{binary.LittleEndian.Uint64(b), uint32(b[8]) << 12}, nil
}

// The superblock, little endian:
//
//	0  version of the format (4)
//	4  block size in bytes (4)
const superSize = 8

func encodeSuper() []byte {
	b := make([]byte, superSize)
	binary.LittleEndian.PutUint32(b, recordVersion)
	binary.LittleEndian.PutUint32(b[4:], BlockSize)
	return b
}

// ErrFormat says that files were stored by a version that does it otherwise.
var ErrFormat = errors.New("file: the stored files have a format that this version does not know")

func checkSuper(b []byte) error {
	if len(b) < superSize {
		return fmt.Errorf("%w: a superblock of %d bytes", ErrFormat, len(b))
	}
	version, block := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if len(b) != superSize || version != recordVersion || block != BlockSize {
		return fmt.Errorf("%w: version %d with blocks of %d bytes; this one reads version %d with %d",
			ErrFormat, version, block, recordVersion, BlockSize)
	}
	return nil
}
