package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A row of a version up to the horizon stays if somebody can still see it: at
// the horizon itself, or at the target of a restore that came later than the
// horizon (restore.go of the seam: what they show stays readable). These moments
// are called views here. Whoever sees a row at any other version sees it at one
// of them, too.

// dropStatement removes rows: $1 low, $2 horizon, $3 $4 $5 the spans of views,
// each with the number of its view, $6 high.
const dropStatement = `with gone as (
	delete from versions v where RANGE and v.xid <= $2 and not exists (
		select from unnest($3::int[], $4::xid8[], $5::xid8[]) as s(view, after, upto)
		where v.xid > s.after and v.xid <= s.upto and not exists (
			select from versions n, unnest($3::int[], $4::xid8[], $5::xid8[]) as t(view, after, upto)
			where t.view = s.view and substring(n.key from 1 for 2000) = substring(v.key from 1 for 2000) and n.key = v.key
				and n.xid > v.xid and n.xid > t.after and n.xid <= t.upto))
	returning length(v.key) + coalesce(length(v.value), 0) as size)
	select count(*), coalesce(sum(size), 0)::int8 from gone`

// dropDeletions removes deletions before which there is nothing left.
const dropDeletions = `with gone as (
	delete from versions v where RANGE and v.xid <= $2 and v.value is null and not exists (
		select from versions n
		where substring(n.key from 1 for 2000) = substring(v.key from 1 for 2000) and n.key = v.key and n.xid < v.xid)
	returning length(v.key) as size)
	select count(*), coalesce(sum(size), 0)::int8 from gone`

// drop removes what cannot be seen any more of a range with one horizon.
func (e *Engine) drop(ctx context.Context, h horizon, restores []restore) (n, size int64, err error) {
	for _, p := range within(plan(h.version, restores), h.rng) {
		views, after, to := viewSpans(p.Low, h.version, restores)
		for _, sql := range []string{dropStatement, dropDeletions} {
			args, high := []any{nonNil(p.Low), h.version}, "$3"
			if sql == dropStatement {
				args, high = append(args, views, after, to), "$6"
			}
			if p.High == nil {
				high = ""
			} else {
				args = append(args, p.High)
			}
			count, bytes, err := e.countAndSum(ctx, strings.ReplaceAll(sql, "RANGE", inRange("v.key", "$1", high)), args...)
			n, size = n+count, size+bytes
			if err != nil {
				return n, size, err
			}
		}
	}
	return n, size, nil
}

// viewSpans are the spans of all views of a key, in three columns.
func viewSpans(key []byte, horizon uint64, restores []restore) (views []int32, after, to []uint64) {
	moments := []uint64{horizon}
	for _, r := range restores {
		if r.version > horizon && r.target < horizon && r.rng.Contains(key) {
			moments = append(moments, r.target)
		}
	}
	for i, at := range moments {
		for _, s := range spans(key, at, restores) {
			views, after, to = append(views, int32(i)), append(after, s.after), append(to, s.to)
		}
	}
	return views, after, to
}

// forgetRestores removes restores whose hidden versions are all gone: those not
// later than the horizons of their range, if no later restore goes back behind
// the horizons.
func (e *Engine) forgetRestores(ctx context.Context, cuts []horizon, restores []restore) error {
	kept := map[uint64]bool{} // a transaction's restores go together
	for _, r := range restores {
		if !expired(&r, cuts, restores) {
			kept[r.version] = true
		}
	}
	gone := []uint64{}
	for _, r := range restores {
		if !kept[r.version] {
			gone = append(gone, r.version)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return e.ask(ctx, e, question{sql: `delete from restores where version = any($1::xid8[])`, args: []any{gone}})
}

func expired(r *restore, cuts []horizon, restores []restore) bool {
	for _, h := range cuts {
		if !h.rng.Overlaps(r.rng) {
			continue
		}
		if r.version > h.version {
			return false
		}
		for _, later := range restores {
			if later.version > h.version && later.target < h.version && later.rng.Overlaps(r.rng) {
				return false
			}
		}
	}
	return true
}

func (e *Engine) count(ctx context.Context, sql string, args ...any) (int64, error) {
	n, _, err := e.countAndSum(ctx, sql, args...)
	return n, err
}

func (e *Engine) countAndSum(ctx context.Context, sql string, args ...any) (n, sum int64, err error) {
	err = e.ask(ctx, e, question{sql: sql, args: args, row: func(rows pgx.Rows) error { return rows.Scan(&n, &sum) }})
	return n, sum, err
}
