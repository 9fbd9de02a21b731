package embedded

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// collectBatch is how many rows go in one step.
const collectBatch = 64

// Collect removes what is beyond retention, after repairing what restores left.
func (e *Engine) Collect(ctx context.Context) (engine.Collected, error) {
	if err := e.enterSettled(); err != nil {
		return engine.Collected{}, err
	}
	defer e.leave()
	p := e.hurriedPace()
	p.others = &e.counters.commits
	return e.collect(ctx, p)
}

func (e *Engine) collect(ctx context.Context, p pace) (engine.Collected, error) {
	e.background.turn.Lock()
	defer e.background.turn.Unlock()
	c := collection{e: e, ctx: ctx, pace: p}
	err := e.repairAll(ctx, p)
	if err == nil {
		err = c.run()
	}
	e.counters.collect(c.done)
	return c.done, err
}

// collection is one pass. The horizon moves first; readers look at it after they
// have read.
type collection struct {
	e    *Engine
	ctx  context.Context
	pace pace
	done engine.Collected

	early   int  // take one of so many parts of the oldest history before its time; 0: none
	hurried bool // take it up to what a view under way reads
	dropped bool // all of it went at once
}

func (c *collection) run() error {
	s, err := c.advance()
	if err != nil {
		return err
	}
	if c.dropped {
		return c.afterHistory(s)
	}
	if err := c.e.unpack(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	for i := range s {
		if err := c.history(s.rangeOf(i), s[i].horizon); err != nil {
			return err
		}
	}
	return c.afterHistory(s)
}

// afterHistory removes what tells of history.
func (c *collection) afterHistory(s stretches) error {
	if err := c.records(s.oldest()); err != nil {
		return err
	}
	return c.hides(s)
}

// advance moves the horizons to where retention ends, or further if history goes
// early, but not beyond what a restore that is not repaired goes back to, and writes
// them down.
func (c *collection) advance() (stretches, error) {
	e := c.e
	e.alone()
	defer e.commit.Unlock()
	if err := e.failed(); err != nil {
		return nil, err
	}
	if err := e.writeBlock(); err != nil {
		return nil, err
	}
	next := append(stretches(nil), e.retention.stretches()...)
	now := e.opts.Now()
	early := c.goesEarly(now)
	for i := range next {
		h := max(min(versionAt(now.Add(-next[i].keep)), e.last.Load()), early)
		for _, hide := range e.hides.unrepaired() {
			if hide.r.Overlaps(next.rangeOf(i)) {
				h = min(h, hide.to)
			}
		}
		next[i].horizon = max(next[i].horizon, h)
	}
	next = next.joined()
	err := e.guard(func() error { return e.db.Set(metaKey(metaRetention), next.encode(), pebble.NoSync) })
	if err == nil {
		e.retention.set(next)
		e.ages.drop(next.oldest())
	}
	if err == nil && c.early > 0 && next.oldest() == e.last.Load() {
		err = c.drop()
	}
	return next, err
}

// goesEarly is up to which version history goes whatever its retention. The commit
// lock is held.
func (c *collection) goesEarly(now time.Time) version {
	e := c.e
	if c.early == 0 {
		return noVersion
	}
	p := e.room.marks.Load()
	if p == nil {
		return noVersion
	}
	v := p.until(now, e.last.Load(), c.hurried)
	if total := e.ages.total(); c.early > 1 {
		v = min(v, e.ages.oldest(total/int64(c.early)))
	}
	return e.claim(v)
}

// drop removes all of history at once: nothing of it ends later than the horizon.
// That takes no room, and tables that hold nothing else go as they are. The commit
// lock is held.
func (c *collection) drop() error {
	e := c.e
	e.bundles.turn.Lock()
	defer e.bundles.turn.Unlock()
	b := e.db.NewBatch()
	defer b.Close()
	err := errors.Join(
		b.DeleteRange([]byte{prefixHistory}, []byte{prefixHistory + 1}, nil),
		b.DeleteRange([]byte{prefixBundle}, []byte{prefixBundle + 1}, nil))
	if err == nil {
		err = e.guard(func() error { return e.db.Apply(b, pebble.NoSync) })
	}
	if err == nil {
		e.bundles.forget()
		e.bundles.direct.Store(true)
		n := max(c.e.counters.superseded.Swap(0), 0)
		c.done.Versions += n
		c.dropped = true
	}
	return err
}

// history removes the rows of a range that ended at the horizon or before.
func (c *collection) history(rng engine.Range, horizon version) error {
	low, high := historyBounds(rng)
	return c.sweep(low, high, horizon, func(key, _ []byte) (bool, error) {
		_, until, err := splitHistory(key)
		if err != nil {
			return false, corruptKey(key, err)
		}
		return until <= horizon, nil
	}, func(n, size int64) {
		c.done.Versions += n
		c.done.Bytes += size
		c.e.counters.superseded.Add(-n)
	})
}

// records removes the provenance, and the IDs of operations, up to the horizon.
// A block goes when its last transaction does.
func (c *collection) records(horizon version) error {
	count := func(n, size int64) {
		c.done.Commits += n
		c.done.Bytes += size
	}
	for _, prefix := range []byte{prefixCommits, prefixTrace} {
		err := c.sweep([]byte{prefix}, versionKey(prefix, horizon+1), horizon,
			func(key, _ []byte) (bool, error) { return true, nil }, count)
		if err != nil {
			return err
		}
	}
	// Whoever was not told of the outcome has time to ask, or to try again.
	horizon = min(horizon, versionAt(c.e.opts.Now().Add(-minRetained)))
	return c.sweep([]byte{prefixOp}, []byte{prefixOp + 1}, horizon, func(_, value []byte) (bool, error) {
		return len(value) == versionSize && readVersion(value) <= horizon, nil
	}, func(int64, int64) {})
}

// sweep deletes the entries between two keys that are to go, step by step.
func (c *collection) sweep(low, high []byte, horizon version, goes func(key, value []byte) (bool, error), count func(n, size int64)) error {
	for low != nil {
		var err error
		if low, err = c.sweepStep(low, high, horizon, goes, count); err != nil {
			return err
		}
		if err := c.pace.rest(c.ctx); err != nil {
			return err
		}
	}
	return nil
}

// sweepStep deletes one batch and returns where the next begins, nil at the end.
// It does not hold on to an iterator while it rests.
func (c *collection) sweepStep(low, high []byte, horizon version, goes func(key, value []byte) (bool, error), count func(n, size int64)) (next []byte, err error) {
	c.pace.begin()
	it, err := c.e.db.NewIter(&pebble.IterOptions{
		LowerBound: low, UpperBound: high, PointKeyFilters: within(noVersion, horizon+1),
	})
	if err != nil {
		return nil, storage(err)
	}
	b := c.e.db.NewBatch()
	var n, size int64
	for ok := it.First(); ok && err == nil && next == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err != nil {
			break
		}
		var gone bool
		if gone, err = goes(it.Key(), value); err != nil || !gone {
			continue
		}
		if n++; n == collectBatch {
			next = append(bytes.Clone(it.Key()), 0)
		}
		size += int64(len(it.Key()) + len(value))
		err = b.DeleteSized(it.Key(), uint32(len(value)), nil)
	}
	if err = errors.Join(storage(err), storage(it.Close())); err == nil && n > 0 {
		c.e.bundles.direct.Store(true)
		if err = c.e.failed(); err == nil {
			err = c.e.guard(func() error { return c.e.db.Apply(b, pebble.NoSync) })
			c.e.calm.wrote()
		}
	}
	if err == nil {
		count(n, size)
	}
	return next, errors.Join(err, b.Close())
}

