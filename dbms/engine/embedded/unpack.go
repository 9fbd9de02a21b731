package embedded

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
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

// Beside transactions, unpacking lets others go first after so many rows, or comparisons
// of them.
const (
	unpackTurn    = 32
	unpackCompare = 512
)

// placed is a row in the order of keys. All keys of a part have begin with the same bytes: the
// eight after these decide most comparisons.
type placed struct {
	after  uint64
	number uint32
}

// sorted are the rows in the order of their keys.
func (p *bundlePart) sorted() []placed {
	common := p.common()
	all := make([]placed, len(p.rows))
	for i := range p.rows {
		_, key, _ := p.stored(&p.rows[i])
		var b [8]byte
		copy(b[:], key[common:])
		all[i] = placed{binary.BigEndian.Uint64(b[:]), uint32(i + 1)}
	}
	compared := 0
	slices.SortFunc(all, func(a, b placed) int {
		if compared++; compared%unpackCompare == 0 {
			runtime.Gosched()
		}
		if a.after != b.after {
			return cmp.Compare(a.after, b.after)
		}
		_, x, _ := p.stored(p.row(a.number))
		_, y, _ := p.stored(p.row(b.number))
		return bytes.Compare(x, y)
	})
	return all
}

// common is how many bytes all keys begin with.
func (p *bundlePart) common() int {
	if len(p.rows) == 0 {
		return 0
	}
	_, first, _ := p.stored(&p.rows[0])
	n := len(first)
	for i := range p.rows {
		_, key, _ := p.stored(&p.rows[i])
		if n = min(n, len(key)); string(key[:n]) == string(first[:n]) {
			continue
		}
		for n = 0; key[n] == first[n]; n++ {
		}
	}
	return n
}

// changed tells whether a row of a range ended after a version.
func (p *bundles) changed(r engine.Range, since version) bool {
	low, high := historyBounds(r)
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, part := range []*bundlePart{p.frozen, p.open} {
		if part != nil && part.last > since && part.changed(low, high, since) {
			return true
		}
	}
	return false
}

func (p *bundlePart) changed(low, high []byte, since version) bool {
	for i := len(p.rows) - 1; i >= 0; i-- {
		_, key, _ := p.stored(&p.rows[i])
		if readVersion(key[len(key)-versionSize:]) <= since {
			return false // what came before has ended before
		}
		if bytes.Compare(low, key) <= 0 && bytes.Compare(key, high) < 0 {
			return true
		}
	}
	return false
}

// forget drops all that is pending, of which the bundles are gone. The turn is had, and all
// transactions are applied.
func (p *bundles) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open, p.frozen = &bundlePart{}, nil
	p.size.Store(0)
}

// loadPending takes in the bundles that are stored.
func (e *Engine) loadPending() error {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixBundle}, UpperBound: []byte{prefixBundle + 1}})
	if err != nil {
		return storage(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var bundle []byte
		if bundle, err = it.ValueAndErr(); err != nil {
			err = storage(err)
		} else if k := it.Key(); len(k) != 1+versionSize {
			err = corruptKey(k, errKey)
		} else if err = e.bundles.load(bundle, readVersion(k[1:])); err != nil {
			err = corrupt("bundle of history "+readVersion(k[1:]).String(), err)
		}
	}
	return errors.Join(err, storage(it.Error()), storage(it.Close()))
}
