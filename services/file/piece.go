package file

import (
	"encoding/binary"
	"errors"
	"iter"
)

// The pieces of an extent, each a run of pages that lie together in one row of
// os.data, in the order of their pages:
//
//	0  first page of the run in the chunk (1)
//	1  number of pages (1)
//	2  which page of the row of os.data the first one is (1)
//	3  pages that the row of os.data has in all (1), plus sharedBit if other chunks may
//	   refer to the row, too (share.go)
//	4  id of the row (8), little endian
const (
	pieceSize = 12
	sharedBit = 0x80
)

// pageRef is where one page is stored.
type pageRef struct {
	data  uint64 // the row of os.data; 0: there is no such page
	index uint8  // the page's number in that row
	pages uint8  // that the row has

	shared bool // other chunks may refer to the row, too
}

// inlined is the data of a pageRef whose page lies in the extent itself.
const inlined = ^uint64(0)

// mostInline is the size in bytes up to which the only page of a file lies in its
// extent: one row less to write and to read. But a row that goes is copied to history,
// which is as much again, and a row of os.data is not. (Extents with a longer page are
// older.)
const mostInline = 1024

// extent is a decoded row of os.extents. It does not change once it is shown.
type extent struct {
	refs   [chunkPages]pageRef
	inline []byte // page 0, if its reference says so
}

var noExtent = &extent{}

// extentOverhead is about what a cached extent costs besides its data, bytes.
const extentOverhead = 512

func (x *extent) cost() int { return extentOverhead + len(x.inline) }

func (x *extent) empty() bool {
	for i := range x.refs {
		if x.refs[i].data != 0 {
			return false
		}
	}
	return true
}

// count is the number of its pages.
func (x *extent) count() (n int64) {
	for i := range x.refs {
		if x.refs[i].data != 0 {
			n++
		}
	}
	return n
}

// refers tells whether some page is in the row of os.data.
func (x *extent) refers(data uint64) bool {
	for i := range x.refs {
		if x.refs[i].data == data {
			return true
		}
	}
	return false
}

// rows yields one reference to each of the rows of os.data that have pages of the
// extent.
func (x *extent) rows() iter.Seq[pageRef] {
	return func(yield func(pageRef) bool) {
		for i, r := range x.refs {
			if r.data == 0 || r.data == inlined || x.refersBefore(i, r.data) {
				continue
			}
			if !yield(r) {
				return
			}
		}
	}
}

// refersBefore tells whether one of the first i pages is in the row of os.data.
func (x *extent) refersBefore(i int, data uint64) bool {
	for j := range i {
		if x.refs[j].data == data {
			return true
		}
	}
	return false
}

// follows tells whether page i lies behind page i-1 in the same row.
func (x *extent) follows(i int) bool {
	a, b := x.refs[i-1], x.refs[i]
	return a.data == b.data && a.data != inlined && a.index+1 == b.index && a.shared == b.shared
}

// encodePieces appends the pieces of the extent.
func (x *extent) encodePieces(b []byte) []byte {
	for i := 0; i < chunkPages; {
		r := x.refs[i]
		if r.data == 0 || r.data == inlined {
			i++
			continue
		}
		n := 1
		for i+n < chunkPages && x.follows(i+n) {
			n++
		}
		pages := r.pages
		if r.shared {
			pages |= sharedBit
		}
		b = append(b, byte(i), byte(n), r.index, pages)
		b = binary.LittleEndian.AppendUint64(b, r.data)
		i += n
	}
	return b
}

var errPieces = errors.New("the pieces of an extent make no sense")

// decodeExtent decodes and checks the columns of a row of os.extents.
func decodeExtent(inline, pieces []byte) (*extent, error) {
	x := &extent{}
	if len(inline) > BlockSize || len(pieces)%pieceSize != 0 {
		return nil, errPieces
	}
	next := 0
	if len(inline) > 0 {
		x.inline, x.refs[0], next = inline, pageRef{data: inlined, pages: 1}, 1
	}
	for ; len(pieces) > 0; pieces = pieces[pieceSize:] {
		first, n, index, pages := int(pieces[0]), int(pieces[1]), pieces[2], pieces[3]&^sharedBit
		id := binary.LittleEndian.Uint64(pieces[4:])
		if first < next || n == 0 || first+n > chunkPages || pages > chunkPages ||
			int(index)+n > int(pages) || id == 0 || id == inlined {
			return nil, errPieces
		}
		for i := range n {
			x.refs[first+i] = pageRef{id, index + uint8(i), pages, pieces[3]&sharedBit != 0}
		}
		next = first + n
	}
	return x, nil
}

// pageOf cuts one page out of the bytes of a row of os.data.
func pageOf(bytes []byte, index int) []byte {
	from := min(index*BlockSize, len(bytes))
	to := min(from+BlockSize, len(bytes))
	return bytes[from:to:to]
}
