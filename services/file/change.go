package file

import (
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// change is one change of the name space while it is put together: a batch,
// and the records that become the present ones when it is committed. The
// caller holds FS.tree and the locks of all inodes concerned.
type change struct {
	fs      *FS
	batch   *pebble.Batch
	pending []pendingRecord
	err     error // the first; later steps do nothing
}

type pendingRecord struct {
	inode *Inode
	next  record
}

func (fs *FS) begin() *change { return &change{fs: fs, batch: fs.db.NewBatch()} }

// latest is the record of the inode as this change leaves it.
func (c *change) latest(n *Inode) record {
	for i := range c.pending {
		if c.pending[i].inode == n {
			return c.pending[i].next
		}
	}
	return n.record
}

// record replaces the inode's record.
func (c *change) record(n *Inode, next record) {
	for i := range c.pending {
		if c.pending[i].inode == n {
			c.pending[i].next = next
			return
		}
	}
	c.pending = append(c.pending, pendingRecord{n, next})
}

// enter makes a name refer to the child.
func (c *change) enter(directory *Inode, name string, child *Inode) {
	var k key
	var value [entrySize]byte
	entry{child.number, child.record.Type()}.encode(value[:])
	c.do(func() error { return c.batch.Set(k.entry(directory.number, name), value[:], nil) })
}

// leave removes a name.
func (c *change) leave(directory *Inode, name string) {
	var k key
	c.do(func() error { return c.batch.Delete(k.entry(directory.number, name), nil) })
}

// unlinked takes one name's link from the inode. With the last it is deleted,
// or becomes an orphan if it is open.
func (c *change) unlinked(n *Inode, now int64) {
	next := c.latest(n)
	next.Links--
	next.Changed = now
	if next.Type() == syscall.S_IFDIR {
		next.Links = 0
	}
	if next.Links > 0 || n.opens > 0 {
		c.record(n, next)
	}
	if next.Links > 0 {
		return
	}
	if n.opens > 0 {
		var k key
		c.do(func() error { return c.batch.Set(k.orphan(n.number), nil, nil) })
		return
	}
	c.do(func() error { return n.delete(c.batch) })
	n.record.Links = 0
}

func (c *change) do(step func() error) {
	if c.err == nil {
		c.err = storage(step())
	}
}

// commit carries the change out and shows the new records.
func (c *change) commit() error {
	for i := range c.pending {
		p := &c.pending[i]
		c.do(func() error { return p.inode.stage(c.batch, &p.next) })
	}
	if c.err == nil {
		c.err = c.fs.commit(c.batch)
	}
	if c.err != nil {
		return c.err
	}
	for i := range c.pending {
		c.pending[i].inode.show(c.pending[i].next)
	}
	return nil
}
