package file

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// ErrMoved refuses to restore a directory from which another one was moved away that
// still exists.
var ErrMoved = errors.New("a directory that was there then is now elsewhere: move it back or remove it, or restore the whole tree")

// Restored counts what a restore has changed. Of the whole tree it is not known.
type Restored struct {
	Entries int // names that appeared, disappeared or lead elsewhere
	Inodes  int // files and directories whose contents or attributes changed
	Removed int // of those, the ones that were not there then
}

// Restore makes what a path names as it was at a time: a file or directory with all
// that is below it, and the name itself. It is one transaction, which a restore to the
// moment before undoes. No data is copied, except where the whole tree was restored to
// an earlier moment in between.
//
// For the root, that takes constant time. For anything else it takes time for what has
// changed since then, in all files, and for what it changes; none for what is the same,
// however much that is. Where files that have several names have changed, or that an
// earlier version of this program has made, it takes a microsecond for each name below the
// path, too. Only what differs is written. A file that has got another name elsewhere since
// has both, with the contents of then.
//
// Errors: fs.ErrNotExist if there was no such path then, ErrMoved, ESTALE where that
// time is no longer kept, and those of the store.
func (fs *FS) Restore(ctx context.Context, op *engine.Op, name string, to time.Time) (r Restored, err error) {
	parts := strings.FieldsFunc(path.Clean("/"+name), func(r rune) bool { return r == '/' })
	err = fs.restore(ctx, op, to, func(tx *table.Tx, to engine.Version) error {
		if len(parts) == 0 {
			return fs.restoreAll(tx, to)
		}
		x, err := fs.restorePath(tx, to, parts)
		if err != nil {
			return err
		}
		r = x.done
		return x.end(fs)
	})
	if err != nil {
		return Restored{}, err // nothing is restored
	}
	return r, nil
}

// RestoreWith makes the whole tree as it was at a time, in one transaction with what
// others changes: other tables, as they were at that version. If that fails nothing is
// restored. It may be run again. Errors are those of Restore, and what it returned.
func (fs *FS) RestoreWith(ctx context.Context, op *engine.Op, to time.Time, others func(tx *table.Tx, to engine.Version) error) error {
	return fs.restore(ctx, op, to, func(tx *table.Tx, to engine.Version) error {
		if err := others(tx, to); err != nil {
			return err
		}
		return fs.restoreAll(tx, to)
	})
}

// restore runs do as a transaction that makes rows of files what they were.
func (fs *FS) restore(ctx context.Context, op *engine.Op, to time.Time, do func(tx *table.Tx, to engine.Version) error) error {
	past, err := fs.At(to)
	if err != nil {
		return err
	}
	err = fs.alone(func() error {
		fs.restoring.Store(true)
		defer fs.restoring.Store(false)
		_, err := fs.db.Update(ctx, op, func(tx *table.Tx) error { return do(tx, past.at) })
		if err != nil {
			return err
		}
		return fs.reload()
	})
	if err == nil {
		err = fs.collectOrphans()
	}
	return err
}

// restoreAll restores the tables of the tree.
func (fs *FS) restoreAll(tx *table.Tx, to engine.Version) error {
	ranges, err := tx.KeysOf(tree...)
	for _, r := range ranges {
		if err == nil {
			err = tx.Raw().Restore(r, to)
		}
	}
	return err
}

// restorer restores what is below one name.
type restorer struct {
	tx, past  *table.Tx
	to        engine.Version // of past
	how       restoreHow
	dir       *InodeRow // in which the path's last name is
	now, then subtree
	freed     freedList
	taken     []ExtentRow         // to be written, once it is known what they share
	uses      map[uint64]*dataUse // of data that chunks come to refer to, or cease to
	done      Restored
}

