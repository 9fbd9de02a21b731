package embedded

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Changed reports whether a later transaction has written in one of the ranges.
func (t *tx) Changed(since engine.Version, ranges []engine.Range) (bool, error) {
	if err := t.ground(); err != nil {
		return false, err
	}
	v, err := t.e.internal(since)
	if err != nil {
		return false, err
	}
	return t.e.changed(v, ranges)
}

// lookSteps bounds how many entries are looked at for one range; beyond, the
// answer is that it may have changed.
const lookSteps = 20000

// changed asks the restores, the window, and beyond its reach what is stored.
func (e *Engine) changed(since version, ranges []engine.Range) (bool, error) {
	if e.last.Load() <= since {
		return false, nil
	}
	hides := e.hides.kept()
	for i := len(hides) - 1; i >= 0 && hides[i].until > since; i-- {
		for _, r := range ranges {
			if hides[i].r.Overlaps(r) {
				return true, nil
			}
		}
	}
	e.recent.Lock()
	changed, known := e.window.changed(since, ranges)
	e.recent.Unlock()
	if known {
		return changed, nil
	}
	for _, r := range ranges {
		if changed, err := e.look(r, since); changed || err != nil {
			return changed, err
		}
	}
	return false, nil
}

// look searches a range for rows that came, or ended, after a version. What was
// collected since then would be missed: it ended before the horizon.
func (e *Engine) look(r engine.Range, since version) (bool, error) {
	low, high := dataBounds(r)
	if changed, err := e.lookIn(low, high, since, func(_ []byte, row row) version { return row.since }); changed || err != nil {
		return changed, err
	}
	if e.bundles.changed(r, since) { // before it is at its keys: see bundles
		return true, nil
	}
	low, high = historyBounds(r)
	changed, err := e.lookIn(low, high, since, func(key []byte, _ row) version {
		_, until, err := splitHistory(key)
		if err != nil {
			return endVersion // the reader of that row complains
		}
		return until
	})
	if changed || err != nil {
		return changed, err
	}
	return e.retention.checkRange(r, since) != nil, nil
}

func (e *Engine) lookIn(low, high []byte, since version, latest func([]byte, row) version) (bool, error) {
	it, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: low, UpperBound: high, PointKeyFilters: within(since+1, endVersion),
	})
	if err != nil {
		return false, storage(err)
	}
	changed := false
	for n, ok := 0, it.First(); ok && !changed && err == nil; n, ok = n+1, it.Next() {
		var r row
		if r, err = rowAt(it); err == nil {
			changed = n >= lookSteps || latest(it.Key(), r) > since
		}
	}
	if cerr := it.Close(); err == nil {
		err = storage(cerr)
	}
	return changed, err
}
