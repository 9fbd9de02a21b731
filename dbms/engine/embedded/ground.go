package embedded

import (
	"iter"

	"github.com/tuplix/tuplix/dbms/engine"
)

// ground sees that all earlier transactions are in Pebble. Only single rows can be
// read without.
func (t *tx) ground() error { return t.e.applyOpen() }

// Scan returns the keys of r in the state that the transaction builds on.
func (t *tx) Scan(r engine.Range, o engine.ScanOptions) engine.Cursor {
	if err := t.ground(); err != nil {
		return &failedCursor{err: err}
	}
	return t.reader.Scan(r, o)
}

// At reads the store at an older version.
func (t *tx) At(v engine.Version) (engine.Reader, error) {
	if err := t.ground(); err != nil {
		return nil, err
	}
	return t.reader.At(v)
}

// History returns the versions of a key, newest first.
func (t *tx) History(key []byte) iter.Seq2[engine.Row, error] {
	return grounded(t, t.reader.History(key))
}

// Changes returns what became of the keys of r.
func (t *tx) Changes(r engine.Range, from engine.Version) iter.Seq2[engine.Row, error] {
	return grounded(t, t.reader.Changes(r, from))
}

// Commits returns the transactions later than from.
func (t *tx) Commits(from engine.Version, reverse bool) iter.Seq2[engine.Commit, error] {
	return grounded(t, t.reader.Commits(from, reverse))
}

// grounded is seq, which reads more than single rows.
func grounded[T any](t *tx, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := t.ground(); err != nil {
			var none T
			yield(none, err)
			return
		}
		seq(yield)
	}
}
