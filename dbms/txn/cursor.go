package txn

import (
	"bytes"
	"errors"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Scan returns the keys of r as the transaction sees them now: what it writes
// while the cursor is open does not appear in it. The cursor must be closed.
func (t *Tx) Scan(r engine.Range, o engine.ScanOptions) engine.Cursor {
	if t.reader == nil {
		return failedCursor{ErrDone}
	}
	c := t.scanBase(r, o)
	if t.reads != nil {
		c = t.reads.track(c, r, o.Reverse)
	}
	if t.writes.touches(r) {
		c = &merged{base: c, own: t.writes.snapshot(), rng: r, reverse: o.Reverse}
	}
	return c
}

// merged lays own writes over a base.
type merged struct {
	base    engine.Cursor
	own     writeset
	rng     engine.Range
	reverse bool

	started    bool
	inBase     bool // base stands on a key not yet passed
	ahead      write
	hasAhead   bool // ahead is the next own write
	key, value []byte
	onBase     bool // the present key is base's, which moves on at the next step
}

func (c *merged) Next() bool {
	c.step()
	for c.inBase || c.hasAhead {
		switch order := c.compare(); {
		case order < 0:
			c.key, c.value, c.onBase = c.base.Key(), c.base.Value(), true
			return true
		default:
			if order == 0 {
				c.inBase = c.base.Next()
				if !c.inBase && c.base.Err() != nil {
					return false
				}
			}
			w := c.ahead
			c.ahead, c.hasAhead = c.own.next(c.rng, w.key, c.reverse)
			if !w.deleted {
				c.key, c.value = w.key, w.value
				return true
			}
		}
	}
	return false
}

// step leaves the present key.
func (c *merged) step() {
	switch {
	case !c.started:
		c.started = true
		c.inBase = c.base.Next()
		c.ahead, c.hasAhead = c.own.next(c.rng, nil, c.reverse)
	case c.onBase:
		c.inBase, c.onBase = c.base.Next(), false
	}
	if !c.inBase && c.base.Err() != nil {
		c.hasAhead = false
	}
}

// compare tells which side comes next: the base (<0), the own write (>0), or
// the own write in the place of the base's (0).
func (c *merged) compare() int {
	switch {
	case !c.inBase:
		return 1
	case !c.hasAhead:
		return -1
	}
	order := bytes.Compare(c.base.Key(), c.ahead.key)
	if c.reverse {
		return -order
	}
	return order
}

func (c *merged) Key() []byte   { return c.key }
func (c *merged) Value() []byte { return c.value }
func (c *merged) Err() error    { return c.base.Err() }
func (c *merged) Close() error  { return c.base.Close() }

// failedCursor is empty because of an error.
type failedCursor struct{ err error }

func (failedCursor) Next() bool    { return false }
func (failedCursor) Key() []byte   { return nil }
func (failedCursor) Value() []byte { return nil }
func (c failedCursor) Err() error  { return c.err }
func (failedCursor) Close() error  { return nil }

// chain is several cursors, one after another.
type chain struct {
	open func(i int) engine.Cursor // nil after the last
	i    int
	now  engine.Cursor
	err  error
}

func (c *chain) Next() bool {
	for c.err == nil {
		if c.now == nil {
			if c.now = c.open(c.i); c.now == nil {
				return false
			}
			c.i++
		}
		if c.now.Next() {
			return true
		}
		c.err = errors.Join(c.now.Err(), c.now.Close())
		c.now = nil
	}
	return false
}

func (c *chain) Key() []byte   { return c.now.Key() }
func (c *chain) Value() []byte { return c.now.Value() }
func (c *chain) Err() error    { return c.err }

func (c *chain) Close() error {
	if c.now == nil {
		return nil
	}
	err := c.now.Close()
	c.now = nil
	return err
}
