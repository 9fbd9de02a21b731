package postgres

import (
	"errors"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

// tx is an Update under way. It notes what it reads, and keeps what it writes
// until the end.
type tx struct {
	reader *reader
	read   readset

	keys, values [][]byte // a nil value deletes
	written      map[string]struct{}
	bytes        int64
	restores     []restore // without versions
	retain       *retention

	trace         bool
	rowsRead      int
	rowsWritten   int
	traced        [][]byte
	tracedInBytes int
}

// readset is what a transaction has read, and so must not have changed since.
type readset struct {
	ranges     []engine.Range
	scans      []scanned
	everything bool
}

// scanned is a range that was read up to where its cursor is.
type scanned struct {
	rng engine.Range
	c   *cursor
}

func (s *readset) keys(keys ...[]byte) {
	for _, k := range keys {
		s.ranges = append(s.ranges, engine.KeyRange(k))
	}
}

func (s *readset) add(ranges ...engine.Range) {
	for _, r := range ranges {
		s.ranges = append(s.ranges, engine.Range{Low: slices.Clone(r.Low), High: slices.Clone(r.High)})
	}
}

// all returns the ranges that were read.
func (s *readset) all() []engine.Range {
	ranges := s.ranges
	for _, x := range s.scans {
		switch r := x.rng; {
		case x.c.last == nil && !x.c.ended:
			continue
		case x.c.ended:
			ranges = append(ranges, r)
		case x.c.reverse:
			ranges = append(ranges, engine.Range{Low: x.c.last, High: r.High})
		default:
			ranges = append(ranges, engine.Range{Low: r.Low, High: engine.KeyRange(x.c.last).High})
		}
	}
	return ranges
}

func (t *tx) Version() engine.Version { return t.reader.Version() }

func (t *tx) Get(key []byte) (value []byte, found bool, err error) {
	t.read.keys(key)
	return t.reader.Get(key)
}

func (t *tx) GetBatch(keys [][]byte, each func(i int, value []byte) error) error {
	t.read.keys(keys...)
	return t.reader.GetBatch(keys, each)
}

func (t *tx) Scan(r engine.Range, o engine.ScanOptions) engine.Cursor {
	r = engine.Range{Low: slices.Clone(r.Low), High: slices.Clone(r.High)}
	c := t.reader.scan(r, o)
	t.read.scans = append(t.read.scans, scanned{rng: r, c: c})
	return c
}

// At reads the past, which does not change.
func (t *tx) At(v engine.Version) (engine.Reader, error) {
	if v == t.Version() {
		return t, nil
	}
	return t.reader.At(v)
}

func (t *tx) History(key []byte) iter.Seq2[engine.Row, error] {
	t.read.keys(key)
	return t.reader.History(key)
}

func (t *tx) Changes(r engine.Range, from engine.Version) iter.Seq2[engine.Row, error] {
	t.read.add(r)
	return t.reader.Changes(r, from)
}

func (t *tx) Commits(from engine.Version, reverse bool) iter.Seq2[engine.Commit, error] {
	t.read.everything = true
	return t.reader.Commits(from, reverse)
}

func (t *tx) Put(key, value []byte) error {
	return t.write(key, append([]byte{}, value...))
}

func (t *tx) Delete(key []byte) error { return t.write(key, nil) }

func (t *tx) write(key, value []byte) error {
	if err := engine.CheckSize(key, value, t.reader.e.maxValue); err != nil {
		return err
	}
	t.bytes += int64(len(key) + len(value))
	if err := engine.CheckWrites(len(t.keys)+1, t.bytes); err != nil {
		return err
	}
	if t.written == nil {
		t.written = make(map[string]struct{})
	}
	if _, twice := t.written[string(key)]; twice {
		return errors.New("a key is written twice in one transaction")
	}
	t.written[string(key)] = struct{}{}
	t.keys = append(t.keys, slices.Clone(key))
	t.values = append(t.values, value)
	return nil
}

func (t *tx) Restore(r engine.Range, to engine.Version) error {
	s := restore{rng: engine.Range{Low: slices.Clone(r.Low), High: slices.Clone(r.High)}}
	if to != "" {
		past, err := t.reader.past(to)
		if err != nil {
			return err
		}
		if err := past.read([]engine.Range{r}); err != nil {
			return err
		}
		s.target = past.at
	}
	t.restores = append(t.restores, s)
	return nil
}

// changed asks whether a version of a range is later than $1, but not than $2.
const changed = `select exists (select from versions v, unnest($3::bytea[], $4::bytea[]) as r(low, high)
	where v.xid > $1 and v.xid <= $2 and v.key >= r.low and (r.high is null or v.key < r.high))`

func (t *tx) Changed(since engine.Version, ranges []engine.Range) (bool, error) {
	t.read.add(ranges...)
	return t.reader.changedSince(since, ranges)
}

func (r *reader) changedSince(since engine.Version, ranges []engine.Range) (found bool, err error) {
	n, err := r.e.decode(since, r.at)
	if err != nil {
		return false, err
	}
	for _, rng := range ranges {
		if len(r.restoresOf(rng, n)) > 0 {
			return true, nil
		}
	}
	low, high := bounds(ranges)
	collected := false // what changed since may be gone
	err = r.e.ask(r.ctx, r.db, question{
		sql: changed, args: []any{n, r.at, low, high},
		row: func(rows pgx.Rows) error { return rows.Scan(&found) },
	}, horizons(func(h horizon) { collected = collected || h.version > n && h.overlaps(ranges) }))
	return found || collected, err
}

// bounds are ranges as two arrays; what is empty is left out.
func bounds(ranges []engine.Range) (low, high [][]byte) {
	low, high = [][]byte{}, [][]byte{}
	for _, r := range ranges {
		if !r.Empty() {
			low, high = append(low, nonNil(r.Low)), append(high, r.High)
		}
	}
	return low, high
}

func (t *tx) Count(read, written int, keys ...[]byte) {
	t.rowsRead += read
	t.rowsWritten += written
	if !t.trace {
		return
	}
	for _, k := range keys {
		if t.tracedInBytes += len(k); t.tracedInBytes > engine.MaxTracedKB<<10 {
			return
		}
		t.traced = append(t.traced, slices.Clone(k))
	}
}

// dropAbsent leaves out the deletions of keys that are not there.
func (t *tx) dropAbsent() error {
	var doomed [][]byte
	for i, v := range t.values {
		if v == nil {
			doomed = append(doomed, t.keys[i])
		}
	}
	if len(doomed) == 0 {
		return nil
	}
	there := make(map[string]bool, len(doomed))
	err := t.GetBatch(doomed, func(i int, _ []byte) error {
		there[string(doomed[i])] = true
		return nil
	})
	if err != nil || len(there) == len(doomed) {
		return err
	}
	n := 0
	for i, v := range t.values {
		if v != nil || there[string(t.keys[i])] {
			t.keys[n], t.values[n] = t.keys[i], v
			n++
		}
	}
	t.keys, t.values = t.keys[:n], t.values[:n]
	return nil
}
