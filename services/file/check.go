package file

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// Check stores what has changed, reads everything that is stored and proves it
// consistent:
//
//   - every row is well formed;
//   - every name refers to an inode that exists and has the type it says;
//   - an inode has as many links as names, a directory 2 and one for each
//     directory in it, and exactly one name (the root none); what has none
//     is an orphan and known as such;
//   - a directory's size is the number of its entries and its parent is
//     where its name is, so that all hang together in one tree;
//   - what says in which directory its only name is has one name, there;
//   - pages belong to files, lie within their size and are counted;
//   - data is there as long as extents say, belongs to one chunk or to as many as share
//     it, and what belongs to none is known as freed.
//
// The error joins all that was found, up to a bound. Check takes memory for
// each inode and each row of data, and a consistent view, so that it can run beside
// changes.
func (fs *FS) Check() error {
	if err := fs.flush(); err != nil {
		return err
	}
	fs.collecting.Lock() // what is forgotten is gone for older views, too
	defer fs.collecting.Unlock()
	var c *checker
	err := fs.view(func(tx *table.Tx) error {
		c = &checker{inodes: map[uint64]*checked{}, orphans: map[uint64]bool{}, data: map[uint64]*checkedData{}}
		return c.scan(tx)
	})
	if err != nil {
		return fmt.Errorf("file: check: %w", err)
	}
	c.judge()
	return errors.Join(c.found...)
}

// maxFindings bounds the report.
const maxFindings = 100

// checker gathers what is stored.
type checker struct {
	inodes  map[uint64]*checked
	orphans map[uint64]bool
	data    map[uint64]*checkedData
	loaded  uint64 // loaded data from here on belongs to no file yet
	found   []error
}

// checkedData is what the rows say about one row of os.data.
type checkedData struct {
	pages    int    // that it has; 0: there is no such row
	chunks   int    // that refer to it
	unmarked int    // of these, those that do not say that there may be others
	shares   uint32 // chunks, as the row of os.shares has it
	freed    int    // rows that say it is
}

// checked is what the rows say about one inode.
type checked struct {
	record  *record
	names   uint32 // that refer to it
	from    uint64 // a directory that has such a name
	mode    uint32 // type that the names say
	entries int64  // names in it
	subdirs uint32 // of which directories
	blocks  int64
	extent  int64 // end of the last page's data, about
	xattrs  uint32
}

func (c *checker) report(format string, args ...any) {
	if len(c.found) < maxFindings {
		c.found = append(c.found, fmt.Errorf("file: "+format, args...))
	}
}

func (c *checker) at(number uint64) *checked {
	n := c.inodes[number]
	if n == nil {
		n = &checked{}
		c.inodes[number] = n
	}
	return n
}

func (c *checker) dataOf(id uint64) *checkedData {
	d := c.data[id]
	if d == nil {
		d = &checkedData{}
		c.data[id] = d
	}
	return d
}

func (c *checker) scan(tx *table.Tx) error {
	return firstError(
		each(tx, inodes, c.inode), each(tx, entries, c.entry), each(tx, extents, c.chunk), each(tx, data, c.bytes),
		each(tx, freed, c.freed), each(tx, shares, func(r *ShareRow) { c.dataOf(r.Data).shares = r.Chunks }),
		each(tx, loaded, func(r *LoadedRow) { c.loaded = r.Next }),
		each(tx, orphans, func(r *OrphanRow) { c.orphans[r.Inode] = true }),
		each(tx, attributes, func(r *AttributeRow) { c.at(r.Inode).xattrs++ }))
}

func each[T any](tx *table.Tx, t *table.Table[T], do func(*T)) error {
	for row, err := range t.Scan(tx, table.Span{}) {
		if err != nil {
			return err
		}
		do(&row)
	}
	return nil
}

func (c *checker) inode(row *InodeRow) {
	r, err := recordOf(row)
	if err != nil {
		c.report("inode %d: %v", row.Number, err)
		return
	}
	c.at(row.Number).record = &r
}

func (c *checker) chunk(row *ExtentRow) {
	x, err := decodeExtent(row.Inline, row.Pieces)
	if err != nil || x.empty() {
		c.report("inode %d, chunk %d: %v", row.Inode, row.Chunk, firstError(err, errPieces))
		return
	}
	n := c.at(row.Inode)
	for i, r := range x.refs {
		if r.data != 0 {
			n.blocks++
			n.extent = max(n.extent, int64(row.Chunk)*chunkSize+int64(i)*BlockSize+1)
		}
	}
	if r := x.refs[0]; r.data == inlined {
		n.extent = max(n.extent, int64(row.Chunk)*chunkSize+int64(len(x.inline)))
	}
	for r := range x.rows() {
		c.refer(row, r.data, int(r.pages))
		if !r.shared {
			c.dataOf(r.data).unmarked++
		}
	}
}

func (c *checker) refer(row *ExtentRow, id uint64, pages int) {
	d := c.dataOf(id)
	if d.chunks++; d.pages != 0 && d.pages != pages {
		c.report("inode %d, chunk %d: data %d has other than %d pages", row.Inode, row.Chunk, id, pages)
	}
	d.pages = pages
}

func (c *checker) bytes(row *DataRow) {
	d := c.dataOf(row.ID)
	pages := int(blocksOf(int64(len(row.Bytes))))
	if len(row.Bytes) > chunkSize || pages == 0 || d.pages != 0 && d.pages != pages {
		c.report("data %d has %d bytes, should be %d pages", row.ID, len(row.Bytes), d.pages)
	}
	d.pages = -pages // it is there
}

