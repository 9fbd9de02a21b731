package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Outcome is what became of a transaction.
type Outcome int

// A transaction of unknown outcome counts as committed if a write of it is in the
// order of a key.
const (
	Committed Outcome = iota
	Aborted
	Unknown
)

// Op is a read or a write of a key, or a read of a range.
type Op struct {
	Write bool
	Key   string // of a single key
	Value string // written or read
	Found bool   // false: deleted, or not there

	Range     bool // the keys from Low on, below High, were read
	Low, High string
	Pairs     []Pair // that were found
}

// Pair is a key and its value.
type Pair struct{ Key, Value string }

// Txn is one transaction.
type Txn struct {
	Ops      []Op
	Outcome  Outcome
	Start    int64 // of its call, by any clock that all share
	End      int64 // of its return
	Version  string
	ReadOnly bool // Version is the state that was read, not one that it made
	Past     bool // an old state was asked for: real time says nothing
	Name     string
}

// State is one of the values that a key has had.
type State struct {
	Value string
	Found bool // false: the key was deleted
	Txn   int  // who made it
}

// History is what was recorded.
type History struct {
	Txns []Txn

	// Order has the states of each key in their order, without the absence in
	// the beginning.
	Order map[string][]State
}

// Anomaly is something that no serial order explains.
type Anomaly struct {
	Kind string
	Why  string // for people
}

func (a Anomaly) String() string { return a.Kind + ": " + a.Why }

// write names a value of a key.
type write struct{ key, value string }

// writer is who wrote it, and whether it stayed until the end.
type writer struct {
	txn   int
	final bool
}

// writers finds who wrote what. Deletions are not in it.
func (h *History) writers() (map[write]writer, error) {
	found := map[write]writer{}
	for i, t := range h.Txns {
		last := map[string]write{}
		for _, op := range t.Ops {
			if !op.Write {
				continue
			}
			if before, ok := last[op.Key]; ok {
				found[before] = writer{txn: i}
			}
			delete(last, op.Key)
			if !op.Found {
				continue
			}
			w := write{op.Key, op.Value}
			if other, twice := found[w]; twice {
				return nil, fmt.Errorf("value %q of key %q is written by transactions %d and %d", op.Value, op.Key, other.txn, i)
			}
			found[w] = writer{txn: i, final: true}
			last[op.Key] = w
		}
	}
	return found, nil
}

// ListOrder infers the order of keys whose values are lists, in which each
// transaction appends to what it has read: "1", "1,2", "1,2,3". Of each key the
// longest value that was read, or written by who committed, has all the others as
// prefixes; if not, that is an anomaly.
func (h *History) ListOrder() []Anomaly {
	owner, err := h.writers()
	if err != nil {
		return []Anomaly{{"garbage", err.Error()}}
	}
	longest := map[string]string{}
	values := h.observed()
	for _, w := range values {
		if len(w.value) > len(longest[w.key]) {
			longest[w.key] = w.value
		}
	}
	var bad []Anomaly
	for _, w := range values {
		if !isPrefix(w.value, longest[w.key]) {
			bad = append(bad, Anomaly{"incompatible order", fmt.Sprintf("key %s was both %s and %s", w.key, w.value, longest[w.key])})
		}
	}
	h.Order = map[string][]State{}
	for key, list := range longest {
		for i := range len(list) + 1 {
			if i < len(list) && list[i] != ',' {
				continue
			}
			if w, known := owner[write{key, list[:i]}]; known && w.final {
				h.Order[key] = append(h.Order[key], State{Value: list[:i], Found: true, Txn: w.txn})
			}
		}
	}
	return bad
}

func isPrefix(list, of string) bool {
	return list == of || strings.HasPrefix(of, list+",")
}

// observed are all values that others than their writer have read, or that were
// written by who committed.
func (h *History) observed() (all []write) {
	for _, t := range h.Txns {
		if t.Outcome != Aborted {
			all = append(all, observedBy(&t)...)
		}
	}
	slices.SortFunc(all, func(a, b write) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value))
	})
	return slices.Compact(all)
}

func observedBy(t *Txn) (all []write) {
	own := map[string]bool{}
	for _, op := range t.Ops {
		for _, p := range op.Pairs {
			if !own[p.Key] {
				all = append(all, write{p.Key, p.Value})
			}
		}
		if op.Range {
			continue
		}
		own[op.Key] = own[op.Key] || op.Write
		if op.Write && t.Outcome == Committed && finalIn(t, op) || !op.Write && op.Found && !own[op.Key] {
			all = append(all, write{op.Key, op.Value})
		}
	}
	return all
}

// finalIn reports whether op is the last write of its key in t.
func finalIn(t *Txn, op Op) bool {
	for _, o := range slices.Backward(t.Ops) {
		if o.Write && o.Key == op.Key {
			return o.Found && o.Value == op.Value
		}
	}
	return false
}

// committed reports which transactions took effect, as far as can be told.
func (h *History) committed() []bool {
	yes := make([]bool, len(h.Txns))
	for i, t := range h.Txns {
		yes[i] = t.Outcome == Committed
	}
	for _, states := range h.Order {
		for _, s := range states {
			if h.Txns[s.Txn].Outcome == Unknown {
				yes[s.Txn] = true
			}
		}
	}
	return yes
}
