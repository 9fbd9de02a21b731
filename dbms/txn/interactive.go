package txn

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// interactive is what a transaction needs that outlives a function call.
type interactive struct {
	engine  engine.Engine
	op      *engine.Op
	read    int // rows, for the provenance
	written int
	keys    [][]byte
}

// Count implements counter: the numbers wait for the commit.
func (i *interactive) Count(read, written int, keys ...[]byte) {
	i.read += read
	i.written += written
	if i.op.Trace {
		for _, k := range keys {
			i.keys = append(i.keys, slices.Clone(k))
		}
	}
}

// Begin starts an interactive transaction on the newest state. It must end by
// Commit or Rollback; until then it holds memory, but no lock and nothing of
// the engine. ctx covers its reads. A transaction that stays open longer than
// superseded versions are kept fails with engine.ErrTooOld.
func (db *DB) Begin(ctx context.Context, op *engine.Op) (*Tx, error) {
	own := *op
	t := &Tx{open: &interactive{engine: db.engine, op: &own}, reads: new(readset), maxValue: db.maxValue}
	t.sink = t.open
	err := db.engine.View(ctx, "", func(r engine.Reader) error {
		t.reader = &detached{engine: db.engine, ctx: ctx, at: r.Version()}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Commit makes the writes of an interactive transaction happen, if nothing that
// it has read has been changed since; otherwise it returns engine.ErrConflict
// and nothing happens. Either way the transaction has ended. Other errors are
// those of engine.Engine.Update. Without writes it succeeds and returns the
// version that was read, of which the transaction is a part.
func (t *Tx) Commit(ctx context.Context) (engine.Version, error) {
	switch {
	case t.open == nil:
		return "", errors.New("only a transaction that was begun is committed; a procedure commits by returning")
	case t.reader == nil:
		return "", ErrDone
	}
	since, open := t.Version(), t.open
	reads := t.reads.all()
	t.end()
	if t.writes.empty() && len(t.restores) == 0 {
		if open.op.NoWait {
			return since, nil
		}
		return since, open.engine.Sync(ctx, since) // of what it has read
	}
	return open.engine.Update(ctx, open.op, func(e engine.Tx) error {
		changed, err := e.Changed(since, reads)
		if err != nil {
			return err
		}
		if changed {
			return engine.ErrConflict
		}
		e.Count(open.read, open.written, open.keys...)
		return t.apply(e)
	})
}

// Rollback ends an interactive transaction without effect. After the end it
// does nothing, so that it can be deferred.
func (t *Tx) Rollback() {
	if t.open != nil {
		t.end()
	}
}

// detached reads one version by a View for each call, and so holds nothing of
// the engine between calls.
type detached struct {
	engine engine.Engine
	ctx    context.Context
	at     engine.Version
	value  []byte
}

func (d *detached) view(fn func(engine.Reader) error) error {
	return d.engine.View(d.ctx, d.at, fn)
}

func (d *detached) Version() engine.Version { return d.at }

func (d *detached) Get(key []byte) (value []byte, found bool, err error) {
	err = d.view(func(r engine.Reader) error {
		value, found, err = r.Get(key)
		d.value = append(d.value[:0], value...)
		return err
	})
	return d.value, found, err
}

func (d *detached) GetBatch(keys [][]byte, each func(i int, value []byte) error) error {
	return d.view(func(r engine.Reader) error { return r.GetBatch(keys, each) })
}

func (d *detached) At(v engine.Version) (engine.Reader, error) {
	err := d.view(func(r engine.Reader) error {
		_, err := r.At(v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &detached{engine: d.engine, ctx: d.ctx, at: v}, nil
}

func (d *detached) Scan(r engine.Range, o engine.ScanOptions) engine.Cursor {
	return &pages{from: d, rest: clone(r), options: o}
}

func (d *detached) History(key []byte) iter.Seq2[engine.Row, error] {
	return within(d, func(r engine.Reader) iter.Seq2[engine.Row, error] { return r.History(key) })
}

func (d *detached) Changes(rng engine.Range, from engine.Version) iter.Seq2[engine.Row, error] {
	return within(d, func(r engine.Reader) iter.Seq2[engine.Row, error] { return r.Changes(rng, from) })
}

func (d *detached) Commits(from engine.Version, reverse bool) iter.Seq2[engine.Commit, error] {
	return within(d, func(r engine.Reader) iter.Seq2[engine.Commit, error] { return r.Commits(from, reverse) })
}

// within walks over a sequence inside one View.
func within[T any](d *detached, open func(engine.Reader) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		stopped := false
		err := d.view(func(r engine.Reader) error {
			for x, err := range open(r) {
				if !yield(x, err) {
					stopped = true
					break
				}
			}
			return nil
		})
		if err != nil && !stopped {
			var zero T
			yield(zero, err)
		}
	}
}

// The first page is small, for those who look at the first key only; each is
// twice as large as the one before, up to the largest.
const (
	firstPage   = 16   // keys
	largestPage = 1024 // keys
	pageBytes   = 1 << 20
)

// pages is a cursor that copies a page of keys at a time.
type pages struct {
	from    *detached
	rest    engine.Range // not yet read
	options engine.ScanOptions
	size    int
	page    []write
	i       int // the present key is page[i-1]
	ended   bool
	err     error
}

func (c *pages) Next() bool {
	if c.i == len(c.page) && !c.ended && c.err == nil {
		c.fetch()
	}
	if c.i == len(c.page) {
		return false
	}
	c.i++
	return true
}

// fetch reads the next page.
func (c *pages) fetch() {
	c.size = min(max(firstPage, 2*c.size), largestPage)
	c.page, c.i = c.page[:0], 0
	var set writeset // for its arena
	c.err = c.from.view(func(r engine.Reader) error {
		in := r.Scan(c.rest, engine.ScanOptions{Reverse: c.options.Reverse, Limit: c.size})
		for len(c.page) < c.size && len(set.arena) < pageBytes {
			if !in.Next() {
				c.ended = true
				break
			}
			c.page = append(c.page, write{key: set.keep(in.Key()), value: set.keep(in.Value())})
		}
		return errors.Join(in.Err(), in.Close())
	})
	if len(c.page) == 0 {
		return
	}
	last := c.page[len(c.page)-1].key
	if c.options.Reverse {
		c.rest.High = last
	} else {
		c.rest.Low = append(slices.Clone(last), 0)
	}
}

func (c *pages) Key() []byte   { return c.page[c.i-1].key }
func (c *pages) Value() []byte { return c.page[c.i-1].value }
func (c *pages) Err() error    { return c.err }
func (c *pages) Close() error  { c.ended, c.i = true, len(c.page); return nil }