func (c *checker) freed(row *FreedRow) {
	list, err := decodeFreed(row.Data)
	if err != nil {
		c.report("freed %d: %v", row.ID, err)
	}
	for _, f := range list {
		c.dataOf(f.id).freed++
	}
}

// stored judges the data: each has chunks that refer to it, which know of each other if
// they are several, or is freed.
func (c *checker) stored() {
	for id, d := range c.data {
		if d.chunks > 1 && (int(d.shares) != d.chunks || d.unmarked > 0) || d.chunks <= 1 && d.shares != 0 {
			c.report("data %d: %d chunks refer to it, %d without a mark, and its share is %d", id, d.chunks, d.unmarked, d.shares)
		}
		if id >= max(c.loaded, loadedData) && d.chunks == 0 && d.freed == 0 {
			continue // the next group will know
		}
		if d.freed > 1 || (d.chunks > 0) == (d.freed > 0) {
			c.report("data %d: %d chunks refer to it, %d times freed", id, d.chunks, d.freed)
		}
		if d.pages >= 0 {
			c.report("data %d is referred to and does not exist", id)
		}
	}
}

func (c *checker) entry(row *EntryRow) {
	if checkName(row.Name) != nil || nameHash(row.Name) != row.Hash {
		c.report("directory %d: the name %q makes no sense", row.Dir, row.Name)
	}
	directory, n := c.at(row.Dir), c.at(row.Inode)
	directory.entries++
	if row.Type == syscall.S_IFDIR {
		directory.subdirs++
	}
	if n.names > 0 && n.mode != row.Type {
		c.report("inode %d: names disagree about its type", row.Inode)
	}
	n.names++
	n.from, n.mode = row.Dir, row.Type
}

func (c *checker) judge() {
	c.stored()
	if root := c.at(rootNumber); root.record == nil || root.record.Type() != syscall.S_IFDIR {
		c.report("there is no root directory")
	}
	for number, n := range c.inodes {
		if n.record == nil {
			c.report("inode %d is referred to and does not exist", number)
			continue
		}
		c.links(number, n)
		if n.xattrs != n.record.attributes {
			c.report("inode %d: %d extended attributes, says %d", number, n.xattrs, n.record.attributes)
		}
		switch n.record.Type() {
		case syscall.S_IFDIR:
			c.directory(number, n)
		case syscall.S_IFREG:
			c.contents(number, n)
		default:
			c.empty(number, n)
		}
	}
	for number := range c.orphans {
		if n := c.inodes[number]; n == nil || n.record == nil {
			c.report("orphan %d does not exist", number)
		}
	}
}

func (c *checker) links(number uint64, n *checked) {
	links, want := n.record.Links, n.names
	if n.record.Type() == syscall.S_IFDIR && (n.names > 0 || number == rootNumber) {
		want = 2 + n.subdirs
	}
	if links != want {
		c.report("inode %d: %d links, should be %d", number, links, want)
	}
	if n.record.Type() != syscall.S_IFDIR && links > 0 && n.record.parent != 0 && (links > 1 || n.record.parent != n.from) {
		c.report("inode %d: %d links, one in %d, its only one in %d", number, links, n.from, n.record.parent)
	}
	if n.names > 0 && n.mode != n.record.Type() {
		c.report("inode %d: its name says type %o, it is %o", number, n.mode, n.record.Type())
	}
	if (links == 0) != c.orphans[number] {
		c.report("inode %d: %d links, known as an orphan: %v", number, links, c.orphans[number])
	}
}

func (c *checker) directory(number uint64, n *checked) {
	if n.record.Size != n.entries {
		c.report("directory %d: size %d, has %d entries", number, n.record.Size, n.entries)
	}
	if n.blocks > 0 {
		c.report("directory %d has blocks", number)
	}
	if number == rootNumber || n.names == 0 {
		return
	}
	if n.names > 1 || n.from != n.record.parent {
		c.report("directory %d: %d names, one in %d, parent %d", number, n.names, n.from, n.record.parent)
	}
	c.reachesRoot(number)
}

// reachesRoot follows the parents; it needs at most as many steps as there
// are inodes, or they go round in a circle.
func (c *checker) reachesRoot(number uint64) {
	at := number
	for range len(c.inodes) {
		if at == rootNumber {
			return
		}
		n := c.inodes[at]
		if n == nil || n.record == nil {
			break
		}
		at = n.record.parent
	}
	c.report("directory %d does not hang on the root", number)
}

func (c *checker) contents(number uint64, n *checked) {
	if n.extent > n.record.Size {
		c.report("inode %d: data up to %d, size %d", number, n.extent, n.record.Size)
	}
	if n.blocks != n.record.Blocks {
		c.report("inode %d: %d blocks, says %d", number, n.blocks, n.record.Blocks)
	}
	c.noEntries(number, n)
}

func (c *checker) empty(number uint64, n *checked) {
	if n.blocks > 0 || n.record.Blocks > 0 {
		c.report("inode %d has blocks and is no file", number)
	}
	c.noEntries(number, n)
}

func (c *checker) noEntries(number uint64, n *checked) {
	if n.entries > 0 {
		c.report("inode %d has entries and is no directory", number)
	}
}
