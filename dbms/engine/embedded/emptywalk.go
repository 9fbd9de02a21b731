package embedded

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// presentWalk goes over the present rows of a range, by way of an iterator that
// skips the spans known to be empty. In a transaction it also finds such spans.
type presentWalk struct {
	it      *pebble.Iterator
	e       *Engine
	rng     engine.Range
	reverse bool
	begun   bool
	plain   bool    // from here on, there is nothing to skip or to find
	finds   bool    // in a transaction: what it sees is the newest state
	at      version // what is read
	spans   []emptySpan
	stop    []byte // as a key in Pebble: where the first of the spans is met; nil: none

	seen  int    // rows while finding
	since []byte // the key after which nothing was found yet; with finds
	steps int    // of the iterator below, before
	over  bool   // the step under way has skipped a span
}

const (
	spansAhead = 4  // are taken at once
	findsMost  = 32 // rows of a scan among which it looks for spans
)

// newPresentWalk takes the spans before it makes the iterator; see emptySpans.
func newPresentWalk(r *reader, rng engine.Range, reverse, finds bool) (*presentWalk, error) {
	w := &presentWalk{e: r.e, rng: rng, reverse: reverse, finds: finds, at: r.at}
	w.ahead(endVersion)
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, nil
}

// open makes the iterator.
func (w *presentWalk) open() error {
	low, high := dataBounds(w.rng)
	it, err := w.e.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err == nil {
		w.it = it
	}
	return storage(err)
}

// unknown is the range without the span in which it begins, if nothing was there at
// the version that is read: there is nothing in history, either.
func (w *presentWalk) unknown() engine.Range {
	r := w.rng
	if len(w.spans) == 0 || w.spans[0].at > w.at {
		return r
	}
	x := &w.spans[0]
	switch low, high := bytes.Compare(x.low, r.Low) <= 0, r.High != nil && bytes.Compare(x.high, r.High) >= 0; {
	case low && high:
		r.High = append([]byte{}, r.Low...) // no key at all
	case low && !w.reverse:
		r.Low = x.high
	case high && w.reverse:
		r.High = x.low
	}
	return r
}

// ahead takes the next spans of what is left of the range.
func (w *presentWalk) ahead(newest version) {
	if w.reverse {
		w.spans = w.e.empty.takeBack(w.spans[:0], w.rng.Low, w.rng.High, newest, spansAhead)
	} else {
		w.spans = w.e.empty.take(w.spans[:0], w.rng.Low, w.rng.High, newest, spansAhead)
	}
	w.aim()
}

// aim sets stop for the first of the spans.
func (w *presentWalk) aim() {
	if len(w.spans) == 0 {
		w.stop = nil
		return
	}
	edge := w.spans[0].low
	if w.reverse {
		edge = w.spans[0].high
	}
	w.stop = appendData(w.stop[:0], edge)
}

// step goes to the next row, or the first.
func (w *presentWalk) step() bool {
	if w.plain {
		return step(w.it, w.reverse, true)
	}
	ok := false
	if w.finds {
		ok = w.find()
	} else {
		ok = w.move()
	}
	w.plain = w.stop == nil && !w.finds
	return ok
}

// move goes on and skips the spans that it meets.
func (w *presentWalk) move() bool {
	if w.stop == nil {
		begun := w.begun
		w.begun = true
		return step(w.it, w.reverse, begun)
	}
	state := w.moveUp()
	w.begun = true
	for state == pebble.IterAtLimit {
		state = w.skip()
	}
	return state == pebble.IterValid
}

func (w *presentWalk) moveUp() pebble.IterValidityState {
	switch {
	case w.begun && w.reverse:
		return w.it.PrevWithLimit(w.stop)
	case w.begun:
		return w.it.NextWithLimit(w.stop)
	case !w.reverse:
		return w.it.SeekGEWithLimit(appendData(nil, w.rng.Low), w.stop)
	case w.rng.High == nil:
		return w.it.SeekLTWithLimit([]byte{prefixData + 1}, w.stop)
	}
	return w.it.SeekLTWithLimit(appendData(nil, w.rng.High), w.stop)
}

// skip seeks behind the first of the spans. It has been reached, so the rest of the
// range begins there.
func (w *presentWalk) skip() pebble.IterValidityState {
	w.over = true
	x := w.spans[0]
	w.spans = w.spans[1:]
	switch {
	case w.reverse && bytes.Compare(x.low, w.rng.Low) <= 0:
		return pebble.IterExhausted
	case w.reverse:
		w.rng.High = x.low
	default:
		w.rng.Low = x.high
	}
	if w.rng.Empty() {
		return pebble.IterExhausted
	}
	w.aim()
	if len(w.spans) == 0 {
		w.ahead(w.at) // what was not taken before the iterator was made
	}
	if w.reverse {
		return w.it.SeekLTWithLimit(appendData(nil, w.rng.High), w.stop)
	}
	return w.it.SeekGEWithLimit(appendData(nil, w.rng.Low), w.stop)
}

// find is move, and notes what is empty between the row before and the next.
func (w *presentWalk) find() bool {
	if w.since == nil {
		w.since = w.edge()
	}
	w.over = false
	ok := w.move()
	if !ok && w.it.Error() != nil {
		return false
	}
	steps := w.it.Stats()
	now := steps.ForwardStepCount[pebble.InternalIterCall] + steps.ReverseStepCount[pebble.InternalIterCall]
	if w.over || now-w.steps >= w.e.empty.steps {
		w.note(ok)
	}
	w.steps = now
	if ok {
		w.since = append(w.since[:0], w.it.Key()[1:]...)
		if !w.reverse {
			w.since = append(w.since, 0)
		}
	}
	if w.seen++; w.seen == findsMost {
		w.finds = false
	}
	return ok
}

// edge is where the range begins, for who walks over it.
func (w *presentWalk) edge() []byte {
	if !w.reverse {
		return bytes.Clone(w.rng.Low)
	}
	if w.rng.High == nil {
		w.finds = false // there is no key after all
	}
	return bytes.Clone(w.rng.High)
}

// note adds what is between since and the present row, or the end of the range.
func (w *presentWalk) note(found bool) {
	var key []byte
	if found {
		key = w.it.Key()[1:]
	}
	switch {
	case w.reverse && found:
		w.e.empty.add(append(bytes.Clone(key), 0), w.since, w.at)
	case w.reverse:
		w.e.empty.add(w.rng.Low, w.since, w.at)
	case found:
		w.e.empty.add(w.since, key, w.at)
	case w.rng.High != nil:
		w.e.empty.add(w.since, w.rng.High, w.at)
	}
}
