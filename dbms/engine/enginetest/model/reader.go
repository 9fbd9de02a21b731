package model

import (
	"iter"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// reader reads the state at a version.
type reader struct {
	e  *Engine
	at engine.Version
}

func (r *reader) Version() engine.Version { return r.at }

func (r *reader) Get(key []byte) (value []byte, found bool, err error) {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	if err := r.readable(engine.KeyRange(key)); err != nil {
		return nil, false, err
	}
	r.e.metrics.KeysRead++
	text, found := r.e.get(string(key), r.at)
	return []byte(text), found, nil
}

// readable tells whether rng can be read at the reader's version.
func (r *reader) readable(rng engine.Range) error {
	switch {
	case r.e.closed:
		return engine.ErrClosed
	case r.at < r.e.horizon(rng):
		return engine.ErrTooOld
	}
	return nil
}

func (r *reader) GetBatch(keys [][]byte, each func(i int, value []byte) error) error {
	for i, key := range keys {
		value, found, err := r.Get(key)
		if err == nil && found {
			err = each(i, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) Scan(rng engine.Range, o engine.ScanOptions) engine.Cursor {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	c := &cursor{i: -1, err: r.readable(rng)}
	if c.err != nil {
		return c
	}
	for _, key := range r.e.within(rng) {
		if value, found := r.e.get(key, r.at); found {
			c.rows = append(c.rows, [2]string{key, value})
		}
	}
	if o.Reverse {
		slices.Reverse(c.rows)
	}
	return c
}

// cursor walks over rows that were collected beforehand.
type cursor struct {
	rows [][2]string
	i    int
	err  error
}

func (c *cursor) Next() bool {
	c.i++
	return c.i < len(c.rows)
}

func (c *cursor) Key() []byte   { return []byte(c.rows[c.i][0]) }
func (c *cursor) Value() []byte { return []byte(c.rows[c.i][1]) }
func (c *cursor) Err() error    { return c.err }
func (c *cursor) Close() error  { return nil }

func (r *reader) At(v engine.Version) (engine.Reader, error) {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	if err := r.e.checkVersion(v); err != nil {
		return nil, err
	}
	if v > r.at {
		return nil, engine.ErrVersion
	}
	return &reader{e: r.e, at: v}, nil
}

func (r *reader) History(key []byte) iter.Seq2[engine.Row, error] {
	return r.list(func() ([]engine.Row, error) {
		if err := r.readable(engine.KeyRange(key)); err != nil {
			return nil, err
		}
		var rows []engine.Row
		for i, x := range r.e.entries[string(key)] {
			if x.version <= r.at && !x.restored {
				rows = append(rows, r.row(key, i))
			}
		}
		slices.Reverse(rows)
		return rows, nil
	})
}

// row describes an entry of a key, as seen from the reader's version.
func (r *reader) row(key []byte, i int) engine.Row {
	all := r.e.entries[string(key)]
	x := all[i]
	row := engine.Row{Key: slices.Clone(key), Version: x.version, Deleted: x.deleted}
	if !x.deleted {
		row.Value = []byte(x.value)
	}
	if i+1 < len(all) && all[i+1].version <= r.at {
		row.Until = all[i+1].version
	}
	for _, c := range r.e.after(x.version) {
		for _, s := range c.restores {
			if c.Version <= r.at && s.rng.Contains(key) && s.to < x.version {
				row.Hidden = true
			}
		}
	}
	return row
}

func (r *reader) Changes(rng engine.Range, from engine.Version) iter.Seq2[engine.Row, error] {
	return r.list(func() ([]engine.Row, error) {
		if err := r.since(rng, from); err != nil {
			return nil, err
		}
		var rows []engine.Row
		for _, c := range r.e.after(from) {
			if c.Version > r.at {
				break
			}
			rows = append(rows, r.changes(&c, rng)...)
		}
		return rows, nil
	})
}

// changes are those of one transaction: its restores, then its keys.
func (r *reader) changes(c *commit, rng engine.Range) (rows []engine.Row) {
	for _, s := range c.restores {
		if s.rng.Overlaps(rng) {
			whole := clone(s.rng)
			rows = append(rows, engine.Row{Version: c.Version, Restore: &whole, To: s.to})
		}
	}
	for _, key := range c.writes {
		i := r.e.find(key, c.Version)
		if rng.Contains([]byte(key)) && i >= 0 && r.e.entries[key][i].version == c.Version {
			rows = append(rows, r.row([]byte(key), i))
		}
	}
	return rows
}

// since tells whether what came after from is still known.
func (r *reader) since(rng engine.Range, from engine.Version) error {
	if err := r.readable(rng); err != nil || from == "" {
		return err
	}
	if err := r.e.checkVersion(from); err != nil {
		return err
	}
	if from < r.e.horizon(rng) {
		return engine.ErrTooOld
	}
	return nil
}

// list yields rows that are collected under the lock.
func (r *reader) list(collect func() ([]engine.Row, error)) iter.Seq2[engine.Row, error] {
	return func(yield func(engine.Row, error) bool) {
		r.e.mu.Lock()
		rows, err := collect()
		r.e.mu.Unlock()
		if err != nil {
			yield(engine.Row{}, err)
			return
		}
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

func (r *reader) Commits(from engine.Version, reverse bool) iter.Seq2[engine.Commit, error] {
	return func(yield func(engine.Commit, error) bool) {
		r.e.mu.Lock()
		err := r.commitsKept(from)
		var found []engine.Commit
		for _, c := range r.e.after(from) {
			if c.Version <= r.at {
				found = append(found, c.Commit)
			}
		}
		r.e.mu.Unlock()
		if err != nil {
			yield(engine.Commit{}, err)
			return
		}
		if reverse {
			slices.Reverse(found)
		}
		for _, c := range found {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func (r *reader) commitsKept(from engine.Version) error {
	switch {
	case r.e.closed:
		return engine.ErrClosed
	case from == "":
		return nil
	}
	return r.e.checkVersion(from)
}
