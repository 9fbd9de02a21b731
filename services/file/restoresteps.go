package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// stepBytes is about how much a restore writes in one transaction, in bytes. One that has
// more to do takes several, so that it needs no memory for all of it at once. It is whole
// or not at all nevertheless: before the first of them the counters say to which version
// the files go back if there is no last one,
//
//	note ──► step ──► step ──► … ──► note removed
//	  └─────────┴────────┴── an error, or the next Open: back to before the note
//
// and going back takes no time. No call changes files meanwhile, and At takes these moments
// for the one before the note. Who reads the tables sees files that are restored beside others
// that are not.
const stepBytes = 4 << 20

// progress is how far a restore is.
type progress struct{ done, of atomic.Int64 }

// Progress tells how far a restore is that takes several transactions: how many names and
// files are done, of how many that differ. Both are 0 where there is none. It takes no locks.
func (fs *FS) Progress() (done, of int) {
	return int(fs.progress.done.Load()), int(fs.progress.of.Load())
}

func (p *progress) set(done, of int) {
	p.done.Store(int64(done))
	p.of.Store(int64(of))
}

// restoreInSteps restores what differs in several transactions. No call is under way.
func (fs *FS) restoreInSteps(ctx context.Context, op *engine.Op, d *difference) (Restored, error) {
	own := fs.op("restore files")
	if op != nil {
		own = *op
	}
	own.ID, own.NoWait = "", true
	fs.progress.set(0, d.size())
	defer fs.progress.set(0, 0)
	var r *restorer
	err := fs.note(ctx, &own, true)
	for err == nil && (r == nil || r.next < r.size()) {
		after := r
		_, err = fs.db.Update(ctx, &own, func(tx *table.Tx) (err error) {
			if err = fs.noted(tx); err == nil {
				r, err = d.restorer(fs, tx, after)
			}
			if err == nil {
				err = r.run(fs.stepBytes)
			}
			return err
		})
		if err == nil {
			fs.reserved = r.reserved
			fs.progress.set(r.next, d.size())
			err = fs.stepped()
		}
	}
	if err == nil {
		err = fs.note(ctx, op, false)
	}
	if err != nil {
		// What is noted is what the store says: of an Update that fails nobody may know
		// whether it took effect.
		return Restored{}, errors.Join(err, fs.view(fs.loadCounters), fs.goBack(), fs.reload())
	}
	return r.done, nil
}

// noted is an error if the note is not there any more: somebody else has restored the store
// meanwhile.
func (fs *FS) noted(tx *table.Tx) error {
	row, err := counters.Get(tx, uint64(1))
	if err == nil && !bytes.Equal(row.Undo, fs.reserved.Undo) {
		err = errors.New("the store was restored meanwhile")
	}
	return err
}

// note writes into the counters that the files are to go back to what they are now, or
// need not any more.
func (fs *FS) note(ctx context.Context, op *engine.Op, begins bool) error {
	row := fs.unnoted()
	_, err := fs.db.Update(ctx, op, func(tx *table.Tx) error {
		if begins {
			row.Format, row.Undo = formatInSteps, []byte(tx.Version())
		}
		return counters.Put(tx, &row)
	})
	if err == nil {
		fs.reserved = row
	}
	return err
}

// settleSteps goes back where somebody else has restored the store to a moment at which a
// restore was under way. No call is.
func (fs *FS) settleSteps() error {
	if len(fs.reserved.Undo) == 0 {
		return nil
	}
	fs.restoring.Store(true)
	defer fs.restoring.Store(false)
	return firstError(fs.goBack(), fs.reload())
}

// unnoted is the row of the counters without a note.
func (fs *FS) unnoted() CounterRow {
	row := fs.reserved
	row.Format, row.Undo = format, nil
	row.NextInode, row.NextData = max(row.NextInode, fs.nextNumber), max(row.NextData, fs.nextData)
	return row
}

// goBack makes files what they were before a restore that has not come to its end, if
// there is one. Until it has, nothing can be changed. Where that moment is not kept any more,
// as on a backup that was made meanwhile, files stay as they are.
func (fs *FS) goBack() error {
	undo := engine.Version(fs.reserved.Undo)
	if undo == "" {
		return nil
	}
	row := fs.unnoted()
	op := fs.op("take back part of a restore")
	op.Claimed = true
	back := func(restore bool) error {
		_, err := fs.db.Update(context.Background(), &op, func(tx *table.Tx) error {
			if restore {
				if err := fs.restoreAll(tx, undo); err != nil {
					return err
				}
			}
			return counters.Put(tx, &row)
		})
		return err
	}
	err, told := back(true), "was taken back"
	if errors.Is(err, engine.ErrTooOld) || errors.Is(err, engine.ErrVersion) {
		err, told = back(false), "cannot be taken back: some files are restored, and others are not; restore them again"
	}
	if err != nil {
		fs.journal.failed.Store(true)
		err = fmt.Errorf("a restore that did not come to its end is not taken back: %w", err)
		fs.options.Log("file: no change can be stored any more: %v", err)
		return err
	}
	fs.reserved = row
	fs.options.Log("file: a restore did not come to its end, and %s", told)
	return nil
}
