package file

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// ErrMoved refuses to restore a directory from which another one was moved away that
// still exists.
var ErrMoved = errors.New("a directory that was there then is now elsewhere: move it back or remove it, or restore the whole tree")

// ErrTooMuch refuses a restore of a path since which so much has changed that it does not
// fit into memory.
var ErrTooMuch = errors.New("more has changed than fits into memory: restore the directories below it one after another, or /")

// Restored counts what a restore has changed. Of the whole tree it is not known.
type Restored struct {
	Entries int // names that appeared, disappeared or lead elsewhere
	Inodes  int // files and directories whose contents or attributes changed
	Removed int // of those, the ones that were not there then
}

// Restore makes what a path names as it was at a time: a file or directory with all
// that is below it, and the name itself. A restore to the moment before undoes it. No data
// is copied, except where the whole tree was restored to an earlier moment in between.
//
// For the root, that takes constant time and is one transaction. For anything else it takes
// time for what has changed since then, in all files, and for what it changes; none for
// what is the same, however much that is. Where files that have several names have changed,
// or that an earlier version of this program has made, it takes a microsecond for each name
// below the path, too. Only what differs is written: in one transaction up to some
// thousand files, in several beyond, of which all take effect or none (restoresteps.go). A
// file that has got another name elsewhere since has both, with the contents of then.
//
// Errors: fs.ErrNotExist if there was no such path then, ErrMoved, ErrTooMuch, ESTALE where
// that time is no longer kept, and those of the store and of ctx.
func (fs *FS) Restore(ctx context.Context, op *engine.Op, name string, to time.Time) (r Restored, err error) {
	parts := partsOf(name)
	err = fs.restore(to, func(to engine.Version) (err error) {
		if len(parts) == 0 {
			_, err = fs.db.Update(ctx, op, func(tx *table.Tx) error { return fs.restoreAll(tx, to) })
			return err
		}
		r, err = fs.restorePath(ctx, op, parts, to)
		return err
	})
	return r, err
}

// partsOf are the names in a path; none for the root.
func partsOf(name string) []string {
	return strings.FieldsFunc(path.Clean("/"+name), func(r rune) bool { return r == '/' })
}

// RestoreWith makes the whole tree as it was at a time, in one transaction with what
// others changes: other tables, as they were at that version. If that fails nothing is
// restored. It may be run again. Errors are those of Restore, and what it returned.
func (fs *FS) RestoreWith(ctx context.Context, op *engine.Op, to time.Time, others func(tx *table.Tx, to engine.Version) error) error {
	return fs.restore(to, func(to engine.Version) error {
		_, err := fs.db.Update(ctx, op, func(tx *table.Tx) error {
			if err := others(tx, to); err != nil {
				return err
			}
			return fs.restoreAll(tx, to)
		})
		return err
	})
}

// restore runs do, which makes rows of files what they were.
func (fs *FS) restore(to time.Time, do func(to engine.Version) error) error {
	past, err := fs.At(to)
	if err == nil {
		err = fs.overturn(func() error { return do(past.at) })
	}
	if err == nil {
		err = fs.collectOrphans()
	}
	return stale(err)
}

// stale makes ESTALE of an error that says that a moment is no longer kept, whatever else
// it says.
func stale(err error) error {
	if errors.Is(err, engine.ErrTooOld) {
		return fmt.Errorf("%w: %w", syscall.ESTALE, err)
	}
	return err
}

// overturn runs do, after which what is stored is otherwise, while nobody changes anything
// nor ends the past.
func (fs *FS) overturn(do func() error) error {
	fs.collecting.Lock()
	defer fs.collecting.Unlock()
	return fs.alone(func() error {
		fs.restoring.Store(true)
		defer fs.restoring.Store(false)
		if err := do(); err != nil {
			return err
		}
		return fs.reload()
	})
}

// restorePath restores a path, in one transaction if that can be.
func (fs *FS) restorePath(ctx context.Context, op *engine.Op, parts []string, to engine.Version) (Restored, error) {
	var r *restorer
	_, err := fs.db.Update(ctx, op, func(tx *table.Tx) error {
		d, err := fs.find(tx, to, parts)
		if err == nil {
			r, err = d.restorer(fs, tx, nil)
		}
		if err == nil {
			err = r.run(fs.stepBytes)
		}
		if err == nil && r.next < r.size() {
			err = errSteps
		}
		return err
	})
	switch {
	case errors.Is(err, errSteps):
		return fs.restoreInSteps(ctx, op, r.difference)
	case err != nil, r == nil: // the operation was done before
		return Restored{}, err
	}
	return r.done, nil
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
