package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Check reads the whole store as it is at one moment and proves:
//
//  1. Every key of Pebble belongs to one of the kinds of layout.go, and decodes;
//     its block has the right checksum. Each key is found by itself, too.
//  2. Of each key, the rows of history begin before they end, in order and
//     without overlap, and the present row begins when the last one ended, or
//     later.
//  3. No version is later than the newest.
//  4. A row that carries the record of a commit which is in no block carries the
//     one that the log has; blocks are in order, do not overlap, and all numbers
//     in records are known.
//  5. No row of history is left in a bundle when all have been unpacked.
//  6. The restores, retention and names in memory are those stored, and no
//     horizon is beyond what a restore that is not repaired goes back to.
func (e *Engine) Check(ctx context.Context, report func(engine.Problem)) error {
	if err := e.enterSettled(); err != nil {
		return err
	}
	defer e.leave()
	c, err := e.newChecker(ctx, report)
	if err != nil {
		return err
	}
	parts := []func() error{c.witness, c.kinds, c.timelines, c.commits, c.traces, c.operations, c.meta}
	for _, part := range parts {
		switch err := part(); {
		case errors.Is(err, engine.ErrCorrupt):
			c.problem("store", "%v", err) // this part cannot go on, others may
		case err != nil:
			return errors.Join(err, c.snapshot.Close())
		}
	}
	return storage(c.snapshot.Close())
}

// checker is a check under way: a snapshot of Pebble and what was in memory at
// the same moment.
type checker struct {
	e        *Engine
	ctx      context.Context
	report   func(engine.Problem)
	snapshot *pebble.Snapshot
	last     version
	upTo     version // the log's
	tail     []found
	hides    []*hide
	kept     stretches
	names    int
}

func (e *Engine) newChecker(ctx context.Context, report func(engine.Problem)) (*checker, error) {
	c := &checker{e: e, ctx: ctx, report: report}
	e.alone()
	defer e.commit.Unlock()
	err := e.settled(func() error { c.snapshot = e.db.NewSnapshot(); return nil })
	if err != nil {
		return nil, err
	}
	c.last, c.upTo = e.last.Load(), e.log.written()
	c.hides, c.kept, c.names = e.hides.kept(), e.retention.stretches(), e.who.len()
	if tail := e.tail(); tail != nil {
		err := parseBlock(tail, func(v version, record []byte) error {
			c.tail = append(c.tail, found{v, record})
			return nil
		})
		if err != nil {
			return nil, errors.Join(err, c.snapshot.Close())
		}
	}
	return c, nil
}

func (c *checker) problem(where, what string, args ...any) {
	c.report(engine.Problem{Where: where, What: fmt.Sprintf(what, args...)})
}

// each visits the entries with a prefix.
func (c *checker) each(low, high []byte, visit func(key, value []byte)) error {
	it, err := c.snapshot.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return storage(err)
	}
	for n, ok := 0, it.First(); ok && err == nil; n, ok = n+1, it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			visit(it.Key(), value)
		}
		if n%1024 == 0 && err == nil {
			err = c.ctx.Err()
		}
	}
	return errors.Join(storage(err), storage(it.Close()))
}

// kinds looks for keys that do not belong here.
func (c *checker) kinds() error {
	left := func(key, _ []byte) {
		c.problem(fmt.Sprintf("entry %q", key), "it is a bundle of history that was not unpacked")
	}
	if err := c.each([]byte{prefixBundle}, []byte{prefixBundle + 1}, left); err != nil {
		return err
	}
	between := []byte{prefixBundle, prefixCommits, prefixData, prefixHistory, prefixMeta, prefixOp, prefixTrace}
	low := []byte(nil)
	strange := func(key, _ []byte) { c.problem(fmt.Sprintf("entry %q", key), "it is of no kind that is known") }
	for _, p := range between {
		if err := c.each(low, []byte{p}, strange); err != nil {
			return err
		}
		low = []byte{p + 1}
	}
	return c.each(low, nil, strange)
}

func (c *checker) timelines() error {
	lines, err := newTimelines(c.snapshot, engine.All, false, noVersion)
	if err != nil {
		return err
	}
	for n := 0; lines.next(); n++ {
		c.timeline(&lines.line)
		if lines.present != nil {
			c.header(&lines.line, lines.present)
		}
		if err := c.lookup(&lines.line, lines.present != nil); err != nil {
			return errors.Join(err, lines.close())
		}
		if n%1024 == 0 && c.ctx.Err() != nil {
			return errors.Join(c.ctx.Err(), lines.close())
		}
	}
	return errors.Join(lines.err, lines.close())
}

// lookup sees that a key is found by itself as it is in passing: that goes by the
// filters of tables, which nothing else reads.
func (c *checker) lookup(l *timeline, want bool) error {
	_, closer, err := c.snapshot.Get(appendData(nil, l.key))
	found := err == nil
	switch {
	case found:
		err = closer.Close()
	case errors.Is(err, pebble.ErrNotFound):
		err = nil
	}
	if err == nil && found != want {
		c.problem(fmt.Sprintf("key %q", l.key), "there is a present row: %v, and it is found: %v", want, found)
	}
	return storage(err)
}

