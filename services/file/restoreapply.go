package file

import (
	"errors"
	"fmt"
	"iter"
	"syscall"

	"github.com/tuplix/tuplix/dbms/table"
)

// restorer makes what differs what it was, or a part of that, in a transaction.
type restorer struct {
	*difference
	fs       *FS
	tx, past *table.Tx
	dry      bool // changes nothing, but counts

	next     int      // what is to be done next, below size
	done     Restored // since the beginning
	written  int      // bytes, about, in this transaction
	most     int      // that it may have
	freed    freedList
	taken    []ExtentRow         // to be written, once it is known what they share
	uses     map[uint64]*dataUse // of data that chunks come to refer to, or cease to
	reserved CounterRow          // numbers that are set aside, when it is committed
}

// errUnfinished says that a part of a file is left for the next transaction.
var errUnfinished = errors.New("there is more of it")

// errSteps says that a restore is too much for one transaction.
var errSteps = errors.New("it takes several transactions")

// size is how much there is for a restorer to do: the directory, the names and the inodes.
func (d *difference) size() int { return 1 + len(d.entries) + len(d.inodes) }

// restorer goes on where another one has ended, nil: none has begun.
func (d *difference) restorer(fs *FS, tx *table.Tx, after *restorer) (*restorer, error) {
	past, err := tx.At(d.to)
	r := &restorer{difference: d, fs: fs, tx: tx, past: past, uses: map[uint64]*dataUse{}}
	if after != nil {
		r.next, r.done = after.next, after.done
	}
	return r, err
}

// run does what is left, or as much as a transaction had better write. A large file may take
// several: what is done of it is the same then and now when it is looked at again.
func (r *restorer) run(most int) error {
	r.most = most
	for r.next < r.size() && r.written < most {
		var err error
		switch i := r.next - 1; {
		case i < 0:
			err = r.parent()
		case i < len(r.entries):
			err = r.entry(&r.entries[i])
		default:
			err = r.number(r.inodes[i-len(r.entries)])
		}
		if errors.Is(err, errUnfinished) {
			break
		}
		if err != nil {
			return err
		}
		r.next++
	}
	if r.dry {
		return nil
	}
	return r.settle()
}

// parent accounts in the directory for what becomes of the path's name.
func (r *restorer) parent() error {
	if r.dry || !r.counts {
		return nil
	}
	return inodes.Put(r.tx, &r.dir)
}

// entry makes a name what it was.
func (r *restorer) entry(c *entryChange) error {
	r.done.Entries++
	r.written += sizeOfName
	switch {
	case r.dry:
		return nil
	case c.was == nil:
		return entries.Delete(r.tx, c.is.Dir, c.is.Hash, c.is.Name)
	}
	return entries.Put(r.tx, c.was)
}

// number makes one inode what it was.
func (r *restorer) number(number uint64) error {
	now, err := rowOf(r.tx, number)
	if err != nil {
		return err
	}
	then, err := rowOf(r.past, number)
	if err != nil {
		return err
	}
	switch {
	case r.was[number] == 0 && now != nil:
		err = r.remove(now)
	case r.was[number] > 0 && then != nil:
		if number == r.top && then.Parent != 0 {
			then.Parent = r.dir.Number
		}
		err = r.inode(then, now)
	default:
		err = fmt.Errorf("%w: a name leads to it", ErrDamaged)
	}
	if err != nil {
		return fmt.Errorf("inode %d: %w", number, err)
	}
	return nil
}

// rowOf is the row of an inode, nil if there is none.
func rowOf(tx *table.Tx, number uint64) (*InodeRow, error) {
	row, err := inodes.Get(tx, number)
	if errors.Is(err, table.ErrNotFound) {
		return nil, nil
	}
	return &row, err
}

