package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tuplix/tuplix/dbms/engine"
)

// mark is the key under which a loaded store remembers what was loaded last. No
// table has keys that begin with a zero byte.
//
//	mark  byte state ('l' loading, 'w' whole), bytes version (Head.To)
var mark = []byte("\x00backup")

const (
	stateLoading = 'l'
	stateWhole   = 'w'
)

// How much is applied in one transaction while loading.
const (
	loadWrites = 10_000
	loadBytes  = 8 << 20
)

// ErrState refuses a backup that does not fit to the state of the store.
var ErrState = errors.New("the backup does not continue the state of this store")

// Interrupted reports whether a load into the store was begun and did not end:
// what is in it is part of a backup only.
func Interrupted(ctx context.Context, e engine.Engine) (bool, error) {
	m, err := readMark(ctx, e)
	return m.state == stateLoading, err
}

// Load applies a backup: a full one to an empty store, an increment to a store
// that was loaded up to its beginning and has not been changed since. progress,
// which may be nil, is called now and then. Errors: ErrDamaged, ErrState, those
// of r and of the engine, ctx's.
func Load(ctx context.Context, e engine.Engine, r io.Reader, progress func(Summary)) (Summary, error) {
	f, err := newFrameReader(r)
	if err != nil {
		return Summary{}, err
	}
	kind, payload, err := f.next()
	if err != nil {
		return Summary{}, err
	}
	if kind != frameHead {
		return Summary{}, damaged("it does not begin with a head")
	}
	l := &loader{engine: e, frames: f, progress: progress}
	if l.done.Head, err = decodeHead(payload); err != nil {
		return Summary{}, err
	}
	if err := l.fits(ctx); err != nil {
		return Summary{}, err
	}
	if err := l.load(ctx); err != nil {
		return Summary{}, fmt.Errorf("load: %w", err)
	}
	return l.done, nil
}

type loader struct {
	engine   engine.Engine
	frames   *frameReader
	done     Summary
	progress func(Summary)
}

// fits checks that the backup may be applied to the store as it is.
func (l *loader) fits(ctx context.Context) error {
	m, err := readMark(ctx, l.engine)
	switch {
	case err != nil:
		return err
	case m.state == stateLoading:
		return fmt.Errorf("%w: a load was interrupted here; begin again with an empty device", ErrState)
	case l.done.From == "" && (!m.empty || m.state != 0):
		return fmt.Errorf("%w: a full backup is loaded into an empty store, and this one is not", ErrState)
	case l.done.From != "" && m.state == 0:
		return fmt.Errorf("%w: load the full backup first that this increment continues", ErrState)
	case l.done.From != "" && m.to != l.done.From:
		return fmt.Errorf("%w: another increment comes before this one, or it was loaded already", ErrState)
	case l.done.From != "" && m.changed:
		return fmt.Errorf("%w: the store was changed after the last load", ErrState)
	}
	return nil
}

func (l *loader) load(ctx context.Context) error {
	if err := l.setMark(ctx, stateLoading); err != nil {
		return err
	}
	for {
		kind, payload, err := l.frames.next()
		switch {
		case err != nil:
			return err
		case kind == frameEnd:
			if err := checkEnd(l.frames, payload, l.done); err != nil {
				return err
			}
			return l.setMark(ctx, stateWhole)
		case kind != frameData:
			return damaged("a frame of kind %q", kind)
		}
		records, err := decodeBlock(payload)
		if err == nil {
			err = l.apply(ctx, records)
		}
		if err != nil {
			return err
		}
	}
}

