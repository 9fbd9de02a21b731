package blockfs

import (
	"encoding/binary"
	"fmt"
)

// A record is one change of the metadata. The same records make up a journal
// commit (changes since the image) and the image itself (changes that lead from
// an empty volume to the state), so there is one codec and one way to apply.
//
// Little endian, one type byte and then:
//
//	create   kind u8, inode u64, mtime i64, dir u64, name
//	link     inode u64, dir u64, name
//	unlink   dir u64, name
//	rename   dir u64, to dir u64, name, to name
//	setfile  inode u64, size i64, valid i64, mtime i64, keep u32, n u32,
//	         n times (start u64, count u32)
//
// A name is a length u8 and that many bytes. Times are nanoseconds since 1970.
// setfile gives the file its length, the length up to which its extents hold
// initialised data, and its extents: the first keep stay, n others follow.
type record struct {
	op      recordOp
	kind    fileKind
	inode   uint64
	dir     uint64
	toDir   uint64
	name    string
	toName  string
	size    int64
	valid   int64
	mtime   int64
	keep    uint32
	extents []extent
}

type recordOp uint8

const (
	opCreate recordOp = 1 + iota
	opLink
	opUnlink
	opRename
	opSetFile
)

// fileKind is what an inode is.
type fileKind uint8

const (
	kindFile fileKind = 1 + iota
	kindDir
	// kindLog is a file whose length is recorded ahead of its writer; see doc.go.
	kindLog
)

const (
	createBytes  = 1 + 1 + 8 + 8 + 8 + 1 // without the name
	setFileBytes = 1 + 8 + 8 + 8 + 8 + 4 + 4
	extentBytes  = 8 + 4
)

// extent is a run of blocks of the device.
type extent struct {
	start uint64 // first block
	count uint64 // at least 1, less than 1<<32
}

func (e extent) end() uint64 { return e.start + e.count }

func (e extent) bytes() int64 { return int64(e.count) * blockSize }

// append encodes r behind b.
func (r *record) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, byte(r.op))
	switch r.op {
	case opCreate:
		b = append(b, byte(r.kind))
		b = le.AppendUint64(b, r.inode)
		b = le.AppendUint64(b, uint64(r.mtime))
		b = appendName(le.AppendUint64(b, r.dir), r.name)
	case opLink:
		b = le.AppendUint64(b, r.inode)
		b = appendName(le.AppendUint64(b, r.dir), r.name)
	case opUnlink:
		b = appendName(le.AppendUint64(b, r.dir), r.name)
	case opRename:
		b = le.AppendUint64(b, r.dir)
		b = le.AppendUint64(b, r.toDir)
		b = appendName(appendName(b, r.name), r.toName)
	case opSetFile:
		b = r.appendSetFile(b)
	}
	return b
}

func (r *record) appendSetFile(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, r.inode)
	b = le.AppendUint64(b, uint64(r.size))
	b = le.AppendUint64(b, uint64(r.valid))
	b = le.AppendUint64(b, uint64(r.mtime))
	b = le.AppendUint32(b, r.keep)
	b = le.AppendUint32(b, uint32(len(r.extents)))
	for _, e := range r.extents {
		b = le.AppendUint32(le.AppendUint64(b, e.start), uint32(e.count))
	}
	return b
}

func appendName(b []byte, name string) []byte {
	return append(append(b, byte(len(name))), name...)
}

// decoder reads fields from the front of b; after the first lack of bytes it
// only gives zeros and short is set.
type decoder struct {
	b     []byte
	short bool
}

func (d *decoder) take(n int) []byte {
	if d.short || n > len(d.b) {
		d.short = true
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if p := d.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (d *decoder) name() string { return string(d.take(int(d.u8()))) }

// record decodes one record. It checks the form; tree.apply checks the sense.
func (d *decoder) record() (record, error) {
	r := record{op: recordOp(d.u8())}
	switch r.op {
	case opCreate:
		r.kind, r.inode, r.mtime = fileKind(d.u8()), d.u64(), int64(d.u64())
		r.dir, r.name = d.u64(), d.name()
	case opLink:
		r.inode, r.dir, r.name = d.u64(), d.u64(), d.name()
	case opUnlink:
		r.dir, r.name = d.u64(), d.name()
	case opRename:
		r.dir, r.toDir, r.name, r.toName = d.u64(), d.u64(), d.name(), d.name()
	case opSetFile:
		d.setFile(&r)
	default:
		return r, fmt.Errorf("%w: record type %d", ErrCorrupt, r.op)
	}
	if d.short {
		return r, fmt.Errorf("%w: record cut short", ErrCorrupt)
	}
	return r, nil
}

func (d *decoder) setFile(r *record) {
	r.inode, r.size, r.valid = d.u64(), int64(d.u64()), int64(d.u64())
	r.mtime, r.keep = int64(d.u64()), d.u32()
	n := int(d.u32())
	if n*extentBytes > len(d.b) {
		d.short = true
		return
	}
	r.extents = make([]extent, n)
	for i := range r.extents {
		r.extents[i] = extent{start: d.u64(), count: uint64(d.u32())}
	}
}
