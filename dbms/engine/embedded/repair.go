package embedded

import (
	"bytes"
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

const (
	repairScan  = 512 // keys that are looked at before the iterators are renewed
	repairBatch = 8   // keys that are rewritten in one step, with the commit lock held
)

// repairAll repairs all restores, from old to new. background.turn is held.
func (e *Engine) repairAll(ctx context.Context, p pace) error {
	for {
		active := e.hides.unrepaired()
		if len(active) == 0 {
			return nil
		}
		if err := e.repairHide(ctx, active[0], &p); err != nil {
			return err
		}
	}
}

// repairHide goes through the keys that have changed between what a restore goes
// back to and the restore.
func (e *Engine) repairHide(ctx context.Context, h *hide, p *pace) error {
	if err := e.loads.under.wait(ctx, h); err != nil {
		return err
	}
	rest := h.r
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.begin()
		var keys [][]byte
		var err error
		if keys, rest.Low, more, err = e.changedKeys(h, rest.Low); err != nil {
			return err
		}
		for len(keys) > 0 {
			n := min(len(keys), repairBatch)
			p.begin()
			if err := e.repairKeys(keys[:n]); err != nil {
				return err
			}
			keys = keys[n:]
			if err := p.rest(ctx); err != nil {
				return err
			}
		}
		if err := p.rest(ctx); err != nil {
			return err
		}
	}
	return e.repaired(h)
}

// changedKeys finds some keys to repair from low on, and where to go on.
func (e *Engine) changedKeys(h *hide, low []byte) (keys [][]byte, next []byte, more bool, err error) {
	rng := h.r
	rng.Low = low
	lines, err := e.timelines(rng, false, h.to)
	if err != nil {
		return nil, nil, false, err
	}
	for n := 0; n < repairScan && lines.next(); n++ {
		l := &lines.line
		if s := l.at(endVersion - 1); s.since > h.to && s.since < h.until {
			keys = append(keys, bytes.Clone(l.key))
		}
		more = n == repairScan-1
	}
	next = append(bytes.Clone(lines.line.key), 0)
	return keys, next, more, errors.Join(lines.err, lines.close())
}

// repairKeys rewrites some keys, as a step between transactions that changes
// nothing that anybody can see.
func (e *Engine) repairKeys(keys [][]byte) error {
	t := e.newTx(&noOp)
	defer e.freeTx(t)
	e.alone()
	defer e.commit.Unlock()
	if err := e.failed(); err != nil {
		return err
	}
	last := e.last.Load()
	t.begin(last, last.micros())
	for _, key := range keys {
		if _, err := t.repair(key); err != nil {
			return err
		}
	}
	if t.batch.Empty() {
		return nil
	}
	e.counters.superseded.Add(int64(t.superseded))
	err := e.guard(func() error { return e.db.Apply(t.batch, pebble.NoSync) })
	e.calm.wrote()
	for _, key := range keys {
		e.rows.drop(key, hash(key))
		e.empty.cut(key)
	}
	return err
}

// repaired notes that a restore is done with.
func (e *Engine) repaired(h *hide) error {
	e.alone()
	defer e.commit.Unlock()
	next := *h
	next.repaired = true
	if err := e.failed(); err != nil {
		return err
	}
	err := e.guard(func() error { return e.db.Set(next.storeKey(), next.encode(), pebble.NoSync) })
	if err == nil {
		e.kept.retire() // those that show rows which are not repaired
		e.hides.replace(h, &next)
	}
	return err
}
