package table

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Load is large new rows of a table on their way to the store beside transactions, see
// engine.Load. One goroutine at a time uses it.
type Load[T any] struct {
	b    *binding
	load engine.Load
	key  []byte
	row  encoder
}

// Load begins to add rows whose keys lie in a span in which there never was a row. Nobody
// must read them before a transaction has written what refers to them, which begins
// after Load.Commit. The table must be one without indexes, references, checks and
// numbered keys. engine.ErrNoLoad where that is not possible or not worth it.
func (t *Table[T]) Load(ctx context.Context, db *DB, op *engine.Op, s Span) (*Load[T], error) {
	loader, ok := db.Engine().(engine.Loader)
	if !ok {
		return nil, engine.ErrNoLoad
	}
	l := &Load[T]{}
	var r engine.Range
	err := db.View(ctx, func(tx *Tx) (err error) {
		if l.b, err = tx.bind(t.decl); err != nil {
			return err
		}
		b := l.b
		if len(b.indexes)+len(b.refs)+len(b.checks)+len(tx.cat.incoming[b.id]) > 0 || b.auto >= 0 {
			return fmt.Errorf("table %s: rows with indexes, references or checks cannot be loaded", b.name)
		}
		r, err = b.bounds(b.primary(), s)
		return err
	})
	if err == nil {
		l.load, err = loader.Load(ctx, op, r)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Put adds a row; the key is later than that of the one before.
func (l *Load[T]) Put(row *T) error {
	k, err := l.b.appendParts(append(l.key[:0], l.b.prefix...), unsafe.Pointer(row), l.b.parts)
	l.key = k
	if err != nil {
		return err
	}
	head, tail, err := l.row.parts(l.b, unsafe.Pointer(row))
	if err != nil {
		return err
	}
	return l.load.Put(k, head, tail)
}

// Left is about how many bytes of rows more should be put.
func (l *Load[T]) Left() int64 { return l.load.Left() }

// Commit makes the rows durable, and seen by whoever reads from then on.
func (l *Load[T]) Commit(ctx context.Context) error { return l.load.Commit(ctx) }

// Abort forgets the rows.
func (l *Load[T]) Abort() { l.load.Abort() }