// inode makes one inode as it was; now is nil if it is gone.
func (r *restorer) inode(then, now *InodeRow) error {
	row := *then
	if row.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		row.Links = r.was[row.Number]
		if now != nil {
			row.Links += now.Links - r.is[row.Number]
		}
		if row.Links != 1 || then.Links != 1 {
			row.Parent = 0
		}
	}
	if now == nil {
		now = &InodeRow{Links: 1}
	} else if *now == row {
		return nil
	}
	var err error
	if !r.dry {
		err = r.contents(row.Number, now.Size, row.Size)
	}
	if err != nil {
		return err
	}
	r.done.Inodes++
	r.written += sizeOfInode
	if r.dry {
		return nil
	}
	if now.Links == 0 {
		err = deleteRow(orphans.Delete(r.tx, row.Number))
	}
	if err == nil {
		err = inodes.Put(r.tx, &row)
	}
	if err == nil && now.Attributes+row.Attributes > 0 {
		err = r.attributes(row.Number)
	}
	return err
}

// contents makes the extents of a file, of such sizes now and then, as they were:
// errUnfinished if not all of them.
func (r *restorer) contents(number uint64, size, thenSize int64) error {
	then := map[uint64]ExtentRow{}
	for row, err := range extentsOf(r.past, number, thenSize) {
		if err != nil {
			return err
		}
		then[row.Chunk] = row
	}
	var now []ExtentRow // that were otherwise
	for row, err := range extentsOf(r.tx, number, size) {
		if err != nil {
			return err
		}
		old, ok := then[row.Chunk]
		same, err := sameExtent(&old, &row)
		if err != nil {
			return err
		}
		if ok && same {
			delete(then, row.Chunk)
		} else {
			now = append(now, row)
		}
	}
	for i := range now {
		chunk := now[i].Chunk
		var old *ExtentRow
		if row, ok := then[chunk]; ok {
			old = &row
			delete(then, chunk)
		}
		if err := r.extent(old, &now[i]); err != nil {
			return err
		}
	}
	for _, row := range then {
		if err := r.extent(&row, nil); err != nil {
			return err
		}
	}
	return nil
}

// extentsOf returns the extents of a file of that size: few are asked for one by one, which
// takes less than a scan.
func extentsOf(tx *table.Tx, number uint64, size int64) iter.Seq2[ExtentRow, error] {
	chunks := chunksOf(size)
	if chunks > fewChunks {
		return extents.Scan(tx, table.Prefix(number))
	}
	return func(yield func(ExtentRow, error) bool) {
		for chunk := range chunks {
			row, err := extents.Get(tx, number, chunk)
			if errors.Is(err, table.ErrNotFound) {
				continue
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// attributes makes the extended attributes of an inode what they were.
func (r *restorer) attributes(number uint64) error {
	if _, err := attributes.DeleteRange(r.tx, table.Prefix(number)); err != nil {
		return err
	}
	for row, err := range attributes.Scan(r.past, table.Prefix(number)) {
		if err == nil {
			r.written += len(row.Value)
			err = attributes.Put(r.tx, &row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remove takes an inode away that has come since, unless it has names elsewhere.
func (r *restorer) remove(row *InodeRow) error {
	left := row.Links - r.is[row.Number]
	if row.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		left = 0
	}
	if left == 0 && !r.dry {
		if err := r.empty(row); err != nil {
			return err
		}
	}
	r.done.Inodes++
	r.written += sizeOfInode
	if left == 0 {
		r.done.Removed++
	}
	switch {
	case r.dry:
		return nil
	case left > 0:
		row.Links = left
		return inodes.Put(r.tx, row)
	}
	return inodes.Delete(r.tx, row.Number)
}

// empty removes the contents and the extended attributes of an inode: errUnfinished if not
// all of them.
func (r *restorer) empty(row *InodeRow) error {
	var gone []ExtentRow
	for x, err := range extentsOf(r.tx, row.Number, row.Size) {
		if err != nil {
			return err
		}
		gone = append(gone, x)
	}
	for i := range gone {
		if err := r.extent(nil, &gone[i]); err != nil {
			return err
		}
	}
	if row.Attributes == 0 {
		return nil
	}
	_, err := attributes.DeleteRange(r.tx, table.Prefix(row.Number))
	return err
}