// restorePath restores a path, but for what its data needs (end).
func (fs *FS) restorePath(tx *table.Tx, to engine.Version, parts []string) (*restorer, error) {
	past, err := tx.At(to)
	if err != nil {
		return nil, err
	}
	r := &restorer{tx: tx, past: past, to: to, how: fs.restoreHow, uses: map[uint64]*dataUse{}}
	then, err := findEntry(past, parts)
	if err != nil {
		return nil, err
	}
	if then == nil {
		return nil, syscall.ENOENT
	}
	if r.dir, err = findDirectory(tx, parts[:len(parts)-1]); err != nil {
		return nil, err
	}
	now, err := entryOf(tx, r.dir.Number, parts[len(parts)-1])
	if err == nil {
		err = r.gather(then, now, r.dir.Number)
	}
	if err == nil {
		err = r.run(then.Inode)
	}
	return r, err
}

// below tells whether an inode is or was below the path, and may have changed.
func (r *restorer) below(number uint64) bool {
	return r.now.inodes[number] != nil || r.then.inodes[number] != nil
}

// findDirectory walks to a directory, without following links.
func findDirectory(tx *table.Tx, parts []string) (*InodeRow, error) {
	number := uint64(rootNumber)
	for _, part := range parts {
		e, err := entryOf(tx, number, part)
		if err != nil {
			return nil, err
		}
		if e == nil {
			return nil, syscall.ENOENT
		}
		number = e.Inode
	}
	row, err := inodes.Get(tx, number)
	if err == nil && row.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		err = syscall.ENOTDIR
	}
	return &row, err
}

func findEntry(tx *table.Tx, parts []string) (*EntryRow, error) {
	dir, err := findDirectory(tx, parts[:len(parts)-1])
	if err != nil {
		return nil, err
	}
	return entryOf(tx, dir.Number, parts[len(parts)-1])
}

// entryOf is the entry of a name, nil if there is none.
func entryOf(tx *table.Tx, dir uint64, name string) (*EntryRow, error) {
	row, err := entries.Get(tx, dir, nameHash(name), name)
	if errors.Is(err, table.ErrNotFound) {
		return nil, nil
	}
	return &row, err
}

func (r *restorer) run(top uint64) error {
	if err := r.parent(r.dir); err != nil {
		return err
	}
	for e := range r.now.entries {
		if !r.then.entries[e] {
			r.done.Entries++
			if err := deleteRow(entries.Delete(r.tx, e.Dir, e.Hash, e.Name)); err != nil {
				return err
			}
		}
	}
	for e := range r.then.entries {
		if !r.now.entries[e] {
			r.done.Entries++
			if err := entries.Put(r.tx, &e); err != nil {
				return err
			}
		}
	}
	for _, number := range slices.Sorted(maps.Keys(r.then.inodes)) { // as they are stored
		row := r.then.inodes[number]
		if number == top && row.Parent != 0 {
			row.Parent = r.dir.Number
		}
		if err := r.inode(number, row); err != nil {
			return err
		}
	}
	for _, number := range slices.Sorted(maps.Keys(r.now.inodes)) {
		if r.then.inodes[number] == nil {
			if err := r.remove(number, r.now.inodes[number]); err != nil {
				return err
			}
		}
	}
	return nil
}

// parent accounts in the directory for what becomes of the name.
func (r *restorer) parent(dir *InodeRow) error {
	row := *dir
	for e := range r.now.entries {
		count(&row, &e, -1)
	}
	for e := range r.then.entries {
		count(&row, &e, +1)
	}
	if row == *dir {
		return nil
	}
	return inodes.Put(r.tx, &row)
}

// count counts an entry of the directory in or out.
func count(dir *InodeRow, e *EntryRow, by int) {
	if e.Dir != dir.Number {
		return
	}
	dir.Size += int64(by)
	if e.Type == syscall.S_IFDIR {
		dir.Links = uint32(int(dir.Links) + by)
	}
}

