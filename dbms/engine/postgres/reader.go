package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

// reader reads the state at a version. It holds nothing of the server.
type reader struct {
	e        *Engine
	ctx      context.Context
	db       server
	patient  bool // of a View: asks again when a connection is lost
	at       uint64
	restores []restore // up to at
	parts    []part    // made when first needed
}

func (r *reader) Version() engine.Version { return encode(r.at) }

func (r *reader) plan() []part {
	if r.parts == nil {
		r.parts = plan(r.at, r.restores)
	}
	return r.parts
}

func (r *reader) Get(key []byte) (value []byte, found bool, err error) {
	err = r.GetBatch([][]byte{key}, func(_ int, v []byte) error {
		value, found = v, true
		return nil
	})
	return value, found, err
}

// getBatch finds the rows of keys in the spans of a part.
const getBatch = `select k.n, r.value
	from unnest($1::bytea[]) with ordinality as k(key, n)
	cross join lateral (
		select v.value from versions v
		where substring(v.key from 1 for 2000) = substring(k.key from 1 for 2000) and v.key = k.key
			and exists (select from unnest($2::xid8[], $3::xid8[]) as s(after, upto) where v.xid > s.after and v.xid <= s.upto)
		order by v.xid desc limit 1) r
	where r.value is not null`

// getBatchPlain is getBatch where no restore hides anything.
const getBatchPlain = `select k.n, r.value
	from unnest($1::bytea[]) with ordinality as k(key, n)
	cross join lateral (
		select v.value from versions v
		where substring(v.key from 1 for 2000) = substring(k.key from 1 for 2000) and v.key = k.key and v.xid <= $2
		order by v.xid desc limit 1) r
	where r.value is not null`

// GetBatch implements engine.Reader: one round trip, with a statement for each
// part that has keys.
func (r *reader) GetBatch(keys [][]byte, each func(i int, value []byte) error) error {
	if len(keys) == 0 {
		return nil
	}
	values := make([][]byte, len(keys)) // nil: not there
	questions := r.batches(keys, values)
	if err := r.read(keyRanges(keys), questions...); err != nil {
		return err
	}
	r.e.counts.read.Add(int64(len(keys)))
	for i, v := range values {
		if v == nil {
			continue
		}
		if err := each(i, v); err != nil {
			return err
		}
	}
	return nil
}

func keyRanges(keys [][]byte) []engine.Range {
	ranges := make([]engine.Range, len(keys))
	for i, k := range keys {
		ranges[i] = engine.KeyRange(k)
	}
	return ranges
}

// batches are the statements that fill in values.
func (r *reader) batches(keys, values [][]byte) (questions []question) {
	parts := r.plan()
	places := make(map[int][]int) // of keys, by part
	for i, k := range keys {
		p := partOf(parts, k)
		places[p] = append(places[p], i)
	}
	for p, where := range places {
		some := make([][]byte, len(where))
		for i, n := range where {
			some[i] = keys[n]
		}
		q := question{sql: getBatchPlain, args: []any{some, r.at}}
		if list := parts[p].spans; len(list) > 1 || list[0] != (span{to: r.at}) {
			after, to := columns(list)
			q = question{sql: getBatch, args: []any{some, after, to}}
		}
		q.row = func(rows pgx.Rows) error {
			var n int
			var value []byte
			if err := rows.Scan(&n, &value); err != nil {
				return err
			}
			values[where[n-1]] = value
			return nil
		}
		questions = append(questions, q)
	}
	return questions
}

// read asks questions about ranges, and then whether the answers count: a
// collection may have removed rows of them.
func (r *reader) read(ranges []engine.Range, questions ...question) error {
	old := false
	check := horizons(func(h horizon) { old = old || h.version > r.at && h.overlaps(ranges) })
	if err := r.ask(append(questions, check)...); err != nil {
		return err
	}
	if old {
		return engine.ErrTooOld
	}
	return nil
}

// ask is Engine.ask. What was read at a version can be read again: the answer is
// the same, by whichever connection.
func (r *reader) ask(questions ...question) error {
	if !r.patient {
		return r.e.ask(r.ctx, r.db, questions...)
	}
	return again(r.ctx, func() error {
		for _, q := range questions {
			if q.begin != nil {
				q.begin()
			}
		}
		return r.e.ask(r.ctx, r.db, questions...)
	})
}

// again does what may be done more than once, until no connection is lost under
// it, or it has been tried often enough.
func again(ctx context.Context, do func() error) error {
	err := do()
	for n := 0; n < attempts-1 && errors.Is(err, errLost) && ctx.Err() == nil; n++ {
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause << n):
		}
		err = do()
	}
	return err
}

func (r *reader) At(v engine.Version) (engine.Reader, error) {
	return r.past(v)
}

func (r *reader) past(v engine.Version) (*reader, error) {
	n, err := r.e.decode(v, r.at)
	if err != nil {
		return nil, err
	}
	s := state{restores: r.restores}
	return &reader{e: r.e, ctx: r.ctx, db: r.db, patient: r.patient, at: n, restores: s.upTo(n)}, nil
}
