package file

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// Check reads everything that is stored and proves it consistent:
//
//   - every key and value is well formed;
//   - every name refers to an inode that exists and has the type it says;
//   - an inode has as many links as names, a directory 2 and one for each
//     directory in it, and exactly one name (the root none); what has none
//     is an orphan and known as such;
//   - a directory's size is the number of its entries and its parent is
//     where its name is, so that all hang together in one tree;
//   - blocks belong to files, lie within their size and are counted.
//
// The error joins all that was found, up to a bound. Check takes memory for
// each inode and a consistent view, so that it can run beside changes.
func (fs *FS) Check() error {
	snapshot := fs.db.NewSnapshot()
	c := &checker{inodes: map[uint64]*checked{}, orphans: map[uint64]bool{}}
	err := c.scan(snapshot)
	if err = firstError(err, snapshot.Close()); err != nil {
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
	found   []error
}

// checked is what the keys say about one inode.
type checked struct {
	record  *record
	names   uint32 // that refer to it
	from    uint64 // a directory that has such a name
	mode    uint32 // type that the names say
	entries int64  // names in it
	subdirs uint32 // of which directories
	blocks  int64
	extent  int64 // end of the last block's data
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

func (c *checker) scan(r pebble.Reader) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
	if err != nil {
		return err
	}
	for valid := it.First(); valid; valid = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return firstError(err, it.Close())
		}
		c.key(it.Key(), value)
	}
	return it.Close()
}

func (c *checker) key(k, value []byte) {
	p, ok := parseKey(k)
	if !ok {
		c.report("key %x is malformed", k)
		return
	}
	switch p.kind {
	case kindSuper:
		if err := checkSuper(value); err != nil {
			c.report("superblock: %v", err)
		}
	case kindOrphan:
		c.orphans[p.value] = true
	case kindInode:
		r, err := decodeRecord(p.inode, value)
		if err != nil {
			c.report("inode %d: %v", p.inode, err)
			return
		}
		c.at(p.inode).record = &r
	case kindBlock:
		c.block(p, value)
	case kindEntry:
		c.entry(p, value)
	}
}

func (c *checker) block(p parsedKey, value []byte) {
	n := c.at(p.inode)
	n.blocks++
	if len(value) > BlockSize || p.value > MaxSize/BlockSize {
		c.report("inode %d: block %d has %d bytes", p.inode, p.value, len(value))
		return
	}
	n.extent = max(n.extent, int64(p.value)*BlockSize+int64(len(value)))
}

func (c *checker) entry(p parsedKey, value []byte) {
	e, err := decodeEntry(value)
	if err != nil {
		c.report("directory %d: %q: %v", p.inode, p.name, err)
		return
	}
	directory, n := c.at(p.inode), c.at(e.inode)
	directory.entries++
	if e.mode == syscall.S_IFDIR {
		directory.subdirs++
	}
	if n.names > 0 && n.mode != e.mode {
		c.report("inode %d: names disagree about its type", e.inode)
	}
	n.names++
	n.from, n.mode = p.inode, e.mode
}

func (c *checker) judge() {
	if root := c.at(rootNumber); root.record == nil || root.record.Type() != syscall.S_IFDIR {
		c.report("there is no root directory")
	}
	for number, n := range c.inodes {
		if n.record == nil {
			c.report("inode %d is referred to and does not exist", number)
			continue
		}
		c.links(number, n)
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
