package model

import (
	"errors"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
)

// tx is an Update under way.
type tx struct {
	reader
	writes   map[string]entry
	restores []restore
	rules    []rule
	bytes    int64
	trace    bool
	read     int
	written  int
	traced   [][]byte
	tracedKB int
}

func (t *tx) Put(key, value []byte) error {
	return t.add(key, entry{value: string(value)})
}

func (t *tx) Delete(key []byte) error {
	return t.add(key, entry{deleted: true})
}

func (t *tx) add(key []byte, w entry) error {
	if err := engine.CheckSize(key, []byte(w.value), engine.DefaultMaxValue); err != nil {
		return err
	}
	t.bytes += int64(len(key) + len(w.value))
	if err := engine.CheckWrites(len(t.writes)+1, t.bytes); err != nil {
		return err
	}
	if _, twice := t.writes[string(key)]; twice || t.isRestored(key) {
		return errors.New("a key is written twice in one transaction")
	}
	t.writes[string(key)] = w
	return nil
}

func (t *tx) isRestored(key []byte) bool {
	return slices.ContainsFunc(t.restores, func(r restore) bool { return r.rng.Contains(key) })
}

func (t *tx) Restore(r engine.Range, to engine.Version) error {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	if to != "" {
		if err := t.e.checkVersion(to); err != nil {
			return err
		}
		if to < t.e.horizon(r) {
			return engine.ErrTooOld
		}
	}
	t.restores = append(t.restores, restore{rng: clone(r), to: to})
	return nil
}

func clone(r engine.Range) engine.Range {
	return engine.Range{Low: slices.Clone(r.Low), High: slices.Clone(r.High)}
}

func (t *tx) Changed(since engine.Version, ranges []engine.Range) (bool, error) {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	if err := t.e.checkVersion(since); err != nil {
		return false, err
	}
	return t.e.changed(since, ranges), nil
}

func (t *tx) Count(read, written int, keys ...[]byte) {
	t.read += read
	t.written += written
	if !t.trace {
		return
	}
	for _, k := range keys {
		if t.tracedKB += len(k); t.tracedKB > engine.MaxTracedKB<<10 {
			return
		}
		t.traced = append(t.traced, slices.Clone(k))
	}
}
