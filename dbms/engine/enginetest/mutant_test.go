package enginetest

import (
	"context"
	"iter"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
)

// mutant is the model with a fault: one of its methods, or of its readers and
// transactions, does something else.
type mutant struct {
	engine.Engine
	reader func(engine.Reader) engine.Reader
	tx     func(engine.Tx) engine.Tx

	update  func(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error)
	at      func(engine.Version) engine.Version // of a View
	watch   func(ctx context.Context, since engine.Version, ranges []engine.Range) (engine.Version, error)
	resolve func() (engine.Version, bool, error)
	time    func(time.Time) time.Time
	horizon func() (engine.Version, error)
	collect func() (engine.Collected, error)
	retain  func(engine.Range) engine.Range
}

func (m *mutant) Update(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
	inner := fn
	if m.tx != nil {
		inner = func(tx engine.Tx) error { return fn(m.tx(tx)) }
	}
	if m.update != nil {
		return m.update(ctx, op, inner)
	}
	return m.Engine.Update(ctx, op, inner)
}

func (m *mutant) View(ctx context.Context, at engine.Version, fn func(engine.Reader) error) error {
	if m.at != nil {
		at = m.at(at)
	}
	return m.Engine.View(ctx, at, func(r engine.Reader) error {
		if m.reader != nil {
			r = m.reader(r)
		}
		return fn(r)
	})
}

func (m *mutant) Watch(ctx context.Context, since engine.Version, ranges ...engine.Range) (engine.Version, error) {
	if m.watch != nil {
		return m.watch(ctx, since, ranges)
	}
	return m.Engine.Watch(ctx, since, ranges...)
}

func (m *mutant) Resolve(ctx context.Context, id string) (engine.Version, bool, error) {
	if m.resolve != nil {
		return m.resolve()
	}
	return m.Engine.Resolve(ctx, id)
}

func (m *mutant) At(ctx context.Context, t time.Time) (engine.Version, error) {
	if m.time != nil {
		t = m.time(t)
	}
	return m.Engine.At(ctx, t)
}

func (m *mutant) Horizon(ctx context.Context, r engine.Range) (engine.Version, error) {
	if m.horizon != nil {
		return m.horizon()
	}
	return m.Engine.Horizon(ctx, r)
}

func (m *mutant) Collect(ctx context.Context) (engine.Collected, error) {
	if m.collect != nil {
		return m.collect()
	}
	return m.Engine.Collect(ctx)
}

func (m *mutant) Retain(ctx context.Context, op *engine.Op, r engine.Range, keep time.Duration) error {
	if m.retain != nil {
		r = m.retain(r)
	}
	return m.Engine.Retain(ctx, op, r, keep)
}

// reads is a reader with faults.
type reads struct {
	engine.Reader
	scan    func(engine.Range, engine.ScanOptions) (engine.Range, engine.ScanOptions)
	limited bool // the hint is a limit
	batch   func(keys [][]byte, each func(int, []byte) error) error
	row     func(*engine.Row) bool // drops or changes rows of History and Changes
	commits func(from engine.Version, reverse bool) (engine.Version, bool)
	commit  func(*engine.Commit)
	at      func(engine.Version) engine.Version
}

func (r *reads) Scan(rng engine.Range, o engine.ScanOptions) engine.Cursor {
	limit := o.Limit
	if r.scan != nil {
		rng, o = r.scan(rng, o)
	}
	c := r.Reader.Scan(rng, o)
	if r.limited && limit > 0 {
		return &limitedCursor{c, limit}
	}
	return c
}

type limitedCursor struct {
	engine.Cursor
	left int
}

func (c *limitedCursor) Next() bool {
	c.left--
	return c.left >= 0 && c.Cursor.Next()
}

func (r *reads) GetBatch(keys [][]byte, each func(int, []byte) error) error {
	if r.batch != nil {
		return r.batch(keys, each)
	}
	return r.Reader.GetBatch(keys, each)
}

func (r *reads) rows(all iter.Seq2[engine.Row, error]) iter.Seq2[engine.Row, error] {
	return func(yield func(engine.Row, error) bool) {
		for row, err := range all {
			if (err != nil || r.row == nil || r.row(&row)) && !yield(row, err) {
				return
			}
		}
	}
}

func (r *reads) History(key []byte) iter.Seq2[engine.Row, error] {
	return r.rows(r.Reader.History(key))
}

func (r *reads) Changes(rng engine.Range, from engine.Version) iter.Seq2[engine.Row, error] {
	return r.rows(r.Reader.Changes(rng, from))
}

func (r *reads) Commits(from engine.Version, reverse bool) iter.Seq2[engine.Commit, error] {
	if r.commits != nil {
		from, reverse = r.commits(from, reverse)
	}
	return func(yield func(engine.Commit, error) bool) {
		for c, err := range r.Reader.Commits(from, reverse) {
			if r.commit != nil {
				r.commit(&c)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func (r *reads) At(v engine.Version) (engine.Reader, error) {
	if r.at != nil {
		v = r.at(v)
	}
	return r.Reader.At(v)
}

// writes is a transaction with faults.
type writes struct {
	engine.Tx
	remove  func(key []byte) error
	restore func(engine.Range, engine.Version) error
	changed func() bool
	count   func(read, written int, keys [][]byte) (int, int, [][]byte)
}

func (w *writes) Delete(key []byte) error {
	if w.remove != nil {
		return w.remove(key)
	}
	return w.Tx.Delete(key)
}

func (w *writes) Restore(r engine.Range, to engine.Version) error {
	if w.restore != nil {
		return w.restore(r, to)
	}
	return w.Tx.Restore(r, to)
}

func (w *writes) Changed(since engine.Version, ranges []engine.Range) (bool, error) {
	if w.changed != nil {
		return w.changed(), nil
	}
	return w.Tx.Changed(since, ranges)
}

func (w *writes) Count(read, written int, keys ...[]byte) {
	if w.count != nil {
		read, written, keys = w.count(read, written, keys)
	}
	w.Tx.Count(read, written, keys...)
}

// TestMutants: the suite fails for every one of them, and not without a fault.
// Each is run in a process of its own, since a test that fails fails for good.
func TestMutants(t *testing.T) {
	if os.Getenv("MUTANT") != "" {
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("none", func(t *testing.T) { runMutant(t, self, "none", "") })
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) { runMutant(t, self, m.name, m.test) })
	}
}

// runMutant expects that the test fails, or that all succeed if it is "".
func runMutant(t *testing.T, self, name, test string) {
	only := "^TestMutant$"
	if test != "" {
		only += "/^" + test + "$"
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.short", "-test.timeout=30s", "-test.run="+only)
	cmd.Env = append(os.Environ(), "MUTANT="+name, "ENGINE_SEED=1")
	out, err := cmd.CombinedOutput()
	if failed := err != nil; failed != (test != "") {
		t.Errorf("the suite on the mutant: %v\n%s", err, out)
	}
}

// TestMutant runs the suite on one of them.
func TestMutant(t *testing.T) {
	name := os.Getenv("MUTANT")
	if name == "" {
		t.Skip("run by TestMutants, once for each mutant, in a process of its own")
	}
	clock := &Clock{}
	Suite{Clock: clock, Open: func(*testing.T) engine.Engine {
		m := &mutant{Engine: model.New(clock.Now)}
		for _, x := range mutants {
			if x.name == name {
				x.change(m)
			}
		}
		return m
	}}.Run(t)
}
