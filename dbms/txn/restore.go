package txn

import (
	"fmt"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// restore is a range that the transaction has put back to a version.
type restore struct {
	rng    engine.Range
	to     engine.Version
	reader engine.Reader // at that version
}

// Restore makes the keys of r as they were at an earlier version, in constant
// time. Later reads of the transaction see them so. It fails with ErrRestored
// where the transaction has written, or restored, keys of r before.
func (t *Tx) Restore(r engine.Range, to engine.Version) error {
	switch {
	case t.reader == nil:
		return ErrDone
	case t.sink == nil:
		return ErrReadOnly
	case r.Empty():
		return nil
	case t.writes.touches(r):
		return fmt.Errorf("%w: there are writes in the range already", ErrRestored)
	}
	for _, s := range t.restores {
		if s.rng.Overlaps(r) {
			return fmt.Errorf("%w: part of the range is restored already", ErrRestored)
		}
	}
	reader, err := t.reader.At(to)
	if err != nil {
		return err
	}
	// Only copies are appended to: a Mark remembers a length of this slice.
	t.restores = append(slices.Clip(t.restores), restore{rng: clone(r), to: to, reader: reader})
	return nil
}

// Restored returns the ranges that the transaction has restored.
func (t *Tx) Restored() (ranges []engine.Range) {
	for _, s := range t.restores {
		ranges = append(ranges, s.rng)
	}
	return ranges
}

// Restores reports whether the transaction has restored anything.
func (t *Tx) Restores() bool { return len(t.restores) > 0 }

// readerOf returns where a key that is not written is read.
func (t *Tx) readerOf(key []byte) (engine.Reader, error) {
	for _, s := range t.restores {
		if s.rng.Contains(key) {
			return s.reader, nil
		}
	}
	return t.reader, nil
}

// scanBase scans without own writes: piece by piece where parts of r are
// restored.
func (t *Tx) scanBase(r engine.Range, o engine.ScanOptions) engine.Cursor {
	pieces := t.pieces(r)
	if len(pieces) == 1 {
		return pieces[0].reader.Scan(r, o)
	}
	if o.Reverse {
		slices.Reverse(pieces)
	}
	return &chain{open: func(i int) engine.Cursor {
		if i == len(pieces) {
			return nil
		}
		return pieces[i].reader.Scan(pieces[i].rng, o)
	}}
}

// pieces cuts r at the borders of restored ranges, in order.
func (t *Tx) pieces(r engine.Range) []restore {
	rest := restore{rng: r, reader: t.reader}
	if len(t.restores) == 0 {
		return []restore{rest}
	}
	sorted := slices.Clone(t.restores)
	slices.SortFunc(sorted, func(a, b restore) int { return slices.Compare(a.rng.Low, b.rng.Low) })
	var out []restore
	for _, s := range sorted {
		if !s.rng.Overlaps(rest.rng) {
			continue
		}
		if string(rest.rng.Low) < string(s.rng.Low) {
			out = append(out, restore{rng: engine.Range{Low: rest.rng.Low, High: s.rng.Low}, reader: t.reader})
			rest.rng.Low = s.rng.Low
		}
		piece := restore{rng: rest.rng, reader: s.reader}
		if s.rng.High == nil || rest.rng.High != nil && string(rest.rng.High) <= string(s.rng.High) {
			return append(out, piece)
		}
		piece.rng.High = s.rng.High
		out = append(out, piece)
		rest.rng.Low = s.rng.High
	}
	return append(out, rest)
}

func clone(r engine.Range) engine.Range {
	return engine.Range{Low: slices.Clone(r.Low), High: slices.Clone(r.High)}
}
