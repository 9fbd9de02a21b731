package embedded

import (
	"sync/atomic"
	"time"
)

// calm has what is only in the log and in memory put into tables once nothing has been
// written for a while. Opening a store replays its log, makes a table of that, and may
// compact this with others, all before the first transaction: on a machine that was
// switched off, before its program begins. In a calm moment nobody waits for it.
//
// A store that is written to now and then would get a small table each time. So the
// time between two of them grows with the time for which the store has been open, up to
// calmAtMost.
type calm struct {
	quiet  time.Duration // Options.FlushAfter
	timer  *time.Timer   // nil: never
	armed  atomic.Bool   // the timer runs, or its function does
	writes atomic.Uint64 // to Pebble: groups of transactions and background work

	// Of the timer's function only.
	seen   uint64 // writes when it ran last
	opened time.Time
	last   time.Time // when it last had tables made
}

const (
	calmShare  = 2 // of the time since the store was opened
	calmAtMost = 10 * time.Minute
)

// start begins, if the options say so.
func (c *calm) start(e *Engine) {
	if c.quiet = e.opts.FlushAfter; c.quiet <= 0 {
		return
	}
	c.opened = time.Now()
	c.last = c.opened
	c.timer = time.AfterFunc(time.Hour, func() { c.look(e) })
	c.timer.Stop()
	if c.writes.Load() > 0 {
		c.arm() // opening wrote
	}
}

func (c *calm) stop() {
	if c.timer != nil {
		c.timer.Stop()
	}
}

// wrote is told of each write. It is cheap: each group of transactions calls it.
func (c *calm) wrote() {
	c.writes.Add(1)
	if c.timer != nil {
		c.arm()
	}
}

func (c *calm) arm() {
	if !c.armed.Load() && c.armed.CompareAndSwap(false, true) {
		c.timer.Reset(c.quiet)
	}
}

// look has tables made if nothing was written since it ran last, and looks again later
// if something was, or if it is too early.
func (c *calm) look(e *Engine) {
	if e.enter() != nil {
		return // closed
	}
	defer e.leave()
	n := c.writes.Load()
	if n != c.seen {
		c.seen = n
		c.timer.Reset(c.quiet)
		return
	}
	if wait := c.wait(time.Now()); wait > 0 {
		c.timer.Reset(max(wait, c.quiet))
		return
	}
	c.last = time.Now()
	e.flushCalm()
	c.armed.Store(false)
	if c.writes.Load() != n { // by somebody who took the timer for running
		c.arm()
	}
}

// wait is for how long no table is to be made yet.
func (c *calm) wait(now time.Time) time.Duration {
	least := min(now.Sub(c.opened)/calmShare, calmAtMost)
	return least - now.Sub(c.last)
}

// flushCalm has Pebble make tables of what it has in memory, and does not wait for them.
// On a device that is nearly full it does nothing: what is written there is chosen with
// care (policy.go). If it fails, that is told and tried again as any flush is.
func (e *Engine) flushCalm() {
	if e.failed() != nil || e.broken.Load() {
		return
	}
	if free, p := e.room.free(); free < p.low {
		return
	}
	err := e.unpack()
	if err == nil {
		err = e.guard(func() error { _, err := e.db.AsyncFlush(); return err })
	}
	if err != nil {
		e.opts.Log("store: putting the log into tables: %v", err)
	}
}
