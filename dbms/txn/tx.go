package txn

import (
	"errors"
	"fmt"
	"iter"

	"github.com/tuplix/tuplix/dbms/engine"
)

var (
	// ErrDone refuses the use of a transaction that has ended.
	ErrDone = errors.New("the transaction has ended")

	// ErrReadOnly refuses a write in a View or in a Tx made by At.
	ErrReadOnly = errors.New("the transaction only reads")

	// ErrRestored refuses a write to a key that the same transaction has
	// restored, and a restore of a range in which it has written.
	ErrRestored = errors.New("a transaction cannot both restore and write the same keys")
)

// Tx is a transaction under way.
type Tx struct {
	reader   engine.Reader // nil: ended
	sink     counter       // nil: read-only
	writes   writeset
	restores []restore
	reads    *readset     // interactive only
	open     *interactive // interactive only
	maxValue int          // bytes; the engine's

	// Of an Update: its function, and what has the engine run it. The latter is made once
	// for all transactions that use this memory one after another.
	fn  func(*Tx) error
	run func(engine.Tx) error
}

// newProcedure returns a Tx for an Update or a View.
func newProcedure(maxValue int) *Tx {
	t := &Tx{maxValue: maxValue}
	t.run = t.procedure
	return t
}

// procedure runs the function of an Update on e, and hands over what it has written.
func (t *Tx) procedure(e engine.Tx) error {
	t.reset()
	t.reader, t.sink = e, e
	defer t.end()
	if err := t.fn(t); err != nil {
		return err
	}
	return t.apply(e)
}

// counter is the part of engine.Tx that a Tx needs before it is applied.
type counter interface {
	Count(read, written int, keys ...[]byte)
}

func (t *Tx) reset() {
	t.writes.reset()
	t.restores = t.restores[:0]
	t.reader, t.sink, t.reads, t.open = nil, nil, nil, nil
}

func (t *Tx) end() { t.reader, t.sink = nil, nil }

// Writable reports whether the transaction may write.
func (t *Tx) Writable() bool { return t.sink != nil }

// Version is the version that is read: what the transaction builds on.
func (t *Tx) Version() engine.Version {
	if t.reader == nil {
		return ""
	}
	return t.reader.Version()
}

// Get returns the value of a key as the transaction sees it, and whether there
// is one. The bytes are valid until the next call.
func (t *Tx) Get(key []byte) (value []byte, found bool, err error) {
	if t.reader == nil {
		return nil, false, ErrDone
	}
	if w, ok := t.writes.get(key); ok {
		return w.value, !w.deleted, nil
	}
	r, err := t.readerOf(key)
	if err != nil {
		return nil, false, err
	}
	if t.reads != nil {
		t.reads.addKey(key)
	}
	return r.Get(key)
}

