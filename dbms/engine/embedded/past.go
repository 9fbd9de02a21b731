package embedded

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// pastCursor merges the present rows that were there at the reader's version
// with the rows of history that were in effect then. A key is in one of them or
// in none, since what is stored of it does not overlap.
//
// Both iterators see the same state of Pebble. A row that ended after they were made may be
// found among those that are not at their keys yet, and still be there as a present one.
type pastCursor struct {
	r       *reader
	rng     engine.Range
	reverse bool
	begun   bool
	walk    *presentWalk
	data    source         // the present rows
	hist    source         // history
	parts   [4]*bundlePart // what was not at its keys yet when the iterators were made
	changed [][]byte       // keys to look for in history
	listed  bool           // there are no others
	now     *source
	seek    []byte // a scratch key in Pebble
	rows    int64
	skips   int // rows of history left behind by steps, since the last seek
	err     error
}

// source is one of the two, at its next row that counts.
type source struct {
	it    *pebble.Iterator
	valid bool
	key   []byte
	value []byte
}

func newPastCursor(r *reader, w *presentWalk, before [2]*bundlePart, rng engine.Range, reverse bool) engine.Cursor {
	c := &pastCursor{r: r, rng: rng, reverse: reverse, walk: w}
	after := r.e.bundles.parts()
	c.parts = [4]*bundlePart{before[0], before[1], after[0], after[1]}
	rest := w.unknown()
	c.near(rest)
	switch {
	case !c.listed:
		c.settle(rest)
	case len(c.changed) > 0:
		c.openHistory(rest)
	}
	c.data.it = w.it
	if err := r.e.retention.checkRange(rng, r.at); err != nil {
		c.err = err
	}
	return c
}

// near lists the keys that were written since the reader's version, if they are
// known and few: only they are to be looked for in history. Otherwise all of what
// ended since then is to be gone through, and in memtables what ended before.
//
// The window must have what the iterator shows, so this waits for a group that is
// being applied. A repair changes rows, too, and is not in the window.
func (c *pastCursor) near(rng engine.Range) {
	e := c.r.e
	if shown := e.started.Load(); e.last.Load() < shown {
		e.groups.apply.Lock()
		failed := e.last.Load() < shown
		e.groups.apply.Unlock()
		if failed {
			return
		}
	}
	for _, h := range e.hides.kept() {
		if h.until > c.r.at && h.r.Overlaps(rng) {
			return
		}
	}
	e.recent.Lock()
	defer e.recent.Unlock()
	c.changed, c.listed = e.window.since(c.r.at, rng)
}

func (c *pastCursor) openHistory(rng engine.Range) {
	low, high := historyBounds(rng)
	o := &pebble.IterOptions{LowerBound: low, UpperBound: high}
	if !c.listed {
		o.PointKeyFilters = within(c.r.at+1, endVersion)
	}
	var err error
	if c.hist.it, err = c.walk.it.Clone(pebble.CloneOptions{IterOptions: o}); err != nil {
		c.err = storage(err)
	}
}

// settle has both iterators see all of history at its keys.
func (c *pastCursor) settle(rng engine.Range) {
	err := c.walk.it.Close()
	c.walk.it = nil
	err = errors.Join(err, c.r.e.settled(func() error {
		if err := c.walk.open(); err != nil {
			return err
		}
		c.openHistory(rng)
		return nil
	}))
	if err != nil {
		c.err = err
	}
}

func (c *pastCursor) Next() bool {
	if c.err != nil {
		return false
	}
	if !c.begun {
		c.begun = true
		c.nextData(c.walk.step())
		c.nextPast(false)
	} else if c.now == &c.data {
		c.nextData(c.walk.step())
	} else {
		c.nextPast(true)
	}
	return c.choose()
}

// choose takes the source whose key comes first.
func (c *pastCursor) choose() bool {
	switch {
	case c.err != nil || !c.data.valid && !c.hist.valid:
		c.now = nil
		return false
	case !c.hist.valid:
		c.now = &c.data
	case !c.data.valid:
		c.now = &c.hist
	default:
		switch order := bytes.Compare(c.data.key, c.hist.key); {
		case order == 0: // it is the same row: see pastCursor
			c.nextPast(true)
			c.now = &c.data
		case (order < 0) != c.reverse:
			c.now = &c.data
		default:
			c.now = &c.hist
		}
	}
	c.rows++
	return true
}

// nextData goes on to a present row that was there.
func (c *pastCursor) nextData(ok bool) {
	it := c.data.it
	for ; ok && c.err == nil; ok = c.walk.step() {
		if raw := it.Value(); len(raw) >= rowFixed && raw[versionSize] == 0 { // the usual form
			if readVersion(raw) <= c.r.at {
				c.data.valid, c.data.key, c.data.value = true, it.Key()[1:], raw[rowFixed:]
				return
			}
			continue
		}
		row, err := rowAt(it)
		if err != nil {
			c.err = err
		} else if row.since <= c.r.at {
			c.data.valid, c.data.key, c.data.value = true, it.Key()[1:], row.value
			return
		}
	}
	c.data.valid = false
	c.fail(it.Error())
}

