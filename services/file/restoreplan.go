package file

import (
	"context"
	"math"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

// Plan says what a restore would change.
type Plan struct {
	Restored     // of the whole tree it is not known
	store.Undone // transactions that changed rows of files and names which are or were there
}

// Plan tells what Restore of a path would do, and changes nothing. Errors are those of
// Restore. Others may change files meanwhile.
func (fs *FS) Plan(ctx context.Context, name string, to time.Time) (p Plan, err error) {
	past, err := fs.At(to)
	if err != nil {
		return p, err
	}
	err = fs.view(func(tx *table.Tx) error {
		p = Plan{}
		matters := func(uint64) bool { return true }
		if parts := partsOf(name); len(parts) > 0 {
			d, err := fs.find(tx, past.at, parts)
			if err != nil {
				return err
			}
			r, err := d.restorer(fs, tx, nil)
			if err != nil {
				return err
			}
			r.dry = true
			if err := r.run(math.MaxInt); err != nil {
				return err
			}
			p.Restored, matters = r.done, d.below
		}
		rows, err := changesOf(tx, past.at, matters)
		if err == nil {
			p.Undone, err = store.Attribute(tx, past.at, rows)
		}
		return err
	})
	return p, stale(err)
}

// changesOf counts the rows of inodes that matter, and of names in them or for them, which
// each transaction has changed.
func changesOf(tx *table.Tx, since engine.Version, matters func(number uint64) bool) (map[engine.Version]int, error) {
	rows := map[engine.Version]int{}
	for p, err := range inodes.Changes(tx, table.Span{}, since) {
		if err != nil {
			return nil, err
		}
		if p.To != "" || matters(p.Row.Number) {
			rows[p.Version]++
		}
	}
	for p, err := range entries.Changes(tx, table.Span{}, since) {
		if err != nil {
			return nil, err
		}
		if p.To != "" || matters(p.Row.Dir) || !p.Deleted && matters(p.Row.Inode) {
			rows[p.Version]++
		}
	}
	return rows, nil
}