// inode makes one inode as it was.
func (r *restorer) inode(number uint64, then *InodeRow) error {
	now, err := r.present(number)
	there := err == nil
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return err
	}
	row := *then
	if row.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		if there && now.Links > 0 && r.now.inodes[number] == nil {
			return fmt.Errorf("inode %d: %w", number, ErrMoved)
		}
	} else {
		row.Links = r.then.names[number]
		if there {
			row.Links += now.Links - r.now.names[number]
		}
		if row.Links != 1 || then.Links != 1 {
			row.Parent = 0
		}
	}
	if there && now == row {
		return nil
	}
	if there && now.Links == 0 {
		err = deleteRow(orphans.Delete(r.tx, number))
	} else {
		err = nil
	}
	if err == nil {
		r.done.Inodes++
		err = inodes.Put(r.tx, &row)
	}
	if !there {
		now = InodeRow{}
	}
	if err == nil {
		err = r.contents(number, now.Size, row.Size)
	}
	if err == nil && now.Attributes+row.Attributes > 0 {
		err = restoreAttributes(r.tx, r.past, number)
	}
	return err
}

// present is the row of an inode as it is now.
func (r *restorer) present(number uint64) (InodeRow, error) {
	if row := r.now.inodes[number]; row != nil {
		return *row, nil
	}
	return inodes.Get(r.tx, number)
}

// contents makes the extents of a file, of such sizes now and then, as they were.
func (r *restorer) contents(number uint64, size, thenSize int64) error {
	then := map[uint64]ExtentRow{}
	for row, err := range extentsOf(r.past, number, thenSize) {
		if err != nil {
			return err
		}
		then[row.Chunk] = row
	}
	var gone []ExtentRow
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
			continue
		}
		gone = append(gone, row)
	}
	for _, row := range gone {
		if err := r.free(&row, then[row.Chunk].Pieces); err != nil {
			return err
		}
	}
	for _, row := range then {
		if err := r.take(&row, gone); err != nil {
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

// free deletes an extent, and frees the data that what takes its place does not have.
func (r *restorer) free(row *ExtentRow, kept []byte) error {
	x, err := decodeExtent(row.Inline, row.Pieces)
	if err != nil {
		return err
	}
	y, err := decodeExtent(nil, kept)
	if err != nil {
		return err
	}
	r.use(x, y, -1)
	return deleteRow(extents.Delete(r.tx, row.Inode, row.Chunk))
}

// take puts an extent of the past, whose data is in use again.
func (r *restorer) take(row *ExtentRow, gone []ExtentRow) error {
	x, err := decodeExtent(row.Inline, row.Pieces)
	if err != nil {
		return err
	}
	old := noExtent
	if i := slices.IndexFunc(gone, func(g ExtentRow) bool { return g.Chunk == row.Chunk }); i >= 0 {
		if old, err = decodeExtent(gone[i].Inline, gone[i].Pieces); err != nil {
			return err
		}
	}
	r.use(x, old, +1)
	x.inherit(old)
	row.Pieces = x.encodePieces(nil)
	r.taken = append(r.taken, *row)
	return nil
}

func restoreAttributes(tx, past *table.Tx, number uint64) error {
	if _, err := attributes.DeleteRange(tx, table.Prefix(number)); err != nil {
		return err
	}
	for row, err := range attributes.Scan(past, table.Prefix(number)) {
		if err == nil {
			err = attributes.Put(tx, &row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remove takes an inode away that has come since, unless it has names elsewhere.
func (r *restorer) remove(number uint64, row *InodeRow) error {
	r.done.Inodes++
	if left := row.Links - r.now.names[number]; row.Mode&syscall.S_IFMT != syscall.S_IFDIR && left > 0 {
		kept := *row
		kept.Links = left
		return inodes.Put(r.tx, &kept)
	}
	r.done.Removed++
	var gone []ExtentRow
	for x, err := range extentsOf(r.tx, number, row.Size) {
		if err != nil {
			return err
		}
		gone = append(gone, x)
	}
	for i := range gone {
		if err := r.free(&gone[i], nil); err != nil {
			return err
		}
	}
	var err error
	if row.Attributes > 0 {
		_, err = attributes.DeleteRange(r.tx, table.Prefix(number))
	}
	return firstError(err, deleteRow(inodes.Delete(r.tx, number)))
}
