package history

import (
	"fmt"
	"slices"
	"strings"
)

// Check returns the anomalies of a history whose Order is known.
func (h *History) Check() []Anomaly {
	owner, err := h.writers()
	if err != nil {
		return []Anomaly{{"garbage", err.Error()}}
	}
	c := &checker{History: h, owner: owner, took: h.committed(), places: map[write]int{}}
	for key, states := range h.Order {
		for i, s := range states {
			if s.Found {
				c.places[write{key, s.Value}] = i
			}
		}
	}
	c.values()
	c.edges()
	c.realTime()
	c.versions()
	c.cycles()
	return c.bad
}

type checker struct {
	*History
	owner  map[write]writer
	took   []bool        // effect, by transaction
	places map[write]int // of values, in the order of their keys
	graph  [][]edge
	bad    []Anomaly
}

func (c *checker) report(kind, format string, args ...any) {
	c.bad = append(c.bad, Anomaly{kind, fmt.Sprintf(format, args...)})
}

// read is what a transaction saw of a key that it had not written.
type read struct {
	key, value string
	found      bool
	ranged     bool // as the member of a range, or missing from it
}

// reads returns what a transaction has read of others, once for each key, after
// checking that it agrees with itself.
func (c *checker) reads(i int) (all []read) {
	own, seen := map[string]Op{}, map[string]read{}
	for _, op := range c.Txns[i].Ops {
		if op.Write {
			own[op.Key] = op
			continue
		}
		for _, r := range c.expand(op) {
			if w, mine := own[r.key]; mine {
				if w.Found != r.found || w.Value != r.value {
					c.report("internal", "%s wrote %s=%s and then read %s", c.name(i), r.key, show(w.Value, w.Found), show(r.value, r.found))
				}
				continue
			}
			before, again := seen[r.key]
			if again && (before.value != r.value || before.found != r.found) {
				c.report("internal", "%s read %s=%s and then %s", c.name(i), r.key, show(before.value, before.found), show(r.value, r.found))
			}
			if !again {
				seen[r.key] = r
				all = append(all, r)
			}
		}
	}
	return all
}

func show(value string, found bool) string {
	if !found {
		return "nothing"
	}
	return value
}

// expand makes reads of single keys of an operation: a range is one of each key
// in it that ever was.
func (c *checker) expand(op Op) (all []read) {
	if !op.Range {
		return []read{{key: op.Key, value: op.Value, found: op.Found}}
	}
	there := map[string]bool{}
	for _, p := range op.Pairs {
		there[p.Key] = true
		all = append(all, read{key: p.Key, value: p.Value, found: true, ranged: true})
	}
	for key := range c.Order {
		if key >= op.Low && (op.High == "" || key < op.High) && !there[key] {
			all = append(all, read{key: key, ranged: true})
		}
	}
	return all
}

// values finds what is wrong with single values.
func (c *checker) values() {
	for i, t := range c.Txns {
		if !c.took[i] {
			continue
		}
		for _, r := range c.reads(i) {
			if r.found {
				c.value(i, r)
			}
		}
		for _, op := range t.Ops {
			if _, placed := c.places[write{op.Key, op.Value}]; op.Write && op.Found && finalIn(&t, op) && !placed {
				c.report("lost", "%s wrote %s=%s, which is nowhere", c.name(i), op.Key, op.Value)
			}
		}
	}
}

// value judges a value that was read.
func (c *checker) value(i int, r read) {
	w, known := c.owner[write{r.key, r.value}]
	switch {
	case !known:
		c.report("garbage", "%s read %s=%s, which nobody wrote", c.name(i), r.key, r.value)
	case c.Txns[w.txn].Outcome == Aborted:
		c.report("G1a", "%s read %s=%s of %s, which was aborted", c.name(i), r.key, r.value, c.name(w.txn))
	case !w.final && w.txn != i:
		c.report("G1b", "%s read %s=%s of %s, which then wrote another value", c.name(i), r.key, r.value, c.name(w.txn))
	}
}

func (c *checker) name(i int) string {
	if name := c.Txns[i].Name; name != "" {
		return fmt.Sprintf("T%d (%s)", i, name)
	}
	return fmt.Sprintf("T%d", i)
}

