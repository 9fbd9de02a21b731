package embedded

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// commitLog is the provenance of the newest transactions: those whose records are
// not in a block yet. Each is also in a header or a trace (block.go), from which
// open puts the log together again.
//
// A write of its own would cost a small transaction a fifth of its time; a header
// costs some bytes. A full block goes out with the batch of the next transaction.
//
// Engine.recent guards it; who changes it has the commit lock, too.
type commitLog struct {
	block block
	upTo  atomicVersion // the last transaction in the blocks that are written

	// Where the block begins, as most fit. Beside what else each transaction touches it
	// costs no page of memory of its own to reach.
	room [3 << 10]byte
}

// written is the last version that is in a block.
func (l *commitLog) written() version { return l.upTo.Load() }

// flush adds the block to t's batch if it is full. Who changes the block has the commit
// lock, as t has.
func (l *commitLog) flush(t *tx) {
	if l.block.full() {
		t.write(versionKey(prefixCommits, l.block.last), l.block.bytes)
		t.wroteBlock = true
	}
}

// committed notes a transaction, and whether its batch had the block.
func (l *commitLog) committed(t *tx) {
	if b := &l.block; !t.wroteBlock && b.repeats(t.version, t.small) {
		b.repeat(t.version)
		return
	}
	l.begun(t)
}

// begun is committed for a transaction that begins a block, or is unlike the one before.
//
//go:noinline // so that committed has little to set up
func (l *commitLog) begun(t *tx) {
	if t.wroteBlock {
		l.upTo.Store(l.block.last)
		l.block.clear()
	}
	l.block.add(t.version, t.commitRecord())
}

// tail copies the records that are not in a written block.
func (e *Engine) tail() []byte {
	e.recent.Lock()
	defer e.recent.Unlock()
	if e.log.block.count == 0 {
		return nil
	}
	return bytes.Clone(e.log.block.bytes)
}

// writeBlock writes the block now. The commit lock is held, or nobody else is
// there.
func (e *Engine) writeBlock() error {
	e.recent.Lock()
	defer e.recent.Unlock()
	b := &e.log.block
	if b.count == 0 {
		return nil
	}
	err := e.guard(func() error {
		return e.db.Set(versionKey(prefixCommits, b.last), b.bytes, pebble.NoSync)
	})
	if err == nil {
		e.log.upTo.Store(b.last)
		b.clear()
	}
	return err
}

// found is a record that open has come across.
type found struct {
	version version
	record  []byte
}

// load finds the last block, and the records of all later transactions. It
// returns the newest version that it has seen anywhere.
func (e *Engine) loadLog() (version, error) {
	upTo, err := lastVersion(e.db, prefixCommits)
	if err != nil {
		return 0, err
	}
	e.log.upTo.Store(upTo)
	l := &tailLoader{e: e, after: upTo, newest: upTo}
	err = errors.Join(l.rows(prefixData), l.rows(prefixHistory), l.bundles(), l.traces())
	if err != nil {
		return 0, err
	}
	slices.SortFunc(l.found, func(a, b found) int { return cmp.Compare(a.version, b.version) })
	for i, f := range l.found {
		if i == 0 || f.version != l.found[i-1].version {
			e.log.block.add(f.version, f.record)
		}
	}
	return l.newest, nil
}

// lastVersion is the version in the last key with a prefix.
func lastVersion(db *pebble.DB, prefix byte) (version, error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return 0, storage(err)
	}
	v := noVersion
	if it.Last() {
		if k := it.Key(); len(k) == 1+versionSize {
			v = readVersion(k[1:])
		} else {
			err = corruptKey(k, errKey)
		}
	}
	return v, errors.Join(err, storage(it.Close()))
}

// tailLoader collects what came after the last block.
type tailLoader struct {
	e      *Engine
	after  version
	newest version
	found  []found
}

func (l *tailLoader) each(prefix byte, visit func(it *pebble.Iterator) error) error {
	it, err := l.e.db.NewIter(&pebble.IterOptions{
		LowerBound:      []byte{prefix},
		UpperBound:      []byte{prefix + 1},
		PointKeyFilters: within(l.after+1, endVersion),
	})
	if err != nil {
		return storage(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = visit(it)
	}
	return errors.Join(err, storage(it.Close()))
}

// rows takes the headers of present or past rows.
func (l *tailLoader) rows(prefix byte) error {
	return l.each(prefix, func(it *pebble.Iterator) error {
		lazy := it.LazyValue()
		raw, _, err := lazy.Value(nil)
		if err != nil && it.Error() == nil {
			// A long value on a bad part of the device, which whoever reads it will
			// hear of. Others of its transaction tell the version and the record.
			l.e.opts.Log("store: row %q: %v", it.Key()[1:], err)
			return nil
		}
		if err != nil {
			return storage(err)
		}
		r, err := parseRow(raw)
		if err != nil {
			return corruptKey(it.Key()[1:], err)
		}
		l.newest = max(l.newest, r.since)
		if prefix == prefixHistory {
			_, until, err := splitHistory(it.Key())
			if err != nil {
				return corruptKey(it.Key(), err)
			}
			l.newest = max(l.newest, until)
		}
		l.header(&r)
		return nil
	})
}

// header takes the header of a row.
func (l *tailLoader) header(r *row) {
	if r.flags&rowRecord != 0 && r.since > l.after {
		l.found = append(l.found, found{r.since, bytes.Clone(r.header)})
	}
}

// bundles takes the headers of past rows that are not at their keys.
func (l *tailLoader) bundles() error {
	part := l.e.bundles.open
	l.newest = max(l.newest, part.last)
	for n := range part.count {
		_, key, raw := part.stored(part.row(uint32(n + 1)))
		r, err := parseRow(raw)
		if err != nil {
			return corruptKey(key, err)
		}
		l.header(&r)
	}
	return nil
}

func (l *tailLoader) traces() error {
	return l.each(prefixTrace, func(it *pebble.Iterator) error {
		if len(it.Key()) != 1+versionSize {
			return corruptKey(it.Key(), errKey)
		}
		v := readVersion(it.Key()[1:])
		raw, err := it.ValueAndErr()
		if err != nil {
			return storage(err)
		}
		record, _, err := parseTrace(raw)
		if err != nil {
			return corrupt("trace "+v.String(), err)
		}
		l.newest = max(l.newest, v)
		if v > l.after {
			l.found = append(l.found, found{v, bytes.Clone(record)})
		}
		return nil
	})
}
