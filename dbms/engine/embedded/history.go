package embedded

import (
	"bytes"
	"iter"

	"github.com/tuplix/tuplix/dbms/engine"
)

// settle gives a timeline the spans that it will have when the restores are
// repaired. It must be whole as far back as their to.
func (l *timeline) settle(active []*hide) {
	for _, h := range active {
		if !h.r.Contains(l.key) {
			continue
		}
		s := l.at(endVersion - 1)
		if s.since >= h.until || s.since <= h.to {
			continue
		}
		then := l.at(h.to)
		if s.present {
			l.spans[len(l.spans)-1].until = h.until
		}
		if then.present {
			l.spans = append(l.spans, span{h.until, endVersion, rowRestored})
		}
	}
}

// event is what a transaction did to a key: it gave it a row, or took it away.
type event struct {
	version version
	until   version // when the next event was; endVersion if none
	deleted bool
	key     []byte
	hide    *hide // instead: a restore
}

// events are those of a timeline, from old to new, but for what restores did.
func (l *timeline) events(hides []*hide) []event {
	var out []event
	for i, s := range l.spans {
		if s.flags&rowRestored == 0 {
			out = append(out, event{version: s.since, until: s.until})
		}
		next := endVersion
		if i+1 < len(l.spans) {
			next = l.spans[i+1].since
		}
		if s.until < next && !restoredAt(hides, l.key, s.until) {
			out = append(out, event{version: s.until, until: next, deleted: true})
		}
	}
	return out
}

// restoredAt tells whether a restore of key took place at v.
func restoredAt(hides []*hide, key []byte, v version) bool {
	h := newest(hides, key, v)
	return h != nil && h.until == v
}

// external is how the seam shows an event of key as seen from the reader's
// version.
func (r *reader) external(key []byte, ev event) (engine.Row, error) {
	past := ev.until != endVersion
	row := engine.Row{Key: bytes.Clone(key), Version: ev.version.external(), Deleted: ev.deleted}
	for _, h := range r.e.hides.kept() {
		if h.until <= r.at && h.to < ev.version && ev.version < h.until && h.r.Contains(key) {
			row.Hidden = true
			ev.until = min(ev.until, h.until) // also of an absence, which has no end of its own
		}
	}
	if ev.until <= r.at {
		row.Until = ev.until.external()
	}
	if ev.deleted {
		return row, nil
	}
	s, err := r.stateThen(key, ev.version, past)
	if err != nil {
		return row, err
	}
	if !s.present || s.since != ev.version {
		return row, engine.ErrTooOld // collected in the meantime
	}
	row.Value = append([]byte{}, s.value...)
	return row, nil
}

// stateThen is physical. What is past is looked for in history first.
func (r *reader) stateThen(key []byte, t version, past bool) (state, error) {
	if !past {
		return r.physical(key, t)
	}
	s, _, err := r.inBundles(key, hash(key), t)
	if err != nil || s.present {
		return s, err
	}
	it, _, err := r.e.kept.take(t)
	if err != nil {
		return state{}, err
	}
	r.held = it
	s, decided, err := r.inHistory(it, key, t)
	if decided || err != nil {
		return s, err
	}
	return r.physical(key, t)
}

// History returns the versions of a key, newest first.
func (r *reader) History(key []byte) iter.Seq2[engine.Row, error] {
	return func(yield func(engine.Row, error) bool) {
		events, err := r.history(key)
		if err != nil {
			yield(engine.Row{}, err)
			return
		}
		for i := len(events) - 1; i >= 0; i-- {
			if events[i].version > r.at {
				continue
			}
			row, err := r.external(key, events[i])
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (r *reader) history(key []byte) ([]event, error) {
	rng := engine.KeyRange(key)
	if err := r.e.retention.checkRange(rng, r.at); err != nil {
		return nil, err
	}
	active, hides := r.e.hides.unrepaired(), r.e.hides.kept()
	lines, err := r.e.timelines(rng, false, noVersion)
	if err != nil {
		return nil, err
	}
	var events []event
	if lines.next() {
		lines.line.settle(active)
		events = lines.line.events(hides)
	}
	err = lines.err
	if cerr := lines.close(); err == nil {
		err = cerr
	}
	return events, err
}
