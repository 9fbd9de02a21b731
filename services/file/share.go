package file

import (
	"context"
	"errors"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// A copy by reference has its extents refer to the data of those that it was made from:
//
//	os.extents  inode 7, chunk 0 ──┐
//	                               ├──► os.data 31    os.shares 31: 2 chunks
//	os.extents  inode 9, chunk 0 ──┘
//
// Data without a row in os.shares has one chunk, or is freed. What may be shared is
// marked in all extents that refer to it, so that only who writes over those looks into
// os.shares. A mark may be left over when a file is the last that refers to its data.

// share counts one more chunk that refers to data.
func share(tx *table.Tx, id uint64) error {
	row, err := shares.Get(tx, id)
	if errors.Is(err, table.ErrNotFound) {
		row, err = ShareRow{Data: id, Chunks: 1}, nil
	}
	if err != nil {
		return err
	}
	row.Chunks++
	return shares.Put(tx, &row)
}

// unshare counts one chunk less and returns how many are left.
func unshare(tx *table.Tx, id uint64) (left uint32, err error) {
	row, err := shares.Get(tx, id)
	if errors.Is(err, table.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	row.Chunks--
	return row.Chunks, setShares(tx, id, row.Chunks)
}

// setShares notes how many chunks refer to data that has a row of os.shares, or is to
// get one.
func setShares(tx *table.Tx, id uint64, chunks uint32) error {
	if chunks < 2 {
		return shares.Delete(tx, id)
	}
	return shares.Put(tx, &ShareRow{Data: id, Chunks: chunks})
}

// drop counts the data out that a chunk had and no longer has. What nobody else refers
// to is freed.
func (w *writer) drop(old, next *extent) error {
	for r := range old.rows() {
		if next.refers(r.data) {
			continue
		}
		left, err := uint32(0), error(nil)
		if r.shared {
			left, err = unshare(w.tx, r.data)
		}
		if err != nil {
			return err
		}
		if left == 0 {
			w.freed.add(r.data, int(r.pages))
		}
	}
	return nil
}

// mark marks the data that y refers to, too, and tells whether some was not marked.
func (x *extent) mark(y *extent) (changed bool) {
	for i := range x.refs {
		r := &x.refs[i]
		if r.data != 0 && r.data != inlined && !r.shared && y.refers(r.data) {
			r.shared, changed = true, true
		}
	}
	return changed
}

// cloneStep is how many bytes are copied by reference in one transaction.
const cloneStep = 1024 * chunkSize

// cloneCost is about what that writes for each chunk, in bytes.
const cloneCost = 500

// CloneFrom makes length bytes from offset to on a copy of those of src from offset
// from on, by reference: no data is moved, and later changes of one do not show in the
// other. Offsets and length are multiples of BlockSize, but that the length may end
// where src does if nothing of n is behind. More than 64 MiB are several changes, in
// the order of the file.
//
// Errors: EINVAL for what is not so, is beyond the end of src, or overlaps in one file,
// and for what is no file; EFBIG, ENOSPC.
func (n *Inode) CloneFrom(src *Inode, from, to, length int64) error {
	switch {
	case n.Attr().Type() != syscall.S_IFREG || src.Attr().Type() != syscall.S_IFREG,
		from < 0 || to < 0 || length < 0 || from%BlockSize != 0 || to%BlockSize != 0,
		n == src && from < to+length && to < from+length:
		return syscall.EINVAL
	case to > MaxSize-length || from > MaxSize-length:
		return syscall.EFBIG
	}
	if err := firstError(src.save(), n.save()); err != nil { // what mappings have changed
		return err
	}
	start := to
	for length > 0 {
		step := min(length, cloneStep-to%chunkSize)
		if err := n.cloneStep(src, from, to, step); err != nil {
			return err
		}
		from, to, length = from+step, to+step, length-step
	}
	n.fs.arm(false)
	return n.reloadImage(start, to, false)
}

func (n *Inode) cloneStep(src *Inode, from, to, length int64) error {
	fs := n.fs
	if err := fs.claim(int(chunksOf(length)+1) * cloneCost); err != nil {
		return err
	}
	return fs.alone(func() error {
		defer lockAll(n, src)() // in any order, as nobody else locks two outside the gate
		end := from + length
		switch {
		case n.dead || src.dead:
			return syscall.ENOENT
		case end > src.record.Size, end%BlockSize != 0 && (end < src.record.Size || to+length < n.record.Size):
			return syscall.EINVAL
		}
		c := cloning{src: src, first: uint64(to / BlockSize), shift: uint64(from/BlockSize) - uint64(to/BlockSize)}
		c.end = c.first + blocksOf(length)
		op := fs.op("copy files by reference")
		op.NoWait, op.Claimed = true, true
		_, err := fs.db.Update(context.Background(), &op, func(tx *table.Tx) error {
			c.writer = writer{fs: fs, group: &group{nextNumber: fs.nextNumber}, tx: tx}
			return c.run(n, to+length)
		})
		if err != nil {
			return fs.broken(err)
		}
		c.show(n)
		return nil
	})
}

// cloning is the transaction of a copy by reference, while no other change is under way
// and all that were before it are stored.
type cloning struct {
	writer
	src        *Inode
	first, end uint64 // the pages that are written
	shift      uint64 // from their numbers to those of the pages that are copied, modulo 2^64
	next       record // what n becomes
}

func (c *cloning) run(n *Inode, size int64) error {
	c.next = n.record
	c.next.Size = max(c.next.Size, size)
	c.next.Modified = c.fs.now()
	c.next.Changed = c.next.Modified
	for number := c.first / chunkPages; number*chunkPages < c.end; number++ {
		if err := c.chunk(n, number); err != nil {
			return err
		}
	}
	row := c.next.row()
	return firstError(inodes.Put(c.tx, &row), c.writer.end())
}

// chunk gives one chunk of n what belongs there. Rows are read by the transaction,
// which may have written them.
func (c *cloning) chunk(n *Inode, number uint64) error {
	old, err := readExtent(c.tx, n.number, number)
	if err != nil {
		return err
	}
	next, pages := *old, [chunkPages][]byte{}
	sources := map[uint64]*extent{}
	for i := range uint64(chunkPages) {
		block := number*chunkPages + i
		if block < c.first || block >= c.end {
			continue
		}
		from := (block + c.shift) / chunkPages
		if sources[from] == nil {
			if sources[from], err = readExtent(c.tx, c.src.number, from); err != nil {
				return err
			}
		}
		next.refs[i] = sources[from].refs[(block+c.shift)%chunkPages]
		if next.refs[i].data == inlined {
			next.refs[i], pages[i] = pageRef{}, sources[from].inline
		}
	}
	if err := c.fit(&next, &pages, old.inline); err != nil {
		return err
	}
	if err := c.adopt(n, number, sources, old, &next); err != nil {
		return err
	}
	if err := firstError(c.pages(&next, &pages), c.drop(old, &next)); err != nil {
		return err
	}
	c.next.Blocks += next.count() - old.count()
	return c.put(n, number, &next)
}

// adopt counts the chunk in where it has come to refer to data of the sources, and
// marks that in all of them.
func (c *cloning) adopt(n *Inode, number uint64, sources map[uint64]*extent, old, next *extent) error {
	for r := range next.rows() {
		if old.refers(r.data) {
			continue
		}
		if err := share(c.tx, r.data); err != nil {
			return err
		}
	}
	for from, x := range sources {
		if n == c.src && from == number {
			continue
		}
		next.mark(x)
		marked := *x
		if !marked.mark(next) {
			continue
		}
		if err := c.put(c.src, from, &marked); err != nil {
			return err
		}
	}
	return nil
}

// show makes known what the transaction has changed.
func (c *cloning) show(n *Inode) {
	n.epoch.Add(1)
	c.src.epoch.Add(1)
	c.showChunks()
	n.dropPages(c.first, c.end)
	n.record, n.storedSize = c.next, c.next.Size
	c.fs.journal.touch(n) // so that Sync finds something to make durable
}
