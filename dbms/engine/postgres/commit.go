package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

// commitStatement does all of a commit, or nothing if the operation was done
// before or something that was read has changed. It runs under the commit lock.
//
//	$1 channel to notify    $2 version that was read
//	$3 $4 ranges that were read; $5 true: nothing at all may have changed
//	$6 $7 keys and values   $8 $9 $10 restores   $11 $12 $13 retention
//	$14.. provenance
const commitStatement = `with
	done as (select version from commits where op = $15),
	stale as (select 1 where
		exists (select from versions v, unnest($3::bytea[], $4::bytea[]) as r(low, high)
			where v.xid > $2 and v.key >= r.low and (r.high is null or v.key < r.high))
		or exists (select from restores s, unnest($3::bytea[], $4::bytea[]) as r(low, high)
			where s.version > $2 and OVERLAP)
		or exists (select from horizons s, unnest($3::bytea[], $4::bytea[]) as r(low, high)
			where s.version > $2 and OVERLAP)
		or exists (select from horizons s, unnest($8::bytea[], $9::bytea[], $10::xid8[]) as r(low, high, target)
			where s.version > r.target and r.target::text <> '0' and OVERLAP)
		or $5::bool and NEWEST > $2),
	go as (select 1 where not exists (select from done) and not exists (select from stale)),
	NEXT,
	made as (insert into commits
		select n, SEEN, greatest($14::int8, coalesce((select at from commits order by version desc limit 1), 0)),
			$15::bytea, $16::bytea, $17::bytea, $18::bytea, $19::bytea, $20::bool, $21::int8, $22::int8, $23::bytea[]
		from next returning version),
	written as (insert into versions select w.key, n, w.value from next, unnest($6::bytea[], $7::bytea[]) as w(key, value)),
	restored as (insert into restores select n, r.low, r.high, r.target
		from next, unnest($8::bytea[], $9::bytea[], $10::xid8[]) as r(low, high, target)),
	retained as (insert into retentions select n, r.low, r.high, r.seconds
		from next, unnest($11::bytea[], $12::bytea[], $13::int8[]) as r(low, high, seconds))
	select (select version from done), (select version from made), NEWEST, (NOTIFY)`

// The overlap of r and s.
const overlap = `(r.high is null or s.low < r.high) and (s.high is null or r.low < s.high)
	and (s.high is null or s.low < s.high)`

func (d *dialect) commit() string {
	seen, notify := d.seen, d.notify
	if seen == "" {
		seen = `''`
	}
	if notify == "" {
		notify = `select 0 where $1::text is null`
	}
	return strings.NewReplacer("OVERLAP", overlap, "NEWEST", newestVersion, "NEXT", d.next, "SEEN", seen, "NOTIFY", notify).
		Replace(commitStatement)
}

// answer is what the commit statement says: one of the first two, or neither if
// the transaction must be run again.
type answer struct {
	done, made *uint64
	previous   uint64 // the newest version before it
}

// commit sends the writes of t. With locked, the connection db holds the commit
// lock and is in the transaction that ends here.
func (e *Engine) commit(ctx context.Context, db server, op *engine.Op, t *tx, locked bool) (a answer, err error) {
	var questions []question
	if !locked {
		questions = e.opening()
	}
	questions = append(questions, question{
		sql: e.dialect.commit(), args: e.commitArgs(op, t),
		row: func(rows pgx.Rows) error {
			var notified *int64
			return rows.Scan(&a.done, &a.made, &a.previous, &notified)
		},
	}, question{sql: `commit`})
	return a, e.ask(ctx, db, questions...)
}

// opening are the statements that take the commit lock.
func (e *Engine) opening() (questions []question) {
	for _, s := range e.dialect.begin {
		questions = append(questions, question{sql: s})
	}
	return questions
}

func (e *Engine) commitArgs(op *engine.Op, t *tx) []any {
	low, high := bounds(t.read.all())
	var restored []engine.Range
	targets := []uint64{}
	for _, s := range t.restores {
		if !s.rng.Empty() {
			restored, targets = append(restored, s.rng), append(targets, s.target)
		}
	}
	restoreLow, restoreHigh := bounds(restored)
	retainLow, retainHigh, seconds := [][]byte{}, [][]byte{}, []int64{}
	if t.retain != nil {
		retainLow, retainHigh = bounds([]engine.Range{t.retain.rng})
		seconds = append(seconds, t.retain.seconds)[:len(retainLow)]
	}
	return []any{
		e.schema, t.reader.at, low, high, t.read.everything,
		emptyIfNil(t.keys), emptyIfNil(t.values), restoreLow, restoreHigh, targets, retainLow, retainHigh, seconds,
		e.now().UnixMicro(), []byte(op.ID), []byte(op.User), []byte(op.Program), []byte(op.Task), []byte(op.Name),
		op.Trace, t.rowsRead, t.rowsWritten, t.traced,
	}
}

func emptyIfNil(list [][]byte) [][]byte {
	if list == nil {
		return [][]byte{}
	}
	return list
}
