package txn

import (
	"iter"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Write is what a transaction has made of a key so far. Its bytes are valid until the
// transaction writes again, and must not be changed.
type Write struct {
	Key     []byte
	Value   []byte
	Deleted bool
}

// Written returns what the transaction itself has written of the keys of r, each key
// once, in order or in reverse order: not what a restore of its makes of them. It must
// not write during the loop.
func (t *Tx) Written(r engine.Range, reverse bool) iter.Seq[Write] {
	return func(yield func(Write) bool) {
		w, ok := t.writes.next(r, nil, reverse)
		for ok && yield(Write{Key: w.key, Value: w.value, Deleted: w.deleted}) {
			w, ok = t.writes.next(r, w.key, reverse)
		}
	}
}
