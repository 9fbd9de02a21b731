package embedded

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// span is how long a row was, or is, in effect.
type span struct {
	since, until version // until is endVersion for the present row
	flags        byte
}

// timeline is all that is stored of one key, from old to new, without values.
type timeline struct {
	key   []byte
	spans []span
}

// at is the state of the key at t by what is stored, without header and value.
func (l *timeline) at(t version) state {
	i, _ := slices.BinarySearchFunc(l.spans, t, func(s span, t version) int {
		if s.until <= t {
			return -1
		}
		return 1 // never equal: t is between two ends
	})
	if i < len(l.spans) && l.spans[i].since <= t {
		return state{row: row{since: l.spans[i].since, flags: l.spans[i].flags}, present: true}
	}
	if i > 0 {
		return state{row: row{since: l.spans[i-1].until}}
	}
	return state{}
}

// until is when the row in effect since a moment ended.
func (l *timeline) until(since version) version {
	for _, s := range l.spans {
		if s.since == since {
			return s.until
		}
	}
	return noVersion
}

// timelines goes over the keys of a range of which anything is stored, present
// or past. Both iterators see the same state of Pebble.
type timelines struct {
	data, hist *pebble.Iterator
	reverse    bool
	begun      bool
	dataOK     bool
	histOK     bool
	usedData   bool
	line       timeline
	histKey    []byte
	present    []byte // the stored present row, if line ends with it
	err        error
}

// timelines are newTimelines of what is stored now.
func (e *Engine) timelines(rng engine.Range, reverse bool, after version) (t *timelines, err error) {
	err = e.settled(func() (err error) {
		t, err = newTimelines(e.db, rng, reverse, after)
		return err
	})
	return t, err
}

// newTimelines starts at one end of a range. Blocks in which nothing is later
// than after are skipped: of keys that have not changed since, it may see all or
// nothing.
func newTimelines(db pebble.Reader, rng engine.Range, reverse bool, after version) (*timelines, error) {
	options := func(low, high []byte) *pebble.IterOptions {
		o := &pebble.IterOptions{LowerBound: low, UpperBound: high}
		if after > noVersion {
			o.PointKeyFilters = within(after+1, endVersion)
		}
		return o
	}
	data, err := db.NewIter(options(dataBounds(rng)))
	if err != nil {
		return nil, storage(err)
	}
	hist, err := data.Clone(pebble.CloneOptions{IterOptions: options(historyBounds(rng))})
	if err != nil {
		return nil, errors.Join(storage(err), data.Close())
	}
	return &timelines{data: data, hist: hist, reverse: reverse}, nil
}

// next goes to the next key.
func (t *timelines) next() bool {
	if !t.begun {
		t.begun = true
		t.dataOK = step(t.data, t.reverse, false)
		t.histOK = step(t.hist, t.reverse, false)
		t.readHistoryKey()
	} else if t.usedData {
		t.dataOK = step(t.data, t.reverse, true)
	}
	t.usedData, t.present = false, nil
	if t.err != nil || !t.dataOK && !t.histOK {
		if t.err == nil {
			t.err = storage(errors.Join(t.data.Error(), t.hist.Error()))
		}
		return false
	}
	order := t.compare()
	t.line.spans = t.line.spans[:0]
	if order <= 0 {
		t.line.key = append(t.line.key[:0], t.data.Key()[1:]...)
	} else {
		t.line.key = append(t.line.key[:0], t.histKey...)
	}
	if order >= 0 {
		t.gather()
	}
	if order <= 0 {
		t.takePresent()
	}
	return t.err == nil
}

// compare tells which iterator's key comes first: negative for the present.
func (t *timelines) compare() int {
	switch {
	case !t.histOK:
		return -1
	case !t.dataOK:
		return 1
	}
	order := bytes.Compare(t.data.Key()[1:], t.histKey)
	if t.reverse {
		return -order
	}
	return order
}

// gather takes the history of the key, up to the next key's.
func (t *timelines) gather() {
	group := bytes.Clone(t.hist.Key()[:len(t.hist.Key())-versionSize])
	for t.histOK && bytes.HasPrefix(t.hist.Key(), group) && t.err == nil {
		_, until, err := splitHistory(t.hist.Key())
		if err != nil {
			t.err = corruptKey(t.line.key, err)
			return
		}
		r, err := rowAt(t.hist)
		if err != nil {
			t.err = err
			return
		}
		t.line.spans = append(t.line.spans, span{r.since, until, r.flags})
		t.histOK = step(t.hist, t.reverse, true)
	}
	if t.reverse {
		slices.Reverse(t.line.spans)
	}
	t.readHistoryKey()
}

// readHistoryKey decodes the key where history is.
func (t *timelines) readHistoryKey() {
	if !t.histOK {
		return
	}
	group, _, err := splitHistory(t.hist.Key())
	if err == nil {
		t.histKey, err = appendUnescaped(t.histKey[:0], group)
	}
	if err != nil && t.err == nil {
		t.err = corruptKey(t.hist.Key(), err)
	}
}

// takePresent appends the present row. The iterator stays there until the next
// key is asked for.
func (t *timelines) takePresent() {
	t.usedData = true
	raw, err := t.data.ValueAndErr()
	if err != nil {
		t.err = storage(err)
		return
	}
	r, err := parseRow(raw)
	if err != nil {
		t.err = corruptKey(t.line.key, err)
		return
	}
	t.present = raw
	t.line.spans = append(t.line.spans, span{r.since, endVersion, r.flags})
}

func (t *timelines) close() error {
	return storage(errors.Join(t.data.Close(), t.hist.Close()))
}