func (c *checker) timeline(l *timeline) {
	where := fmt.Sprintf("key %q", l.key)
	if len(l.key) == 0 || len(l.key) > engine.MaxKey {
		c.problem(where, "it has %d bytes", len(l.key))
	}
	before := noVersion
	for _, s := range l.spans {
		switch {
		case s.since == noVersion || s.since > c.last:
			c.problem(where, "its version %v is later than the newest, %v", s.since, c.last)
		case s.until != endVersion && s.until > c.last:
			c.problem(where, "its version %v ends at %v, later than the newest, %v", s.since, s.until, c.last)
		case s.since >= s.until:
			c.problem(where, "its version %v ends at %v", s.since, s.until)
		case s.since < before:
			c.problem(where, "its version %v begins before the one before it has ended, at %v", s.since, before)
		case s.flags&rowRestored != 0 && s.since > c.kept.horizon(engine.KeyRange(l.key)) && !restoredAt(c.hides, l.key, s.since):
			c.problem(where, "its version %v is a copy made for a restore that there was not", s.since)
		}
		before = s.until
	}
}

// header compares the record on a row with that in the log.
func (c *checker) header(l *timeline, raw []byte) {
	r, err := parseRow(raw)
	if err != nil || r.flags&rowRecord == 0 {
		return
	}
	where := fmt.Sprintf("key %q", l.key)
	c.record(where, r.header)
	if r.since <= c.upTo {
		return
	}
	i, ok := slices.BinarySearchFunc(c.tail, r.since, func(f found, v version) int {
		switch {
		case f.version < v:
			return -1
		case f.version > v:
			return 1
		}
		return 0
	})
	if !ok || string(c.tail[i].record) != string(r.header) {
		c.problem(where, "its transaction %v is not in the log", r.since)
	}
}

func (c *checker) record(where string, b []byte) {
	r, err := parseCommit(b)
	switch {
	case err != nil:
		c.problem(where, "%v", err)
	case int(r.who) > c.names:
		c.problem(where, "%v: %d", errWho, r.who)
	}
}

func (c *checker) commits() error {
	last := noVersion
	err := c.each([]byte{prefixCommits}, []byte{prefixCommits + 1}, func(key, value []byte) {
		where := fmt.Sprintf("block of commits %x", key[1:])
		err := parseBlock(value, func(v version, record []byte) error {
			if v <= last {
				c.problem(where, "transaction %v follows %v", v, last)
			}
			last = v
			c.record(where+", transaction "+v.String(), record)
			return nil
		})
		switch {
		case err != nil:
			c.problem(where, "%v", err)
		case string(key) != string(versionKey(prefixCommits, last)):
			c.problem(where, "its last transaction is %v", last)
		}
	})
	if last > c.upTo {
		c.problem("blocks of commits", "they end at %v, not at %v", last, c.upTo)
	}
	return err
}

func (c *checker) traces() error {
	return c.each([]byte{prefixTrace}, []byte{prefixTrace + 1}, func(key, value []byte) {
		where := fmt.Sprintf("trace %x", key[1:])
		record, _, err := parseTrace(value)
		if err != nil || len(key) != 1+versionSize || readVersion(key[1:]) > c.last {
			c.problem(where, "malformed, or later than the newest version")
			return
		}
		c.record(where, record)
	})
}

func (c *checker) operations() error {
	return c.each([]byte{prefixOp}, []byte{prefixOp + 1}, func(key, value []byte) {
		if len(value) != versionSize || readVersion(value) > c.last || len(key) > 1+engine.MaxOpField {
			c.problem(fmt.Sprintf("operation %q", key[1:]), "malformed, or later than the newest version")
		}
	})
}

func (c *checker) meta() error {
	who := newWhoTable()
	if err := who.load(c.snapshot); err != nil {
		return err
	}
	if who.len() != c.names {
		c.problem("names", "%d are stored, %d are known", who.len(), c.names)
	}
	var hides hideList
	if err := hides.load(c.snapshot); err != nil {
		return err
	}
	stored := hides.kept()
	same := slices.EqualFunc(stored, c.hides, func(a, b *hide) bool {
		return string(a.storeKey()) == string(b.storeKey()) && string(a.encode()) == string(b.encode())
	})
	if !same {
		c.problem("restores", "%d are stored, %d are known, and they differ", len(stored), len(c.hides))
	}
	for _, h := range stored {
		if h.until > c.last {
			c.problem("restore "+h.until.String(), "it is later than the newest version")
		}
		if !h.repaired && h.to != noVersion && c.kept.horizon(h.r) > max(h.to, c.e.born) {
			c.problem("restore "+h.until.String(), "what it goes back to is beyond the horizon")
		}
	}
	b, err := getMeta(c.snapshot, metaRetention)
	if err == nil && string(b) != string(c.kept.encode()) {
		c.problem("retention", "what is stored is not what is known")
	}
	return err
}

// witness reads the file that is compared when the store is opened.
func (c *checker) witness() error {
	_, err := c.e.witness.read()
	return err
}
