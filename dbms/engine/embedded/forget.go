package embedded

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tuplix/tuplix/dbms/engine"
)

var (
	_ engine.Forgetter = (*tx)(nil)
	_ engine.Expirer   = (*Engine)(nil)
)

// Forget deletes a key without history. Where a restore is not repaired yet, history
// has to tell, and it is a Delete.
func (t *tx) Forget(key []byte, size int) error {
	if coveredBy(t.active, key) {
		return t.Delete(key)
	}
	err := engine.CheckKey(key)
	if err == nil {
		err = t.account(key, nil)
	}
	for _, h := range t.restores {
		if err == nil && h.r.Contains(key) {
			err = fmt.Errorf("key %q is restored by the same transaction", key)
		}
	}
	if err != nil {
		return t.refuse(err)
	}
	if t.hasFirst && bytes.Equal(key, t.firstKey) {
		t.hasFirst = false
	}
	t.wrote, t.deletes = true, true
	t.note(key, hash(key))
	op := t.batch.DeleteSizedDeferred(1+len(key), uint32(max(size, 0)))
	op.Key[0] = prefixData
	copy(op.Key[1:], key)
	return nil
}

// Expire moves the horizon of some ranges.
func (e *Engine) Expire(ctx context.Context, op *engine.Op, before engine.Version, ranges ...engine.Range) error {
	to, err := e.internal(before)
	if err != nil {
		return err
	}
	_, err = e.Update(ctx, op, func(running engine.Tx) error {
		t := running.(*tx)
		next := e.retention.stretches()
		for _, r := range ranges {
			h := to
			for _, hide := range e.hides.unrepaired() {
				if hide.r.Overlaps(r) {
					h = min(h, hide.to)
				}
			}
			next = next.expired(r, h)
		}
		if len(next) > maxStretches {
			return &engine.LimitError{What: "ranges with a retention of their own", Size: int64(len(next)), Limit: maxStretches}
		}
		t.write(metaKey(metaRetention), next.encode())
		t.retain, t.wrote = next, true
		return nil
	})
	return err
}

// expired is s with another horizon for rng, where that is later.
func (s stretches) expired(rng engine.Range, horizon version) stretches {
	var out stretches
	first, end := s.overlapping(rng)
	out = append(out, s[:first]...)
	for i := first; i < end; i++ {
		x, r := s[i], s.rangeOf(i)
		if bytes.Compare(r.Low, rng.Low) < 0 {
			out = append(out, x)
			x.low = bytes.Clone(rng.Low)
		}
		inside := x
		inside.horizon = max(x.horizon, horizon)
		out = append(out, inside)
		if rng.High != nil && (r.High == nil || bytes.Compare(rng.High, r.High) < 0) {
			x.low = bytes.Clone(rng.High)
			out = append(out, x)
		}
	}
	return append(out, s[end:]...).joined()
}