// checkEnd checks the counts of the end frame, and that nothing follows it.
func checkEnd(f *frameReader, payload []byte, s Summary) error {
	d := decoder{payload}
	records, size := d.uvarint(), d.uvarint()
	if d.b == nil || len(d.b) != 0 || int64(records) != s.Records || int64(size) != s.Bytes {
		return damaged("its counts do not agree")
	}
	switch _, err := io.ReadFull(f.r, make([]byte, 1)); {
	case err == nil:
		return damaged("something follows its end")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func (l *loader) apply(ctx context.Context, records []record) error {
	for len(records) > 0 {
		if r := records[0]; r.kind == recordDeleteRange {
			if err := l.deleteRange(ctx, engine.Range{Low: r.key, High: r.value}); err != nil {
				return err
			}
			l.count(r)
			records = records[1:]
			continue
		}
		n := together(records)
		if err := l.applySome(ctx, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	if l.progress != nil {
		l.progress(l.done)
	}
	return nil
}

// together returns how many of the first records fit in one transaction, which
// writes each key once.
func together(records []record) int {
	seen := make(map[string]bool)
	size := 0
	for i, r := range records {
		size += len(r.key) + len(r.value)
		if i > 0 && (i == loadWrites || size > loadBytes) || r.kind == recordDeleteRange || seen[string(r.key)] {
			return i
		}
		seen[string(r.key)] = true
	}
	return len(records)
}

func (l *loader) applySome(ctx context.Context, records []record) error {
	_, err := l.engine.Update(ctx, l.op(), func(tx engine.Tx) error {
		tx.Count(0, len(records))
		for _, r := range records {
			var err error
			if r.kind == recordPut {
				err = tx.Put(r.key, r.value)
			} else {
				err = tx.Delete(r.key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range records {
		l.count(r)
	}
	return nil
}

func (l *loader) count(r record) {
	l.done.Records++
	l.done.Bytes += int64(len(r.key) + len(r.value))
}

// deleteRange removes the keys of rng but the mark, some at a time.
func (l *loader) deleteRange(ctx context.Context, rng engine.Range) error {
	for {
		more := false
		_, err := l.engine.Update(ctx, l.op(), func(tx engine.Tx) error {
			more = false
			n := 0
			c := tx.Scan(rng, engine.ScanOptions{Limit: loadWrites})
			defer c.Close()
			for c.Next() {
				if bytes.Equal(c.Key(), mark) {
					continue
				}
				if n++; n > loadWrites {
					more = true
					break
				}
				if err := tx.Delete(c.Key()); err != nil {
					return err
				}
			}
			tx.Count(n, n)
			return c.Err()
		})
		if err != nil || !more {
			return err
		}
	}
}

func (l *loader) op() *engine.Op {
	return &engine.Op{Program: "backup", Name: "load", NoWait: true}
}

// setMark is durable when it returns, and so is what came before it.
func (l *loader) setMark(ctx context.Context, state byte) error {
	value := appendBytes([]byte{state}, []byte(l.done.To))
	op := &engine.Op{Program: "backup", Name: "mark"}
	_, err := l.engine.Update(ctx, op, func(tx engine.Tx) error { return tx.Put(mark, value) })
	return err
}

// marked is what the mark of a store says.
type marked struct {
	state   byte // 0: nothing was ever loaded
	to      engine.Version
	empty   bool // there is no key but the mark
	changed bool // something was committed after the mark
}

func readMark(ctx context.Context, e engine.Engine) (m marked, err error) {
	err = e.View(ctx, "", func(r engine.Reader) error {
		if m.empty, err = isEmpty(r); err != nil {
			return err
		}
		value, found, err := r.Get(mark)
		if err != nil || !found {
			return err
		}
		d := decoder{bytes.Clone(value)}
		m.state, m.to = d.byte(), engine.Version(d.bytes(maxVersion))
		if d.b == nil || len(d.b) != 0 || m.state != stateLoading && m.state != stateWhole {
			return fmt.Errorf("%w: the mark of the last load", engine.ErrCorrupt)
		}
		m.changed, err = changedSince(r)
		return err
	})
	return m, err
}

func isEmpty(r engine.Reader) (bool, error) {
	c := r.Scan(engine.All, engine.ScanOptions{Limit: 2})
	empty := true
	for empty && c.Next() {
		empty = bytes.Equal(c.Key(), mark)
	}
	return empty, errors.Join(c.Err(), c.Close())
}

// changedSince reports whether any key was changed after the mark.
func changedSince(r engine.Reader) (bool, error) {
	for row, err := range r.History(mark) {
		if err != nil {
			return false, err
		}
		for _, err := range r.Changes(engine.All, row.Version) {
			return true, err
		}
		return false, nil
	}
	return false, fmt.Errorf("%w: the mark of the last load has no history", engine.ErrCorrupt)
}

// Read checks a backup without loading it and returns what it holds.
func Read(r io.Reader) (Summary, error) {
	var s Summary
	f, err := newFrameReader(r)
	if err != nil {
		return s, err
	}
	for first := true; ; first = false {
		kind, payload, err := f.next()
		switch {
		case err != nil:
			return s, err
		case first != (kind == frameHead):
			return s, damaged("its head is not where it should be")
		case kind == frameHead:
			s.Head, err = decodeHead(payload)
		case kind == frameData:
			var records []record
			records, err = decodeBlock(payload)
			for _, x := range records {
				s.Records++
				s.Bytes += int64(len(x.key) + len(x.value))
			}
		case kind == frameEnd:
			return s, checkEnd(f, payload, s)
		default:
			err = damaged("a frame of kind %q", kind)
		}
		if err != nil {
			return s, err
		}
	}
}
