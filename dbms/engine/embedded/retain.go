package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// retention says for how long superseded versions are kept, and from when on all
// are still there. It divides all keys into stretches:
//
//	'm' 'r'  ->   0        1        5
//	             ├────────┼────────┼───────────────────────────────────────────
//	              format   count    each: low (its length, uvarint, and bytes),
//	                                keep in microseconds (uvarint), horizon(8)
//
// A stretch reaches to the low of the next; the first begins before all keys. A
// horizon never goes back, so a longer retention only works from now on.
//
// Readers are not registered. They look at the horizon after they have read: it
// moves before the first row goes.
type retention struct {
	now atomic.Pointer[stretches] // replaced with the commit lock held
}

// stretches is sorted by low; there is at least one.
type stretches []stretch

type stretch struct {
	low     []byte
	keep    time.Duration
	horizon version
}

const (
	retentionFormat = 1

	// maxStretches bounds the record.
	maxStretches = 4096
)

var errRetention = errors.New("malformed record of retention")

func newRetention(keep time.Duration, born version) stretches {
	return stretches{{keep: keep, horizon: born}}
}

func (s stretches) encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{retentionFormat}, uint32(len(s)))
	for _, x := range s {
		b = appendText(b, string(x.low))
		b = binary.AppendUvarint(b, uint64(x.keep/time.Microsecond))
		b = x.horizon.append(b)
	}
	return b
}

func parseRetention(b []byte) (stretches, error) {
	d := decoder{rest: b}
	format, count := d.byte(), d.bytes(4)
	if d.failed || format != retentionFormat {
		return nil, errRetention
	}
	n := binary.BigEndian.Uint32(count)
	if n == 0 || n > maxStretches {
		return nil, errRetention
	}
	var s stretches
	for i := range n {
		x := stretch{low: bytes.Clone(d.run())}
		x.keep = time.Duration(d.limited(1<<53)) * time.Microsecond
		x.horizon = d.version()
		if d.failed || (i == 0) != (len(x.low) == 0) || i > 0 && bytes.Compare(s[i-1].low, x.low) >= 0 {
			return nil, errRetention
		}
		s = append(s, x)
	}
	if len(d.rest) > 0 {
		return nil, errRetention
	}
	return s, nil
}

func (r *retention) load(e *Engine) error {
	b, err := getMeta(e.db, metaRetention)
	if err != nil {
		return err
	}
	s, err := parseRetention(b)
	if err != nil {
		return corrupt("record of retention", err)
	}
	r.set(s)
	return nil
}

func (r *retention) set(s stretches) { r.now.Store(&s) }

func (r *retention) stretches() stretches { return *r.now.Load() }

// overlapping are the stretches, by index, that share keys with rng.
func (s stretches) overlapping(rng engine.Range) (first, end int) {
	first, found := slices.BinarySearchFunc(s, rng.Low, func(x stretch, low []byte) int { return bytes.Compare(x.low, low) })
	if !found {
		first--
	}
	end = len(s)
	for i := first + 1; i < len(s); i++ {
		if rng.High != nil && bytes.Compare(s[i].low, rng.High) >= 0 {
			return first, i
		}
	}
	return first, end
}

// horizon is the oldest version at which all of rng can be read.
func (s stretches) horizon(rng engine.Range) version {
	first, end := s.overlapping(rng)
	h := noVersion
	for _, x := range s[first:end] {
		h = max(h, x.horizon)
	}
	return h
}

// oldest is the oldest version at which anything can be read.
func (s stretches) oldest() version {
	h := endVersion
	for _, x := range s {
		h = min(h, x.horizon)
	}
	return h
}

// rangeOf are the keys of stretch i.
func (s stretches) rangeOf(i int) engine.Range {
	r := engine.Range{Low: s[i].low}
	if i+1 < len(s) {
		r.High = s[i+1].low
	}
	return r
}

