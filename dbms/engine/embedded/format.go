package embedded

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// The record of the format is written when the store is made:
//
//	'm' 'f'  ->   0         6        7      15
//	             ├─────────┼────────┼──────┤
//	              "tuplix"  format   born
//
// born is the version of the empty store. The record is the first to be read. A
// change of any layout in this package is a new format. A store of format 1 has no bundles
// of history, one of format 2 no small records of commits; it gets format 3 when it is
// opened.
const (
	formatMagic = "tuplix"
	formatNow   = 3
	formatFirst = 1
	formatSize  = len(formatMagic) + 1 + versionSize
)

// ErrFormat refuses a store that this program does not read, or a directory that
// is not a store. The text says what to do.
var ErrFormat = errors.New("not a store of this version of the program")

func appendFormat(b []byte, born version) []byte {
	return born.append(append(append(b, formatMagic...), formatNow))
}

func parseFormat(b []byte) (born version, err error) {
	if len(b) < formatSize || string(b[:len(formatMagic)]) != formatMagic {
		return 0, fmt.Errorf("%w: the directory holds a Pebble database of another kind; give another directory", ErrFormat)
	}
	switch format := b[len(formatMagic)]; {
	case format > formatNow:
		return 0, fmt.Errorf("%w: it has format %d and this program writes %d; open it with the newer program that wrote it",
			ErrFormat, format, formatNow)
	case format < formatFirst:
		return 0, fmt.Errorf("%w: it has format %d, and there is no such format", ErrFormat, format)
	case len(b) != formatSize:
		return 0, corrupt("record of the format", errFormatSize)
	}
	return readVersion(b[len(formatMagic)+1:]), nil
}

// renew writes the record of the format anew, where it has an older one.
func (e *Engine) renew(record []byte) error {
	if record[len(formatMagic)] == formatNow {
		return nil
	}
	return e.guard(func() error { return e.db.Set(metaKey(metaFormat), appendFormat(nil, e.born), pebble.Sync) })
}

var errFormatSize = errors.New("wrong length")

// eachMeta visits the meta entries of a kind, with the rest of their keys.
func eachMeta(db pebble.Reader, kind byte, visit func(key, value []byte) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: metaKey(kind), UpperBound: metaKey(kind + 1)})
	if err != nil {
		return storage(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err != nil {
			err = storage(err)
			break
		}
		if err = visit(it.Key()[2:], value); err != nil {
			err = corrupt(fmt.Sprintf("entry %q", it.Key()), err)
		}
	}
	return errors.Join(err, storage(it.Close()))
}

// getMeta reads the one entry of a kind; nil if there is none.
func getMeta(db pebble.Reader, kind byte) (value []byte, err error) {
	raw, closer, err := db.Get(metaKey(kind))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, storage(err)
	}
	return append([]byte{}, raw...), storage(closer.Close())
}

// The number of superseded versions is kept from one opening to the next, as 8
// bytes; it is an estimate after a crash.
func (e *Engine) loadCounts() error {
	b, err := getMeta(e.db, metaCounts)
	if err != nil || len(b) != versionSize {
		return err
	}
	e.counters.superseded.Store(int64(readVersion(b)))
	return nil
}

func saveCount(b *pebble.Batch, n *atomic.Int64) error {
	return b.Set(metaKey(metaCounts), version(max(n.Load(), 0)).append(nil), nil)
}
