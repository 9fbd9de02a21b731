package embedded

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// bundles is the rows of history that are not at their keys yet. A row that is
// replaced would need a place of its own in a memtable, far from all others: the search
// for that was a third of a transaction. So the rows of a group of transactions are stored
// as one bundle, and kept here until there are so many that a table can be made of them:
//
//	group ──► bundle in Pebble ──► open part ──► frozen part ──► table, or batch (unpack.go)
//	               └──────────────── removed when that is done ◄──────┘
//
// Of a key, what is pending may be older or newer than what is at its keys: only what
// transactions replace or delete in the usual way is bundled, all else goes to its keys at once.
// But rows of a key that are pending end in the order in which they came.
//
// Who looks for one row looks here first, and then into Pebble, with an iterator that was made
// after that, or is of the same age (kept.go): what has left meanwhile is there. A row comes
// here before the one that replaces it is seen in Pebble. Who needs history in its order has
// it unpacked first (Engine.settled).
type bundles struct {
	most int64 // bytes of a part that is to be unpacked
	few  int64 // bytes up to which a batch is better than a table

	turn sync.Mutex // held by who unpacks; before groups.apply

	mu           sync.RWMutex // of the parts and what is in them
	open, frozen *bundlePart  // frozen is nil unless its rows are being unpacked

	size    atomic.Int64 // bytes of both
	direct  atomic.Bool  // something has come to history without a table, and may be in a memtable
	running atomic.Bool  // somebody unpacks in the background
	again   atomic.Int64 // when that may be tried again after a failure, nanoseconds since 1970
	jobs    sync.WaitGroup
}

// bundleShare of a memtable is what is unpacked at a time, and fewShare of that what goes as a
// batch where somebody needs it sooner: a table takes three flushes, a batch holds others up.
// While rows come faster than they are unpacked, up to bundleParts times as much waits; then
// they go to their keys at once.
const (
	bundleShare = 4
	fewShare    = 4
	fewMost     = 256 << 10
	bundleParts = 3
)

func (p *bundles) init(memTable uint64) {
	p.most = int64(memTable / bundleShare)
	p.few = min(p.most/fewShare, fewMost)
	p.open = &bundlePart{}
}

// takes tells whether a row may be bundled.
func (p *bundles) takes() bool { return p.size.Load() < bundleParts*p.most }

// add takes in a bundle, of which the rows' keys have the hashes. It tells whether there
// is enough to unpack. The apply lock is held.
func (p *bundles) add(bundle []byte, hashes []uint64, last version) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.open.size
	for rest := bundle[1:]; len(rest) > 0; hashes = hashes[1:] {
		key, _, next, err := nextBundled(rest)
		if err != nil {
			return false, err
		}
		p.open.add(rest[:len(rest)-len(next)], key, hashes[0])
		rest = next
	}
	p.open.last = last
	p.open.bundles = append(p.open.bundles, last)
	p.size.Add(p.open.size - before)
	return p.open.size >= p.most, nil
}

// load takes in a bundle that was found when the store was opened.
func (p *bundles) load(bundle []byte, last version) error {
	if len(bundle) == 0 || bundle[0] != bundleFormat {
		return errBundle
	}
	var hashes []uint64
	for rest := bundle[1:]; len(rest) > 0; {
		key, row, next, err := nextBundled(rest)
		if err != nil {
			return err
		}
		group, _, err := splitHistory(key)
		if err != nil {
			return err
		}
		plain, err := appendUnescaped(nil, group)
		if err != nil {
			return err
		}
		if _, err := parseRow(row); err != nil {
			return err
		}
		hashes = append(hashes, hash(plain))
		rest = next
	}
	_, err := p.add(bundle, hashes, last)
	return err
}

// find appends to b the row of a key, which has that hash, that was in effect at some moment
// or, if there was none, the next one: the first that ended at or after place, which is a key
// of history. It also returns when the last one before ended, noVersion if none is here.
func (p *bundles) find(b, place []byte, hash uint64) (row []byte, found bool, ended version) {
	if p.size.Load() == 0 {
		return b, false, noVersion
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, part := range []*bundlePart{p.frozen, p.open} { // from old to new
		raw, before := part.find(place, hash)
		ended = max(ended, before)
		if raw != nil {
			return append(b, raw...), true, ended
		}
	}
	return b, false, ended
}

// findIn is find in some parts, from old to new. The row stays valid.
func (p *bundles) findIn(parts []*bundlePart, place []byte, hash uint64) []byte {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, part := range parts {
		if row, _ := part.find(place, hash); row != nil {
			return row
		}
	}
	return nil
}

// parts are those that have rows.
func (p *bundles) parts() (two [2]*bundlePart) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return [2]*bundlePart{p.frozen, p.open}
}

// freeze has the open part be the frozen one. Whoever unpacks calls it, with the apply
// lock held, so that what is frozen is in Pebble.
func (p *bundles) freeze() *bundlePart {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen, p.open = p.open, &bundlePart{}
	return p.frozen
}

// thaw drops the frozen part, of which all rows are at their keys, or has them wait again.
func (p *bundles) thaw(unpacked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	frozen := p.frozen
	p.frozen = nil
	if unpacked {
		p.size.Add(-frozen.size)
		return
	}
	p.again.Store(time.Now().Add(unpackPause).UnixNano())
	newer := p.open
	p.open = frozen
	for n := range newer.count {
		r := newer.row(uint32(n + 1))
		stored, key, _ := newer.stored(r)
		p.open.add(stored, key, r.hash)
	}
	p.open.last = max(p.open.last, newer.last)
	p.open.bundles = append(p.open.bundles, newer.bundles...)
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

// forget drops all that is pending, of which the bundles are gone. The turn is had, and all
// transactions are applied.
func (p *bundles) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open, p.frozen = &bundlePart{}, nil
	p.size.Store(0)
}

// loadBundles takes in the bundles that are stored.
func (e *Engine) loadBundles() error {
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
