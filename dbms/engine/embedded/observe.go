package embedded

import (
	"slices"
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/engine"
)

// observers are told of what is committed. The list is replaced as a whole, with the
// commit lock held. Without any, a transaction pays one atomic load for them.
type observers struct{ list atomic.Pointer[[]*observer] }

type observer struct {
	engine.Observer
	ranges []engine.Range
}

// Observe has o told of changes in the ranges.
func (e *Engine) Observe(o engine.Observer, ranges ...engine.Range) (stop func()) {
	entered := &observer{Observer: o, ranges: slices.Clone(ranges)}
	e.observers.change(e, func(list []*observer) []*observer { return append(list, entered) })
	return func() {
		e.observers.change(e, func(list []*observer) []*observer {
			return slices.DeleteFunc(list, func(x *observer) bool { return x == entered })
		})
	}
}

func (s *observers) change(e *Engine, fn func([]*observer) []*observer) {
	e.commit.Lock()
	defer e.commit.Unlock()
	var list []*observer
	if old := s.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = fn(list)
	s.list.Store(&list)
}

// show tells of a transaction that was committed just now, so that views which begin
// from now on see it, too.
func (s *observers) show(t *tx) {
	list := s.list.Load()
	if list == nil {
		return
	}
	for _, o := range *list {
		if o.show(t) {
			t.observed = append(t.observed, o)
		}
	}
}

// show returns whether there was something to tell.
func (o *observer) show(t *tx) (told bool) {
	gone := t.gone
	for i := range t.keys.len() {
		deleted := len(gone) > 0 && gone[0] == i
		if deleted {
			gone = gone[1:]
		}
		if key := t.keys.at(i); o.watches(key) {
			o.Changed(key, deleted)
			told = true
		}
	}
	for _, h := range t.restores {
		if slices.ContainsFunc(o.ranges, h.r.Overlaps) {
			o.Restored(h.r)
			told = true
		}
	}
	return told
}

func (o *observer) watches(key []byte) bool {
	for i := range o.ranges {
		if o.ranges[i].Contains(key) {
			return true
		}
	}
	return false
}
