package embedded

import (
	"bytes"
	"cmp"
	"iter"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// What is held of changes in memory is bounded. A range with more is read several
// times, each time without the blocks in which nothing is later than what was told.
const (
	changesBatch = 1 << 16 // at least so many
	changesShare = 8       // of the memory
	changeSize   = 256     // bytes, about, while they are sorted
)

// Changes returns what became of a range, by versions and then keys.
func (r *reader) Changes(rng engine.Range, from engine.Version) iter.Seq2[engine.Row, error] {
	return func(yield func(engine.Row, error) bool) {
		after, err := r.changesFrom(rng, from)
		if err != nil {
			yield(engine.Row{}, err)
			return
		}
		c := changes{r: r, rng: rng, from: after, most: max(changesBatch, r.e.opts.Memory/changesShare/changeSize)}
		for more := true; more; {
			if more, err = c.gather(); err != nil {
				yield(engine.Row{}, err)
				return
			}
			for _, ev := range c.events {
				row, err := c.external(ev)
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
		if err := r.e.retention.checkRange(rng, max(after, noVersion)); from != "" && err != nil {
			yield(engine.Row{}, err) // the horizon has passed while reading
		}
	}
}

// changesFrom checks where changes begin.
func (r *reader) changesFrom(rng engine.Range, from engine.Version) (version, error) {
	if err := r.e.retention.checkRange(rng, r.at); err != nil {
		return 0, err
	}
	if from == "" {
		return noVersion, nil
	}
	after, err := r.e.internal(from)
	if err != nil {
		return 0, err
	}
	return after, r.e.retention.checkRange(rng, after)
}

// changes collects the events of a range in their order, so many at a time.
type changes struct {
	r      *reader
	rng    engine.Range
	from   version
	most   int
	last   *event  // of the batch before
	events []event // the batch
	cut    bool    // there are more
}

// compareEvents orders by version, restores before keys.
func compareEvents(a, b event) int {
	kind := func(e event) int {
		if e.hide != nil {
			return int(e.hide.index)
		}
		return maxRestores
	}
	return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(kind(a), kind(b)), bytes.Compare(a.key, b.key))
}

// gather reads the range for the next batch and tells whether there are more.
func (c *changes) gather() (more bool, err error) {
	c.events, c.cut = c.events[:0], false
	active, hides := c.r.e.hides.unrepaired(), c.r.e.hides.kept()
	for _, h := range hides {
		if h.r.Overlaps(c.rng) {
			c.add(event{version: h.until, hide: h}, nil)
		}
	}
	after := c.from
	if c.last != nil {
		after = max(after, c.last.version-1)
	}
	if len(active) > 0 {
		after = noVersion // what they go back to must be seen
	}
	lines, err := c.r.e.timelines(c.rng, false, after)
	if err != nil {
		return false, err
	}
	for lines.next() {
		lines.line.settle(active)
		for _, ev := range lines.line.events(hides) {
			c.add(ev, lines.line.key)
		}
	}
	err = lines.err
	if cerr := lines.close(); err == nil {
		err = cerr
	}
	c.trim()
	if n := len(c.events); n > 0 {
		last := c.events[n-1]
		c.last = &last
	}
	return c.cut, err
}

// add takes an event if it is among those asked for, and not before the batch.
func (c *changes) add(ev event, key []byte) {
	if ev.version <= c.from || ev.version > c.r.at {
		return
	}
	ev.key = key
	if c.last != nil && compareEvents(ev, *c.last) <= 0 {
		return
	}
	ev.key = bytes.Clone(key)
	if c.events = append(c.events, ev); len(c.events) >= 2*c.most {
		c.trim()
	}
}

// trim sorts the batch and drops what is too much.
func (c *changes) trim() {
	slices.SortFunc(c.events, compareEvents)
	if len(c.events) > c.most {
		clear(c.events[c.most:])
		c.events, c.cut = c.events[:c.most], true
	}
}

func (c *changes) external(ev event) (engine.Row, error) {
	if ev.hide == nil {
		return c.r.external(ev.key, ev)
	}
	return engine.Row{Version: ev.version.external(), Restore: ev.hide.shown(), To: ev.hide.shownTo()}, nil
}
