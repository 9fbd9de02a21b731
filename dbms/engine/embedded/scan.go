package embedded

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Scan returns the keys of a range. There are three ways, from fast to slow:
//
//   - Nothing has been committed since the reader's version: the present rows are
//     what it sees (presentCursor).
//   - Otherwise those of the present rows that are old enough, merged with those
//     of history that were in effect (pastCursor).
//   - Where a restore is not repaired, all that is stored of each key is looked at
//     (hiddenCursor). Only the parts of the range that were restored are read like
//     this.
func (r *reader) Scan(rng engine.Range, o engine.ScanOptions) engine.Cursor {
	if rng.Empty() {
		return &failedCursor{}
	}
	parts := cut(rng, r.active)
	if len(parts) == 1 {
		return r.scanPart(parts[0], o)
	}
	return &chainCursor{r: r, parts: parts, o: o}
}

// scanPart scans a range that is wholly or not at all restored.
func (r *reader) scanPart(p part, o engine.ScanOptions) engine.Cursor {
	if p.hidden {
		return newHiddenCursor(r, p.r, o.Reverse)
	}
	before := r.e.bundles.parts()
	w, err := newPresentWalk(r, p.r, o.Reverse, r.recalls != nil)
	if err != nil {
		return &failedCursor{err: err}
	}
	if r.e.started.Load() <= r.at {
		c := &presentCursor{walk: w}
		if o.Limit > 0 && o.Limit <= recallScan {
			c.recalls = r.recalls
		}
		return c
	}
	return newPastCursor(r, w, before, p.r, o.Reverse)
}

// failedCursor has no keys.
type failedCursor struct{ err error }

func (c *failedCursor) Next() bool    { return false }
func (c *failedCursor) Key() []byte   { return nil }
func (c *failedCursor) Value() []byte { return nil }
func (c *failedCursor) Err() error    { return c.err }
func (c *failedCursor) Close() error  { return nil }

// presentCursor goes over the present rows.
type presentCursor struct {
	walk       *presentWalk
	recalls    *recall // takes the rows, if it is not nil
	key, value []byte
	rows       int64
	err        error
}

func (c *presentCursor) Next() bool {
	if c.err != nil {
		return c.end()
	}
	it, ok := c.walk.it, false
	if c.walk.plain && !c.walk.reverse {
		ok = it.Next() // most steps are this, so it is worth the calls that it saves
	} else {
		ok = c.walk.step()
	}
	if !ok {
		return c.end()
	}
	raw := it.Value() // nil on an error, which parse then finds
	c.key = it.Key()[1:]
	if c.recalls != nil && raw != nil {
		c.recalls.learn(c.key, raw)
	}
	if len(raw) < rowFixed || raw[versionSize] != 0 {
		return c.parse(raw)
	}
	c.value = raw[rowFixed:]
	c.rows++
	return true
}

func (c *presentCursor) end() bool {
	if c.err == nil {
		c.err = storage(c.walk.it.Error())
	}
	return false
}

// parse reads a row that is not of the usual form.
func (c *presentCursor) parse(raw []byte) bool {
	if err := c.walk.it.Error(); err != nil {
		return c.end()
	}
	row, err := parseRow(raw)
	if err != nil {
		c.err = corruptKey(c.key, err)
		return false
	}
	c.value = row.value
	c.rows++
	return true
}

func (c *presentCursor) Key() []byte   { return c.key }
func (c *presentCursor) Value() []byte { return c.value }
func (c *presentCursor) Err() error    { return c.err }

func (c *presentCursor) Close() error {
	if c.walk == nil {
		return nil
	}
	c.walk.e.counters.keysRead.Add(c.rows)
	err := c.walk.it.Close()
	c.walk = nil
	return storage(err)
}

// step moves an iterator on, or to its first place.
func step(it *pebble.Iterator, reverse, begun bool) bool {
	switch {
	case reverse && begun:
		return it.Prev()
	case reverse:
		return it.Last()
	case begun:
		return it.Next()
	}
	return it.First()
}

// chainCursor goes over the parts of a range, one after another.
type chainCursor struct {
	r     *reader
	parts []part
	o     engine.ScanOptions
	now   engine.Cursor
	err   error
}

func (c *chainCursor) Next() bool {
	for c.err == nil {
		if c.now != nil && c.now.Next() {
			return true
		}
		if c.err = c.closePart(); c.err != nil || len(c.parts) == 0 {
			return false
		}
		next := 0
		if c.o.Reverse {
			next = len(c.parts) - 1
		}
		c.now = c.r.scanPart(c.parts[next], c.o)
		c.parts = append(c.parts[:next:next], c.parts[next+1:]...)
	}
	return false
}

func (c *chainCursor) closePart() error {
	if c.now == nil {
		return nil
	}
	err := c.now.Err()
	if cerr := c.now.Close(); err == nil {
		err = cerr
	}
	c.now = nil
	return err
}

func (c *chainCursor) Key() []byte   { return c.now.Key() }
func (c *chainCursor) Value() []byte { return c.now.Value() }
func (c *chainCursor) Err() error    { return c.err }

func (c *chainCursor) Close() error {
	if c.now == nil {
		return nil
	}
	now := c.now
	c.now, c.parts = nil, nil
	return now.Close()
}
