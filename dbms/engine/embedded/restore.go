package embedded

import (
	"bytes"
	"errors"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Restore makes the keys of r as they were at to. It writes one record, whatever
// r holds; see hide.
func (t *tx) Restore(r engine.Range, to engine.Version) error {
	h, err := t.newHide(r, to)
	if err != nil {
		return t.refuse(err)
	}
	if h == nil {
		return nil
	}
	t.restores = append(t.restores, h)
	t.wrote = true
	t.deletes = true
	t.write(h.storeKey(), h.encode())
	return nil
}

// newHide checks a restore; nil if there is nothing to do.
func (t *tx) newHide(r engine.Range, to engine.Version) (*hide, error) {
	if err := t.ground(); err != nil {
		return nil, err
	}
	at := noVersion
	if to != "" {
		var err error
		if at, err = t.e.internal(to); err != nil {
			return nil, err
		}
		if err := t.e.retention.checkRange(r, at); err != nil {
			return nil, err
		}
	}
	if r.Empty() {
		return nil, nil
	}
	if len(t.restores) == maxRestores {
		return nil, &engine.LimitError{What: "restores of a transaction", Size: maxRestores + 1, Limit: maxRestores}
	}
	for i := range t.keys.len() {
		if r.Contains(t.keys.at(i)) {
			return nil, errors.New("a range is restored of which the same transaction writes a key")
		}
	}
	for _, h := range t.restores {
		if h.r.Overlaps(r) {
			return nil, errors.New("a transaction restores two ranges that overlap")
		}
	}
	return &hide{
		r:  engine.Range{Low: slices.Clone(r.Low), High: slices.Clone(r.High)},
		to: at, until: t.version, index: byte(len(t.restores)),
	}, nil
}

// repair stores what is to be seen of key, as far as it is not stored yet, and
// returns the newest state. It goes through the restores from old to new.
func (t *tx) repair(key []byte) (state, error) {
	s, err := t.copied(t.physical(key, endVersion-1))
	if err != nil {
		return s, err
	}
	changed := false
	for i, h := range t.active {
		if !h.r.Contains(key) || s.since >= h.until || s.since <= h.to {
			continue
		}
		// Older restores than h decide what h goes back to.
		then, err := t.copied(resolve(t.active[:i], key, h.to, func(v version) (state, error) {
			return t.physical(key, v)
		}))
		if err != nil {
			return s, err
		}
		if !s.present && !then.present {
			continue
		}
		if s.present {
			t.past(key, &s.row, h.until)
		}
		s = then
		s.since, s.flags, s.header = h.until, rowRestored, nil
		changed = true
	}
	switch {
	case changed && s.present:
		t.set(key, &s.row)
	case changed:
		t.deletes = true
		op := t.batch.DeleteDeferred(1 + len(key))
		op.Key[0] = prefixData
		copy(op.Key[1:], key)
	}
	return s, nil
}

// copied makes a state independent of the reader.
func (t *tx) copied(s state, err error) (state, error) {
	s.header, s.value = bytes.Clone(s.header), bytes.Clone(s.value)
	t.release()
	return s, err
}
