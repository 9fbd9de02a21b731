package table

import (
	"iter"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Write is what a transaction has made of a row so far.
type Write[T any] struct {
	Row     T // with its key only, if Deleted
	Deleted bool
}

// Written returns what the transaction itself has written of the rows of a span, each
// once, in order: for who knows what was there before. What it restores is not among it,
// and the span's limit does not count. The loop must not write.
func (t *Table[T]) Written(tx *Tx, s Span) iter.Seq2[Write[T], error] {
	return func(yield func(Write[T], error) bool) {
		b, err := tx.bind(t.decl)
		var r engine.Range
		if err == nil {
			r, err = b.bounds(b.primary(), s)
		}
		if err != nil {
			yield(Write[T]{}, err)
			return
		}
		for raw := range tx.raw.Written(r, s.reverse) {
			w := Write[T]{Deleted: raw.Deleted}
			k := raw.Key[len(b.prefix):]
			if w.Deleted {
				err = b.decodeKey(unsafe.Pointer(&w.Row), k, b.room(0, k, nil))
			} else {
				err = b.decode(unsafe.Pointer(&w.Row), k, raw.Value, nil)
			}
			if !yield(w, err) || err != nil {
				return
			}
		}
	}
}