// with is s with another retention for rng.
func (s stretches) with(rng engine.Range, keep time.Duration) stretches {
	first, end := s.overlapping(rng)
	out := slices.Clone(s[:first])
	for i := first; i < end; i++ {
		x, r := s[i], s.rangeOf(i)
		if bytes.Compare(r.Low, rng.Low) < 0 {
			out = append(out, x)
			x.low = bytes.Clone(rng.Low)
		}
		inside := x
		inside.keep = keep
		out = append(out, inside)
		if rng.High != nil && (r.High == nil || bytes.Compare(rng.High, r.High) < 0) {
			x.low = bytes.Clone(rng.High)
			out = append(out, x)
		}
	}
	return append(out, s[end:]...).joined()
}

// joined makes one of neighbours that are alike.
func (s stretches) joined() stretches {
	return slices.CompactFunc(s, func(a, b stretch) bool { return a.keep == b.keep && a.horizon == b.horizon })
}

// check refuses to read key at a version that is not kept.
func (r *retention) check(key []byte, at version) error {
	s := r.stretches()
	if len(s) == 1 {
		return tooOld(at, s[0].horizon)
	}
	return tooOld(at, s.horizon(engine.KeyRange(key)))
}

// checkRange refuses to read a range at a version at which not all of it is kept.
func (r *retention) checkRange(rng engine.Range, at version) error {
	if rng.Empty() {
		return nil
	}
	return tooOld(at, r.stretches().horizon(rng))
}

// checkAny refuses a version at which nothing is kept.
func (r *retention) checkAny(at version) error { return tooOld(at, r.stretches().oldest()) }

func tooOld(at, horizon version) error {
	if at >= horizon {
		return nil
	}
	return fmt.Errorf("%w: %v is before %v, from when on everything is kept; longer ago it was beyond retention, or the device had no room for it",
		engine.ErrTooOld, at.time().UTC(), horizon.time().UTC())
}

// Horizon returns the oldest version at which all of rng can be read.
func (e *Engine) Horizon(ctx context.Context, rng engine.Range) (engine.Version, error) {
	if err := e.enterSettled(); err != nil {
		return "", err
	}
	defer e.leave()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	h := e.born
	if !rng.Empty() {
		h = e.retention.stretches().horizon(rng)
	}
	return h.external(), nil
}

// Retain sets for how long superseded versions of a range are kept.
func (e *Engine) Retain(ctx context.Context, op *engine.Op, rng engine.Range, keep time.Duration) error {
	if keep < engine.MinRetention {
		return fmt.Errorf("retention of %v: the least is %v", keep, engine.MinRetention)
	}
	_, err := e.Update(ctx, op, func(running engine.Tx) error {
		if rng.Empty() {
			return nil
		}
		t := running.(*tx)
		next := e.retention.stretches().with(rng, keep)
		if len(next) > maxStretches {
			return &engine.LimitError{What: "ranges with a retention of their own", Size: int64(len(next)), Limit: maxStretches}
		}
		t.write(metaKey(metaRetention), next.encode())
		t.retain, t.wrote = next, true
		return nil
	})
	return err
}

// At returns the newest version that was committed not after t.
func (e *Engine) At(ctx context.Context, t time.Time) (engine.Version, error) {
	if err := e.enterSettled(); err != nil {
		return "", err
	}
	defer e.leave()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	upTo := versionAt(t.Add(time.Microsecond)) - 1 // with all of that microsecond
	if upTo < e.born {
		return "", fmt.Errorf("%w: the store was made at %v", engine.ErrTooOld, e.born.time().UTC())
	}
	v, err := e.newestCommit(min(upTo, e.last.Load()))
	if err != nil {
		return "", err
	}
	if err := e.retention.checkAny(v); err != nil {
		return "", err
	}
	return v.external(), nil
}

// newestCommit is the newest transaction up to a version; where that is beyond
// the horizon or not known any more, a later version of the same state that can
// be read.
func (e *Engine) newestCommit(upTo version) (version, error) {
	r := e.newReader(upTo)
	defer e.freeReader(r)
	newest := e.born
	err := r.records(noVersion, true, func(v version, _ []byte) (bool, error) {
		newest = v
		return false, nil
	})
	return min(upTo, max(newest, e.retention.stretches().horizon(engine.All))), err
}
