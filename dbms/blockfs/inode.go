package blockfs

import "sync"

// rootID is the inode number of the root directory, which no record creates.
const rootID = 1

// inode is a file or directory in memory. There are two views of a file:
//
//   - the live one, what readers and writers of this run see;
//   - the recorded one, what the metadata on the device says after the records
//     made so far. It trails the live one until the file is synced, and it is a
//     prefix of it: live extents are only ever added to.
//
// Lock order: writer, then FS.mu, then view and allocator.mu, which are leaves.
type inode struct {
	id   uint64
	kind fileKind

	// Guarded by FS.mu.
	children map[string]*inode // of a directory
	parent   *inode            // of a directory
	links    int               // names
	handles  int               // open files
	writers  int               // of these, those that may write
	rec      recorded
	lastOp   uint64 // the last record about this inode
	locked   bool   // FS.Lock

	// writer serialises changes of content.
	writer sync.Mutex
	// view guards the fields below. They are changed with writer held too.
	view    sync.RWMutex
	size    int64
	version uint64 // changes of content
	mtime   int64
	extents []extent
	blocks  uint64 // sum of extents
	buf     buffer
}

// recorded is the view of a file that the metadata holds.
type recorded struct {
	size   int64
	valid  int64
	blocks uint64 // this many of the live blocks
	count  int    // in this many extents
}

func newInode(id uint64, kind fileKind) *inode {
	in := &inode{id: id, kind: kind}
	if kind == kindDir {
		in.children = map[string]*inode{}
	}
	return in
}

func (in *inode) isDir() bool { return in.kind == kindDir }

// addExtent appends e to the live extents; in.view is held or in is private.
func (in *inode) addExtent(e extent) {
	in.blocks += e.count
	if n := len(in.extents); n > 0 {
		last := &in.extents[n-1]
		if last.end() == e.start && last.count+e.count <= maxExtentBlocks {
			last.count += e.count
			return
		}
	}
	in.extents = append(in.extents, e)
}

// maxExtentBlocks is what the count of an extent can hold.
const maxExtentBlocks = 1<<32 - 1

// trim cuts the live extents to n blocks and returns what is cut off; in.view
// is held. It must not cut into what is recorded.
func (in *inode) trim(n uint64) []extent {
	var cut []extent
	for in.blocks > n {
		last := &in.extents[len(in.extents)-1]
		k := min(last.count, in.blocks-n)
		cut = append(cut, extent{last.end() - k, k})
		last.count -= k
		in.blocks -= k
		if last.count == 0 {
			in.extents = in.extents[:len(in.extents)-1]
		}
	}
	return cut
}

// prefix returns the extents that cover the first n blocks.
func prefix(extents []extent, n uint64) []extent {
	out := make([]extent, 0, len(extents))
	for _, e := range extents {
		if n == 0 {
			break
		}
		e.count = min(e.count, n)
		n -= e.count
		out = append(out, e)
	}
	return out
}

// whole counts the leading extents that lie fully within the first n blocks.
func whole(extents []extent, n uint64) (count int, blocks uint64) {
	for _, e := range extents {
		if blocks+e.count > n {
			break
		}
		blocks += e.count
		count++
	}
	return count, blocks
}

// span is a contiguous piece of the device, in bytes.
type span struct{ off, n int64 }

// spans maps n bytes of the file from off to the device; in.view is held. The
// range lies within the extents.
func (in *inode) spans(to []span, off, n int64) []span {
	pos := int64(0)
	for _, e := range in.extents {
		if n == 0 {
			break
		}
		if end := pos + e.bytes(); off < end {
			k := min(n, end-off)
			to = append(to, span{int64(e.start)*blockSize + off - pos, k})
			off += k
			n -= k
		}
		pos += e.bytes()
	}
	return to
}