// kind is a set of kinds of edges.
type kind int

const (
	ww kind = 1 << iota
	wr
	rw
	prw
	rt
)

var kindNames = map[kind]string{ww: "ww", wr: "wr", rw: "rw", prw: "prw", rt: "rt"}

// edge leads to a transaction that must come later.
type edge struct {
	to   int
	kind kind
	key  string
}

func (c *checker) add(from, to int, k kind, key string) {
	if from != to && c.took[from] && c.took[to] {
		c.graph[from] = append(c.graph[from], edge{to: to, kind: k, key: key})
	}
}

// edges infers what must come before what.
func (c *checker) edges() {
	c.graph = make([][]edge, len(c.Txns))
	for key, states := range c.Order {
		for i := 1; i < len(states); i++ {
			c.add(states[i-1].Txn, states[i].Txn, ww, key)
		}
	}
	for i := range c.Txns {
		if !c.took[i] {
			continue
		}
		for _, r := range c.reads(i) {
			c.readEdges(i, r)
		}
	}
}

func (c *checker) readEdges(i int, r read) {
	states := c.Order[r.key]
	at, clear := c.place(r)
	if !clear {
		return
	}
	if at >= 0 {
		c.add(states[at].Txn, i, wr, r.key)
	}
	next := at + 1
	for next < len(states) && states[next].Txn == i {
		next++ // it has read, and then written itself
	}
	if next < len(states) {
		k := rw
		if r.ranged && !r.found {
			k = prw
		}
		c.add(i, states[next].Txn, k, r.key)
	}
}

// place is which of the states of its key was read, -1 being the absence in the
// beginning. It is not clear if the key was absent more than once.
func (c *checker) place(r read) (at int, clear bool) {
	if r.found {
		at, clear = c.places[write{r.key, r.value}]
		return at, clear
	}
	deleted := slices.ContainsFunc(c.Order[r.key], func(s State) bool { return !s.Found })
	return -1, !deleted
}

// realTime adds edges from those that had returned to those that began later,
// but not where others lie between.
func (c *checker) realTime() {
	type event struct {
		at   int64
		end  bool
		txn  int
		from int64
	}
	var events []event
	for i, t := range c.Txns {
		if c.took[i] && !t.Past {
			events = append(events, event{at: t.Start, txn: i}, event{at: t.End, end: true, txn: i, from: t.Start})
		}
	}
	slices.SortFunc(events, func(a, b event) int {
		switch {
		case a.at != b.at:
			return int(max(-1, min(1, a.at-b.at)))
		case a.end == b.end:
			return a.txn - b.txn
		case a.end:
			return 1 // at the same moment: not before
		}
		return -1
	})
	var returned []event
	for _, e := range events {
		if !e.end {
			for _, before := range returned {
				c.add(before.txn, e.txn, rt, "")
			}
			continue
		}
		returned = slices.DeleteFunc(returned, func(x event) bool { return x.at < e.from })
		returned = append(returned, e)
	}
}

// versions holds the edges against the versions that the engine gave.
func (c *checker) versions() {
	for i, list := range c.graph {
		from := &c.Txns[i]
		for _, e := range list {
			to := &c.Txns[e.to]
			if from.Version == "" || to.Version == "" || e.kind == rt && from.ReadOnly {
				continue
			}
			late := from.Version >= to.Version
			if to.ReadOnly && !from.ReadOnly || from.ReadOnly && to.ReadOnly {
				late = from.Version > to.Version
			}
			if late {
				c.report("order", "%s must come before %s (%s %s), and has version %x, the other %x",
					c.name(i), c.name(e.to), kindNames[e.kind], e.key, from.Version, to.Version)
			}
		}
	}
}

// describe is a cycle for people.
func (c *checker) describe(cycle []step) string {
	var b strings.Builder
	for _, s := range cycle {
		fmt.Fprintf(&b, "%s -%s %s-> ", c.name(s.from), kindNames[s.kind], s.key)
	}
	if len(cycle) > 0 {
		b.WriteString(c.name(cycle[0].from))
	}
	return b.String()
}
