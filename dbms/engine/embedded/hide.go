package embedded

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// hide is a restore: since until, the keys of r are as they were at to, but for
// what was written later.
//
//	'm' 'h' until(8) index(1)  ->   0        1    2     10
//	                               ├────────┼────┼─────┼──────────────────────────
//	                                format   kind  to   low, high: each its length
//	                                                    (uvarint) and bytes
//
// kind: hideEndless if the range has no end, hideRepaired once all is stored as
// it is to be seen. index tells the restores of one transaction apart.
//
// # What is to be seen
//
// A restore changes no row. So let E be what is stored of a key at t: the row in
// effect, or an absence, and since when. Then the key at t is found like this:
//
//	for h = the newest restore of the key with h.until <= t:
//	    none:                  E
//	    E.since >= h.until:    E: it came after the restore
//	    otherwise              t = h.to;  if E.since > t, E is what is stored at t;  again
//
// # Repair
//
// Behind a restore, a repair goes through the keys of its range and stores what
// is to be seen: the row that was in effect ends at h.until, and a copy of the
// one at h.to begins there (rowRestored). A transaction that writes a key does
// the same first. This never makes a key look different, and so readers need not
// know whether it was before or after. Once all keys are done the restore is not
// looked at any more, except by History and Changes.
//
// Invariants:
//
//  1. Of each key, what is stored up to the restores that are not repaired is as
//     if these had not happened, or it is as it is to be seen.
//  2. Restores are repaired from old to new.
//  3. The horizon is not beyond the to of a restore that is not repaired.
type hide struct {
	r         engine.Range
	to, until version // to is noVersion for the time before the first transaction
	index     byte
	repaired  bool // guarded by being replaced, see hideList
}

const (
	hideFormat   = 1
	hideEndless  = 1 << 0
	hideRepaired = 1 << 1
	hideKinds    = hideEndless | hideRepaired

	maxRestores = 256 // of one transaction
)

var errHide = errors.New("malformed record of a restore")

// shown and shownTo are how the seam shows range and version.
func (h *hide) shown() *engine.Range {
	return &engine.Range{Low: slices.Clone(h.r.Low), High: slices.Clone(h.r.High)}
}

func (h *hide) shownTo() engine.Version {
	if h.to == noVersion {
		return ""
	}
	return h.to.external()
}

func (h *hide) storeKey() []byte { return append(h.until.append(metaKey(metaHide)), h.index) }

func (h *hide) encode() []byte {
	kind := byte(0)
	if h.r.High == nil {
		kind |= hideEndless
	}
	if h.repaired {
		kind |= hideRepaired
	}
	b := h.to.append([]byte{hideFormat, kind})
	return appendText(appendText(b, string(h.r.Low)), string(h.r.High))
}

// parseHide reads a record; key is without its two first bytes.
func parseHide(key, value []byte) (*hide, error) {
	if len(key) != versionSize+1 {
		return nil, errHide
	}
	d := decoder{rest: value}
	format, kind := d.byte(), d.byte()
	h := &hide{to: d.version(), until: readVersion(key), index: key[versionSize]}
	h.r.Low, h.r.High = d.run(), d.run()
	h.repaired = kind&hideRepaired != 0
	if d.failed || len(d.rest) > 0 || format != hideFormat || kind&^hideKinds != 0 || h.to >= h.until {
		return nil, errHide
	}
	h.r.Low, h.r.High = slices.Clone(h.r.Low), slices.Clone(h.r.High)
	if kind&hideEndless != 0 {
		if len(h.r.High) > 0 {
			return nil, errHide
		}
		h.r.High = nil
	}
	return h, nil
}

// hideList is the restores that are within the time that is kept. Slices are
// never changed, only replaced; the commit lock is held for that.
type hideList struct {
	all    atomic.Pointer[[]*hide] // oldest first
	active atomic.Pointer[[]*hide] // those not repaired
}

func (l *hideList) kept() []*hide {
	if p := l.all.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *hideList) unrepaired() []*hide {
	if p := l.active.Load(); p != nil {
		return *p
	}
	return nil
}

// set replaces the list.
func (l *hideList) set(all []*hide) {
	slices.SortFunc(all, func(a, b *hide) int {
		return cmp.Or(cmp.Compare(a.until, b.until), cmp.Compare(a.index, b.index))
	})
	var active []*hide
	for _, h := range all {
		if !h.repaired {
			active = append(active, h)
		}
	}
	l.active.Store(&active)
	l.all.Store(&all)
}

// add appends the restores of a transaction.
func (l *hideList) add(restores []*hide) {
	l.set(slices.Concat(l.kept(), restores))
}

// replace puts a new state of h into the list, or takes h out if that is nil.
func (l *hideList) replace(h, next *hide) {
	all := slices.Clone(l.kept())
	i := slices.Index(all, h)
	if i < 0 {
		return
	}
	if next != nil {
		all[i] = next
	} else {
		all = slices.Delete(all, i, i+1)
	}
	l.set(all)
}

func (l *hideList) load(db pebble.Reader) error {
	var all []*hide
	err := eachMeta(db, metaHide, func(key, value []byte) error {
		h, err := parseHide(key, value)
		all = append(all, h)
		return err
	})
	if err == nil {
		l.set(all)
	}
	return err
}

// coveredBy tells whether one of the restores is of key.
func coveredBy(hides []*hide, key []byte) bool {
	for _, h := range hides {
		if h.r.Contains(key) {
			return true
		}
	}
	return false
}

// newest is the newest restore of key up to t, nil if there is none.
func newest(hides []*hide, key []byte, t version) *hide {
	for i := len(hides) - 1; i >= 0; i-- {
		if h := hides[i]; h.until <= t && h.r.Contains(key) {
			return h
		}
	}
	return nil
}

// resolve finds what is to be seen of key at t; stored tells what is stored at a
// moment. See hide.
func resolve(hides []*hide, key []byte, t version, stored func(version) (state, error)) (state, error) {
	s, err := stored(t)
	for err == nil {
		h := newest(hides, key, t)
		if h == nil || s.since >= h.until {
			return s, nil
		}
		if t = h.to; s.since > t {
			s, err = stored(t)
		}
	}
	return state{}, err
}

// visible is what is to be seen of key at t. The row is valid until release.
func (r *reader) visible(key []byte, t version) (state, error) {
	return resolve(r.active, key, t, func(t version) (state, error) { return r.physical(key, t) })
}

// getHidden is Get for a key that was restored.
func (r *reader) getHidden(key []byte) ([]byte, bool, error) {
	s, err := r.visible(key, r.at)
	if err != nil {
		return nil, false, err
	}
	return s.value, s.present, r.e.retention.check(key, r.at)
}