// GetBatch reads several keys in one go and calls each for those that exist, in
// the order of keys.
func (t *Tx) GetBatch(keys [][]byte, each func(i int, value []byte) error) error {
	if t.reader == nil {
		return ErrDone
	}
	if t.writes.empty() && len(t.restores) == 0 {
		if t.reads != nil {
			t.reads.addKeys(keys)
		}
		return t.reader.GetBatch(keys, each)
	}
	for i, key := range keys {
		value, found, err := t.Get(key)
		if err == nil && found {
			err = each(i, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckSize returns the engine.LimitError of a key or value that Put would refuse, or nil.
func (t *Tx) CheckSize(key, value []byte) error { return engine.CheckSize(key, value, t.maxValue) }

// Put gives a key a value. Bytes are copied.
func (t *Tx) Put(key, value []byte) error {
	if err := t.CheckSize(key, value); err != nil {
		return err
	}
	if err := t.mayWrite(key); err != nil {
		return err
	}
	return t.writes.put(key, value)
}

// Delete removes a key, if it is there.
func (t *Tx) Delete(key []byte) error {
	if err := engine.CheckKey(key); err != nil {
		return err
	}
	if err := t.mayWrite(key); err != nil {
		return err
	}
	return t.writes.delete(key)
}

// Forget is Delete of a key whose value, of about size bytes, is not kept as history;
// see engine.Forgetter.
func (t *Tx) Forget(key []byte, size int) error {
	if err := engine.CheckKey(key); err != nil {
		return err
	}
	if err := t.mayWrite(key); err != nil {
		return err
	}
	return t.writes.forget(key, max(size, 0))
}

// DeleteRange removes the keys of r, one by one, and returns how many.
// (Restore of r to a version before its first key does so in constant time.)
func (t *Tx) DeleteRange(r engine.Range) (int, error) {
	c := t.Scan(r, engine.ScanOptions{})
	n := 0
	for c.Next() {
		if err := t.Delete(c.Key()); err != nil {
			return n, errors.Join(err, c.Close())
		}
		n++
	}
	return n, errors.Join(c.Err(), c.Close())
}

// Count adds to the numbers of rows in the transaction's provenance.
func (t *Tx) Count(read, written int, keys ...[]byte) {
	if t.sink != nil {
		t.sink.Count(read, written, keys...)
	}
}

// At returns a read-only Tx on the same store at an older version, without the
// writes of t. It ends with t.
func (t *Tx) At(v engine.Version) (*Tx, error) {
	if t.reader == nil {
		return nil, ErrDone
	}
	r, err := t.reader.At(v)
	if err != nil {
		return nil, err
	}
	return &Tx{reader: r}, nil
}

// History returns the versions of a key, newest first, those hidden by a
// restore included, without the transaction's own write.
func (t *Tx) History(key []byte) iter.Seq2[engine.Row, error] {
	if t.reader == nil {
		return failed[engine.Row](ErrDone)
	}
	if t.reads != nil {
		t.reads.addKey(key)
	}
	return t.reader.History(key)
}

// Changes returns what became of the keys of r later than from, in the order of
// versions, without the transaction's own writes.
func (t *Tx) Changes(r engine.Range, from engine.Version) iter.Seq2[engine.Row, error] {
	if t.reader == nil {
		return failed[engine.Row](ErrDone)
	}
	if t.reads != nil {
		t.reads.addRange(r)
	}
	return t.reader.Changes(r, from)
}

// Commits returns the transactions later than from, oldest or newest first.
func (t *Tx) Commits(from engine.Version, reverse bool) iter.Seq2[engine.Commit, error] {
	if t.reader == nil {
		return failed[engine.Commit](ErrDone)
	}
	return t.reader.Commits(from, reverse)
}

// Changed reports whether a transaction later than since has written in one of the
// ranges, or may have: for a procedure that uses what was read before it, while nobody
// waited. Other transactions have an error.
func (t *Tx) Changed(since engine.Version, ranges ...engine.Range) (bool, error) {
	e, ok := t.reader.(engine.Tx)
	if !ok {
		return false, errors.New("only a procedure can ask what has changed before it")
	}
	return e.Changed(since, ranges)
}

// Mark is a moment in a transaction, to which its writes can be rolled back.
type Mark struct {
	writes   writeset
	restores int
}

// Savepoint returns a mark of the present state. It costs little: the writes
// are shared until one side changes.
func (t *Tx) Savepoint() Mark {
	return Mark{writes: t.writes.snapshot(), restores: len(t.restores)}
}

// RollbackTo forgets all writes since m, which must be of this transaction and
// not older than a mark already rolled back to. m can be used again.
func (t *Tx) RollbackTo(m Mark) {
	t.writes = m.writes.snapshot()
	t.restores = t.restores[:m.restores]
}

// Touches reports whether the transaction has written, or restored, keys of r.
func (t *Tx) Touches(r engine.Range) bool {
	for _, s := range t.restores {
		if s.rng.Overlaps(r) {
			return true
		}
	}
	return t.writes.touches(r)
}

func (t *Tx) mayWrite(key []byte) error {
	switch {
	case t.reader == nil:
		return ErrDone
	case t.sink == nil:
		return ErrReadOnly
	}
	for _, s := range t.restores {
		if s.rng.Contains(key) {
			return fmt.Errorf("%w: key %q", ErrRestored, key)
		}
	}
	return nil
}

// apply hands the writes to the engine, each key once and in order.
func (t *Tx) apply(e engine.Tx) error {
	for _, s := range t.restores {
		if err := e.Restore(s.rng, s.to); err != nil {
			return err
		}
	}
	for w := range t.writes.all() {
		if err := w.apply(e); err != nil {
			return err
		}
	}
	return nil
}

func (w *write) apply(e engine.Tx) error {
	if !w.deleted {
		return e.Put(w.key, w.value)
	}
	if w.forget > 0 {
		if f, ok := e.(engine.Forgetter); ok {
			return f.Forget(w.key, w.forget-1)
		}
	}
	return e.Delete(w.key)
}

func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}