// nextPast goes on to a past row that was in effect.
func (c *pastCursor) nextPast(begun bool) {
	if c.listed {
		c.nextListed()
		return
	}
	c.nextHistory(step(c.hist.it, c.reverse, begun))
}

// nextListed looks for the listed keys, one after another.
func (c *pastCursor) nextListed() {
	for c.hist.valid = false; len(c.changed) > 0 && c.err == nil && !c.hist.valid; {
		last := len(c.changed) - 1
		if c.reverse {
			c.hist.key, c.changed = c.changed[last], c.changed[:last]
		} else {
			c.hist.key, c.changed = c.changed[0], c.changed[1:]
		}
		c.lookUp(c.hist.key)
	}
}

// lookUp looks for the past row of key that was in effect.
func (c *pastCursor) lookUp(key []byte) {
	it := c.hist.it
	c.seek = (c.r.at + 1).append(appendGroup(c.seek[:0], key))
	if c.lookUpBundled(hash(key)) {
		return
	}
	if it.SeekGEWithLimit(c.seek, appendGroupEnd(nil, key)) != pebble.IterValid || !hasGroup(it.Key(), c.seek) {
		c.fail(it.Error())
		return
	}
	row, err := rowAt(it)
	if err != nil {
		c.err = err
	} else if row.since <= c.r.at {
		c.hist.valid, c.hist.value = true, row.value
	}
}

// lookUpBundled looks for the row that c.seek stands for among those not at their keys.
func (c *pastCursor) lookUpBundled(hash uint64) bool {
	raw := c.r.e.bundles.findIn(c.parts[:], c.seek, hash)
	if raw == nil {
		return false
	}
	row, err := parseRow(raw)
	if err != nil {
		c.err = corruptKey(c.seek, err)
		return true
	}
	if row.since > c.r.at {
		return false
	}
	c.hist.valid, c.hist.value = true, row.value
	return true
}

// nextHistory goes on to a past row that was in effect.
func (c *pastCursor) nextHistory(ok bool) {
	it := c.hist.it
	for ok && c.err == nil {
		group, until, err := splitHistory(it.Key())
		if err != nil {
			c.err = corruptKey(it.Key(), err)
			break
		}
		row, err := rowAt(it)
		if err != nil {
			c.err = err
			break
		}
		if row.since <= c.r.at && c.r.at < until {
			c.hist.key, c.err = appendUnescaped(c.hist.key[:0], group)
			c.hist.valid, c.hist.value = true, row.value
			return
		}
		ok = c.skip(group, until)
	}
	c.hist.valid = false
	c.fail(it.Error())
}

// skip leaves a row of history that was not in effect: by a step, and after many
// of those by a seek to where the key's row may be, or behind the key.
func (c *pastCursor) skip(group []byte, until version) bool {
	it := c.hist.it
	if c.skips++; c.skips < nextsPerSeek {
		return step(it, c.reverse, true)
	}
	c.skips = 0
	here := bytes.Clone(group)
	switch ended := until <= c.r.at; {
	case ended == c.reverse && !ended:
		return it.SeekGE(groupEnd(here)) // forward, and this one began after
	case ended == c.reverse:
		return it.SeekLT(here) // backward, and this one ended before
	}
	return it.SeekGE((c.r.at + 1).append(here))
}

// nextsPerSeek is how many steps cost about as much as a seek.
const nextsPerSeek = 8

// groupEnd turns what the history keys of a key begin with into what is after
// them.
func groupEnd(group []byte) []byte {
	group[len(group)-1]++
	return group
}

// rowAt is the row at an iterator's place.
func rowAt(it *pebble.Iterator) (row, error) {
	raw, err := it.ValueAndErr()
	if err != nil {
		return row{}, storage(err)
	}
	r, err := parseRow(raw)
	if err != nil {
		return row{}, corruptKey(it.Key()[1:], err)
	}
	return r, nil
}

func (c *pastCursor) fail(err error) {
	if c.err == nil {
		c.err = storage(err)
	}
}

func (c *pastCursor) Key() []byte   { return c.now.key }
func (c *pastCursor) Value() []byte { return c.now.value }
func (c *pastCursor) Err() error    { return c.err }

func (c *pastCursor) Close() error {
	if c.data.it == nil {
		return nil
	}
	c.r.e.counters.keysRead.Add(c.rows)
	err := c.data.it.Close()
	if c.hist.it != nil {
		if herr := c.hist.it.Close(); err == nil {
			err = herr
		}
	}
	c.data.it, c.hist.it = nil, nil
	return storage(err)
}
