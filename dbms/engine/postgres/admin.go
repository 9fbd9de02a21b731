package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

// flush makes all that was committed so far durable.
func (e *Engine) flush(ctx context.Context) error {
	if e.dialect.flush == "" {
		return nil
	}
	start := time.Now()
	shown := e.shown.Load()
	err := e.ask(ctx, e, question{sql: e.dialect.flush})
	if err == nil {
		raise(&e.flushed, shown)
	}
	e.counts.syncs.Add(1)
	e.counts.syncTime.Add(int64(time.Since(start)))
	return err
}

// Sync implements engine.Engine. It makes all durable, whatever v is.
func (e *Engine) Sync(ctx context.Context, v engine.Version) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	if v != "" {
		if _, err := e.reader(ctx, v); err != nil {
			return err
		}
	}
	return e.flush(ctx)
}

// MaxValue implements engine.Engine.
func (e *Engine) MaxValue() int { return e.maxValue }

// Owed implements engine.Engine. Others commit without this process, so that whatever
// it has shown is owed until it has seen to a flush itself. What is Untold is, too, once
// it is shown with the rest.
func (e *Engine) Owed() engine.Version {
	if v := e.shown.Load(); e.dialect.flush != "" && v > e.flushed.Load() {
		return encode(v)
	}
	return ""
}

// Resolve implements engine.Engine.
func (e *Engine) Resolve(ctx context.Context, id string) (v engine.Version, done bool, err error) {
	if err := e.enter(); err != nil {
		return "", false, err
	}
	defer e.leave()
	err = e.ask(ctx, e, question{
		sql: `select version from commits where op = $1`, args: []any{[]byte(id)},
		row: func(rows pgx.Rows) error {
			var n uint64
			err := rows.Scan(&n)
			raise(&e.shown, n)
			v, done = encode(n), true
			return err
		},
	})
	return v, done, err
}

// At implements engine.Engine.
func (e *Engine) At(ctx context.Context, t time.Time) (engine.Version, error) {
	if err := e.enter(); err != nil {
		return "", err
	}
	defer e.leave()
	var n *uint64
	err := e.ask(ctx, e, question{
		sql: `select coalesce(
			(select version from commits where at <= $1 order by at desc, version desc limit 1),
			(select born from store where born_at <= $1 and not exists (select from horizons where version > born)))`,
		args: []any{t.UnixMicro()},
		row:  func(rows pgx.Rows) error { return rows.Scan(&n) },
	})
	switch {
	case err != nil:
		return "", err
	case n == nil:
		return "", engine.ErrTooOld
	}
	return encode(*n), nil
}

// Metrics implements engine.Engine. They are those of this side: the server has
// its own.
func (e *Engine) Metrics() engine.Metrics {
	c := &e.counts
	return engine.Metrics{
		Commits:     c.commits.Load(),
		Conflicts:   c.conflicts.Load(),
		Replays:     c.replays.Load(),
		Syncs:       c.syncs.Load(),
		SyncTime:    time.Duration(c.syncTime.Load()),
		KeysRead:    c.read.Load(),
		KeysWritten: c.written.Load(),
		Watchers:    e.watch.count(),
		Wakeups:     c.wakeups.Load(),
		Collected:   engine.Collected{Versions: c.versions.Load(), Commits: c.records.Load()},
	}
}

// checks find violations. Each statement returns a place and what is wrong there.
var checks = []string{
	`select 'version ' || xid::text, 'a key is there twice' from versions group by key, xid having count(*) > 1`,
	`select 'version ' || xid::text, 'a key or value is too large, or empty' from versions
		where length(key) not between 1 and $1 or length(value) > $2`,
	`select 'version ' || v.xid::text, 'rows without their transaction' from versions v
		where v.xid >= (select version from commits order by version limit 1)
			and not exists (select from commits c where c.version = v.xid) group by v.xid`,
	`select 'restore ' || version::text, 'to its future' from restores where target >= version`,
	`select 'restore ' || version::text, 'of no range' from restores where high <= low`,
	`select 'commit ' || version::text, 'dated before the one before' from (
		select version, at, lag(at) over (order by version) as previous from commits) c where at < previous`,
	`select 'horizon', 'later than everything' from horizons where version > coalesce(
		(select version from commits order by version desc limit 1), (select born from store))`,
}

// Check implements engine.Engine. It checks what this package relies on; the
// server's own checks (pg_amcheck) are for the files below.
func (e *Engine) Check(ctx context.Context, report func(engine.Problem)) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	for _, sql := range checks {
		q := question{sql: sql, row: func(rows pgx.Rows) error {
			var p engine.Problem
			err := rows.Scan(&p.Where, &p.What)
			report(p)
			return err
		}}
		if sql == checks[1] {
			q.args = []any{engine.MaxKey, engine.MaxValue}
		}
		if err := e.ask(ctx, e, q); err != nil {
			return err
		}
	}
	if e.dialect.unseen == "" {
		return nil
	}
	return e.ask(ctx, e, question{sql: e.dialect.unseen, row: func(rows pgx.Rows) error {
		var version string
		err := rows.Scan(&version)
		report(engine.Problem{Where: "commit " + version, What: "it did not see the one before"})
		return err
	}})
}