// hides forgets restores of which nothing is left to tell.
func (c *collection) hides(s stretches) error {
	e := c.e
	e.alone()
	defer e.commit.Unlock()
	for _, h := range e.hides.kept() {
		if !h.repaired || h.until > s.horizon(h.r) || h.until > s.oldest() {
			continue
		}
		if err := e.guard(func() error { return e.db.Delete(h.storeKey(), pebble.NoSync) }); err != nil {
			return err
		}
		e.hides.replace(h, nil)
	}
	return nil
}

// pace makes background work rest, so that it takes a bounded share of the time.
type pace struct {
	share int          // rests so many times as long as it works; 0: never
	hurry *atomic.Bool // it does not rest while this is set; may be nil
	begun time.Time

	others *atomic.Int64 // if this has risen meanwhile, it rests as the background does; may be nil
	seen   int64         // of others, when it last looked
}

func (p *pace) begin() {
	if p.share > 0 && p.begun.IsZero() {
		p.begun = time.Now()
	}
}

// workSlice is how long work goes on before it rests.
const workSlice = time.Millisecond

// rest waits, if it is time for that. Work that need not rest lets others go first:
// where all processors are busy, a transaction that has just become durable would
// else wait for one for ten milliseconds.
func (p *pace) rest(ctx context.Context) error {
	if p.share == 0 || p.begun.IsZero() {
		runtime.Gosched()
		return ctx.Err()
	}
	worked := time.Since(p.begun)
	if worked < workSlice {
		runtime.Gosched()
		return ctx.Err()
	}
	p.begun = time.Time{}
	if p.hurry != nil && p.hurry.Load() {
		runtime.Gosched()
		return ctx.Err()
	}
	t := time.NewTimer(worked * time.Duration(p.shareNow()))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// shareNow is how many times as long as it has worked it rests.
func (p *pace) shareNow() int {
	if p.others == nil {
		return p.share
	}
	now := p.others.Load()
	alone := now == p.seen
	p.seen = now
	if alone {
		return p.share
	}
	return max(p.share, restShare)
}
