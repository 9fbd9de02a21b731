package postgres

import (
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

// rowPage is how many rows of the past, or commits, are read at a time.
const rowPage = 256

// historyPage reads versions of a key, newest first: $1 key, $2 at most, $3 limit.
const historyPage = `select xid, value from versions
	where ` + head + ` = substring($1::bytea from 1 for 2000) and key = $1 and xid <= $2
	order by xid desc limit $3`

func (r *reader) History(key []byte) iter.Seq2[engine.Row, error] {
	key = slices.Clone(key)
	return func(yield func(engine.Row, error) bool) {
		next, upTo := uint64(0), r.at // the version of the row after this one
		for full := true; full; {
			var page []version
			err := r.read(keyRanges([][]byte{key}), question{
				sql: historyPage, args: []any{key, upTo, rowPage},
				begin: func() { page = page[:0] },
				row: func(rows pgx.Rows) error {
					v := version{key: key}
					err := rows.Scan(&v.xid, &v.value)
					page = append(page, v)
					return err
				},
			})
			if err != nil {
				yield(engine.Row{}, err)
				return
			}
			for _, v := range page {
				v.next = next
				if !yield(r.row(v), nil) {
					return
				}
				next, upTo = v.xid, v.xid-1
			}
			full = len(page) == rowPage
		}
	}
}

// version is a row of the table of that name.
type version struct {
	key   []byte
	xid   uint64
	value []byte
	next  uint64 // the key's next version; 0: there is none yet
}

// row is what a version is to the reader.
func (r *reader) row(v version) engine.Row {
	row := engine.Row{Key: v.key, Version: encode(v.xid), Value: v.value, Deleted: v.value == nil}
	until := v.next
	for _, s := range r.restores {
		if s.version > v.xid && s.target < v.xid && s.rng.Contains(v.key) {
			row.Hidden = true
			if until == 0 || s.version < until {
				until = s.version
			}
			break
		}
	}
	if until != 0 {
		row.Until = encode(until)
	}
	return row
}

// changesPage reads versions of a range in their order: after version $1 and
// key $2, at most version $3; $4 limit, $5 low, $6 high.
func changesPage(bounded bool) string {
	high := ""
	if bounded {
		high = "$6"
	}
	return `select v.key, v.xid, v.value, (
			select n.xid from versions n
			where substring(n.key from 1 for 2000) = substring(v.key from 1 for 2000) and n.key = v.key and n.xid > v.xid and n.xid <= $3
			order by n.xid limit 1)
		from versions v
		where v.xid >= $1 and (v.xid > $1 or v.key > $2) and v.xid <= $3 and ` + inRange("v.key", "$5", high) + `
		order by v.xid, v.key limit $4`
}

func (r *reader) Changes(rng engine.Range, from engine.Version) iter.Seq2[engine.Row, error] {
	rng = engine.Range{Low: slices.Clone(rng.Low), High: slices.Clone(rng.High)}
	return func(yield func(engine.Row, error) bool) {
		after, err := r.since(rng, from)
		if err != nil {
			yield(engine.Row{}, err)
			return
		}
		pending := r.restoresOf(rng, after)
		key, after := []byte{}, after+1
		for full := true; full; {
			page, err := r.changes(rng, after, key)
			if err != nil {
				yield(engine.Row{}, err)
				return
			}
			for _, v := range page {
				for len(pending) > 0 && pending[0].version <= v.xid {
					if !yield(pending[0].row(), nil) {
						return
					}
					pending = pending[1:]
				}
				if !yield(r.row(v), nil) {
					return
				}
				after, key = v.xid, v.key
			}
			full = len(page) == rowPage
		}
		for _, s := range pending {
			if !yield(s.row(), nil) {
				return
			}
		}
	}
}

// since checks that what came after from is still known.
func (r *reader) since(rng engine.Range, from engine.Version) (uint64, error) {
	if from == "" {
		return 0, r.read([]engine.Range{rng})
	}
	past, err := r.past(from)
	if err != nil {
		return 0, err
	}
	return past.at, past.read([]engine.Range{rng})
}

func (r *reader) changes(rng engine.Range, after uint64, key []byte) (page []version, err error) {
	args := []any{after, key, r.at, rowPage, nonNil(rng.Low)}
	if rng.High != nil {
		args = append(args, rng.High)
	}
	err = r.read([]engine.Range{rng}, question{
		sql: changesPage(rng.High != nil), args: args,
		begin: func() { page = page[:0] },
		row: func(rows pgx.Rows) error {
			var v version
			var next *uint64
			err := rows.Scan(&v.key, &v.xid, &v.value, &next)
			if next != nil {
				v.next = *next
			}
			page = append(page, v)
			return err
		},
	})
	return page, err
}

// restoresOf are those later than a version that overlap a range.
func (r *reader) restoresOf(rng engine.Range, after uint64) (some []restore) {
	for _, s := range r.restores {
		if s.version > after && s.rng.Overlaps(rng) {
			some = append(some, s)
		}
	}
	return some
}

func (s *restore) row() engine.Row {
	whole := engine.Range{Low: slices.Clone(s.rng.Low), High: slices.Clone(s.rng.High)}
	row := engine.Row{Version: encode(s.version), Restore: &whole}
	if s.target != 0 {
		row.To = encode(s.target)
	}
	return row
}

// commitsPage reads provenance: from version $1 to $2, $3 limit.
func commitsPage(reverse bool) string {
	direction := "asc"
	if reverse {
		direction = "desc"
	}
	return `select version, at, op, person, program, task, name, traced, read, written, keys from commits
		where version >= $1 and version <= $2 order by version ` + direction + ` limit $3`
}

func (r *reader) Commits(from engine.Version, reverse bool) iter.Seq2[engine.Commit, error] {
	return func(yield func(engine.Commit, error) bool) {
		low, high := uint64(1), r.at
		if from != "" {
			n, err := r.e.decode(from, r.e.known.state().newest)
			if err != nil {
				yield(engine.Commit{}, err)
				return
			}
			low = n + 1
		}
		for full := true; full; {
			page, err := r.commits(low, high, reverse)
			if err != nil {
				yield(engine.Commit{}, err)
				return
			}
			for _, c := range page {
				if !yield(c.Commit, nil) {
					return
				}
				if reverse {
					high = c.number - 1
				} else {
					low = c.number + 1
				}
			}
			full = len(page) == rowPage
		}
	}
}

type numbered struct {
	engine.Commit
	number uint64
}

func (r *reader) commits(low, high uint64, reverse bool) (page []numbered, err error) {
	err = r.ask(question{
		sql: commitsPage(reverse), args: []any{low, high, rowPage},
		begin: func() { page = page[:0] },
		row: func(rows pgx.Rows) error {
			var c numbered
			var at int64
			var texts [5][]byte
			err := rows.Scan(&c.number, &at, &texts[0], &texts[1], &texts[2], &texts[3], &texts[4],
				&c.Op.Trace, &c.RowsRead, &c.RowsWritten, &c.Keys)
			c.Version, c.Time = encode(c.number), time.UnixMicro(at)
			c.Op.ID, c.Op.User, c.Op.Program = string(texts[0]), string(texts[1]), string(texts[2])
			c.Op.Task, c.Op.Name = string(texts[3]), string(texts[4])
			page = append(page, c)
			return err
		},
	})
	return page, err
}
