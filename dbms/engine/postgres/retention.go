package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

// retention is for how long superseded versions of a range are kept.
type retention struct {
	rng     engine.Range
	seconds int64
}

// horizon is a version before which a range cannot be read.
type horizon struct {
	rng     engine.Range
	version uint64
}

func (h *horizon) overlaps(ranges []engine.Range) bool {
	return slices.ContainsFunc(ranges, h.rng.Overlaps)
}

// horizons asks for them all. They are as few as there are retentions.
func horizons(each func(horizon)) question {
	return question{
		sql: `select low, high, version from horizons order by low`,
		row: func(rows pgx.Rows) error {
			var h horizon
			err := rows.Scan(&h.rng.Low, &h.rng.High, &h.version)
			each(h)
			return err
		},
	}
}

// Retain implements engine.Engine. Times are kept in whole seconds, rounded up.
func (e *Engine) Retain(ctx context.Context, op *engine.Op, r engine.Range, keep time.Duration) error {
	if keep < engine.MinRetention {
		return fmt.Errorf("versions are kept for %v at least, not %v", engine.MinRetention, keep)
	}
	u := &update{
		e: e, fn: func(engine.Tx) error { return nil },
		extra: &retention{
			rng:     engine.Range{Low: slices.Clone(r.Low), High: slices.Clone(r.High)},
			seconds: int64((keep + time.Second - 1) / time.Second),
		},
	}
	if op != nil {
		u.op = *op
	}
	_, err := u.run(ctx)
	return err
}

// Horizon implements engine.Engine.
func (e *Engine) Horizon(ctx context.Context, r engine.Range) (engine.Version, error) {
	if err := e.enter(); err != nil {
		return "", err
	}
	defer e.leave()
	oldest := e.born
	err := e.ask(ctx, e, horizons(func(h horizon) {
		if h.rng.Overlaps(r) {
			oldest = max(oldest, h.version)
		}
	}))
	return encode(oldest), err
}

// Collect implements engine.Engine. It first says, in a short transaction, what
// can no longer be read, and then removes that without holding anybody up.
func (e *Engine) Collect(ctx context.Context) (done engine.Collected, err error) {
	if err := e.enter(); err != nil {
		return done, err
	}
	defer e.leave()
	cuts, restores, err := e.cut(ctx)
	if err != nil {
		return done, err
	}
	oldest := cuts[0].version
	for _, h := range cuts {
		oldest = min(oldest, h.version)
		n, size, err := e.drop(ctx, h, restores)
		done.Versions += n
		done.Bytes += size
		if err != nil {
			return done, err
		}
	}
	if done.Commits, err = e.count(ctx, `with gone as (delete from commits where version < $1 returning 1)
		select count(*), 0 from gone`, oldest); err == nil {
		err = e.forgetRestores(ctx, cuts, restores)
	}
	e.counts.versions.Add(done.Versions)
	e.counts.records.Add(done.Commits)
	return done, err
}

// cut moves the horizons on, and returns them for all of the key space, with the
// restores that there were.
func (e *Engine) cut(ctx context.Context) (cuts []horizon, restores []restore, err error) {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, e.explain(ctx, err)
	}
	defer conn.Release()
	if err := e.ask(ctx, conn, e.opening()...); err != nil {
		return nil, nil, err
	}
	var old []horizon
	var rules []retention
	s, err := e.refresh(ctx, conn, horizons(func(h horizon) { old = append(old, h) }), question{
		sql: `select low, high, seconds from retentions order by version`,
		row: func(rows pgx.Rows) error {
			var r retention
			err := rows.Scan(&r.rng.Low, &r.rng.High, &r.seconds)
			rules = append(rules, r)
			return err
		},
	})
	if err != nil {
		return nil, nil, err
	}
	if cuts, err = e.advance(ctx, conn, old, rules); err != nil {
		return nil, nil, err
	}
	return cuts, s.upTo(s.newest), e.store(ctx, conn, cuts)
}

// advance returns the horizons as they are to be now.
func (e *Engine) advance(ctx context.Context, db server, old []horizon, rules []retention) ([]horizon, error) {
	var ranges []engine.Range
	for _, h := range old {
		ranges = append(ranges, h.rng)
	}
	for _, r := range rules {
		ranges = append(ranges, r.rng)
	}
	var cuts []horizon
	versions := map[int64]uint64{} // by retention
	for _, rng := range pieces(ranges) {
		h := horizon{rng: rng, version: e.born}
		for _, o := range old {
			if o.rng.Overlaps(rng) {
				h.version = o.version
			}
		}
		keep := keepFor(rng, rules)
		if _, asked := versions[keep]; !asked {
			v, err := e.versionBefore(ctx, db, keep)
			if err != nil {
				return nil, err
			}
			versions[keep] = v
		}
		h.version = max(h.version, versions[keep])
		cuts = append(cuts, h)
	}
	return cuts, nil
}

// keepFor is the retention in seconds of a range that no rule divides.
func keepFor(rng engine.Range, rules []retention) int64 {
	for _, r := range slices.Backward(rules) {
		if r.rng.Overlaps(rng) {
			return r.seconds
		}
	}
	return int64(engine.DefaultRetention / time.Second)
}

// pieces divides all keys at the bounds of ranges.
func pieces(ranges []engine.Range) (list []engine.Range) {
	at := [][]byte{{}}
	for _, r := range ranges {
		at = append(at, nonNil(r.Low))
		if r.High != nil {
			at = append(at, r.High)
		}
	}
	slices.SortFunc(at, bytes.Compare)
	at = slices.CompactFunc(at, bytes.Equal)
	for i, low := range at {
		list = append(list, engine.Range{Low: low})
		if i > 0 {
			list[i-1].High = low
		}
	}
	return list
}

// versionBefore is the newest version from so many seconds ago, 0 if there is
// none.
func (e *Engine) versionBefore(ctx context.Context, db server, seconds int64) (v uint64, err error) {
	at := e.now().UnixMicro() - seconds*1e6
	err = e.ask(ctx, db, question{
		sql:  `select version from commits where at <= $1 order by at desc, version desc limit 1`,
		args: []any{at},
		row:  func(rows pgx.Rows) error { return rows.Scan(&v) },
	})
	return v, err
}

// store writes the horizons and commits.
func (e *Engine) store(ctx context.Context, db server, cuts []horizon) error {
	var ranges []engine.Range
	var versions []uint64
	for _, h := range cuts {
		ranges, versions = append(ranges, h.rng), append(versions, h.version)
	}
	low, high := bounds(ranges)
	return e.ask(ctx, db, question{sql: `delete from horizons`}, question{
		sql: `insert into horizons select * from unnest($1::bytea[], $2::bytea[], $3::xid8[])`, args: []any{low, high, versions},
	}, question{sql: `commit`})
}

// collectEvery collects in the background until ctx ends.
func (e *Engine) collectEvery(ctx context.Context, every time.Duration, log func(string, ...any)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := e.Collect(ctx); err != nil && ctx.Err() == nil {
			log("collecting superseded versions: %v", err)
		}
	}
}
