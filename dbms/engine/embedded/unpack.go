package embedded

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Rows of history that are pending come to their keys as a table that Pebble takes in or, if
// they are few, as a batch. Then their bundles go, and only then do they go from memory. A
// crash in between leaves bundles of rows that are at their keys already, which then come there
// once more.
//
// What is in a table is durable as soon as Pebble has taken it in. The transactions that
// ended its rows must be so before, or a crash would leave a row that has ended, and not
// what has ended it.

// unpackPause is how long after a failure unpacking in the background is tried again.
const unpackPause = time.Second

// unpackSoon has what is pending unpacked in the background.
func (e *Engine) unpackSoon() {
	p := &e.bundles
	if e.failed() != nil || time.Now().UnixNano() < p.again.Load() || !p.running.CompareAndSwap(false, true) {
		return
	}
	p.jobs.Go(func() {
		defer p.running.Store(false)
		if err := e.unpack(); err != nil && e.failed() == nil {
			e.opts.Log("store: putting history into a table: %v", err)
		}
	})
}

// unpack brings all rows to their keys that were pending when it was called. It may wait for
// a flush, and for who unpacks already.
func (e *Engine) unpack() error {
	e.bundles.turn.Lock()
	defer e.bundles.turn.Unlock()
	return e.unpackInTurn()
}

// unpackInTurn is unpack for who has the turn.
func (e *Engine) unpackInTurn() error {
	if e.bundles.size.Load() == 0 {
		return nil
	}
	e.groups.apply.Lock()
	part := e.bundles.freeze()
	e.groups.apply.Unlock()
	return e.unpackPart(part, true)
}

// settled runs make, which makes iterators or a snapshot, while all history is at its keys
// and no group is being applied.
func (e *Engine) settled(make func() error) error {
	p := &e.bundles
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.size.Load() > p.few {
		if err := e.unpackInTurn(); err != nil {
			return err
		}
	}
	e.groups.apply.Lock()
	defer e.groups.apply.Unlock()
	if p.size.Load() > 0 {
		if err := e.unpackPart(p.freeze(), false); err != nil { // a table would take too long
			return err
		}
	}
	return make()
}

// unpackPart brings the rows of the frozen part to their keys, many as a table if there is
// time for that. The turn is had.
func (e *Engine) unpackPart(part *bundlePart, table bool) error {
	err := e.place(part, table && part.size > e.bundles.few)
	if err == nil {
		e.kept.sweep() // those that were made before do not show the rows
	}
	e.bundles.thaw(err == nil)
	return err
}

// place stores the rows of a part at their keys, and removes the bundles.
func (e *Engine) place(part *bundlePart, table bool) error {
	b := e.db.NewBatch()
	defer b.Close()
	rows := part.sorted()
	if !table || !e.placeTable(part, rows) {
		e.bundles.direct.Store(true)
		for _, r := range rows {
			_, key, row := part.stored(part.row(r.number))
			if err := b.Set(key, row, nil); err != nil {
				return storage(err)
			}
		}
	}
	if err := part.remove(b); err != nil {
		return storage(err)
	}
	if e.broken.Load() {
		return e.failed()
	}
	err := e.guard(func() error { return e.db.Apply(b, pebble.NoSync) })
	e.calm.wrote()
	return err
}

// remove removes the bundles. Many go by one range, which is an entry that each iterator
// looks at, so few do not.
func (p *bundlePart) remove(b *pebble.Batch) error {
	if len(p.bundles) > removedSingly {
		return b.DeleteRange(bundleKey(p.bundles[0]), bundleKey(p.last+1), nil)
	}
	for _, v := range p.bundles {
		if err := b.Delete(bundleKey(v), nil); err != nil {
			return err
		}
	}
	return nil
}

// removedSingly is up to how many bundles are removed one by one.
const removedSingly = 256

// placeTable has Pebble take in a table of the rows, and tells whether it has.
func (e *Engine) placeTable(part *bundlePart, rows []placed) bool {
	if !e.room.fits(&noRoom{need: part.size + loadOverhead}) || e.sync(part.last) != nil {
		return false // a store that has failed reads on from memory
	}
	path := e.fence.PathJoin(e.room.dir, fmt.Sprintf("%s%d", loadPrefix, e.loads.next.Add(1)))
	err := e.writeTable(path, part, rows)
	if err == nil {
		err = e.flushDirect()
	}
	if err == nil {
		err = e.guard(func() error { return e.db.Ingest(context.Background(), []string{path}) })
	}
	if err == nil {
		return e.failed() == nil
	}
	e.opts.Log("store: making a table of history: %v", errors.Join(err, e.fence.FS.Remove(path)))
	return false
}

// flushDirect has Pebble make a table of what has come to history without a table. It would do
// so when it takes one in, and nobody would see what is written meanwhile.
func (e *Engine) flushDirect() error {
	if !e.bundles.direct.Swap(false) {
		return nil
	}
	var flushed <-chan struct{}
	err := e.guard(func() (err error) {
		flushed, err = e.db.AsyncFlush()
		return err
	})
	if err == nil {
		<-flushed // behind the fence it succeeds
	}
	return err
}

// writeTable writes a file of the rows, past the fence: its failures are nobody's else.
func (e *Engine) writeTable(path string, part *bundlePart, rows []placed) error {
	f, err := e.fence.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w := sstable.NewWriter(&loadFile{file: f}, e.loads.history)
	for i := range rows {
		if i%unpackTurn == 0 {
			runtime.Gosched()
		}
		_, key, row := part.stored(part.row(rows[i].number))
		if err == nil {
			err = w.Set(key, row)
		}
	}
	return errors.Join(err, w.Close())
}

// unpackTurn is after how many rows unpacking lets others go first.
const unpackTurn = 8
