package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
)

// window is how many operations beyond the last that the host knows to be
// acknowledged may have been done: acknowledgements wait in the console's buffers.
const window = 1000

// Timeline is all the states that the files of one worker pass through.
type Timeline struct {
	generator *Generator
	states    []Tree
	after     []int // by operation: the index of the state when it is done
}

// NewTimeline starts with no files.
func NewTimeline(seed uint64, worker int) *Timeline {
	return &Timeline{generator: NewGenerator(seed, worker), states: []Tree{{}}}
}

// extend adds the states of one more operation.
func (t *Timeline) extend() {
	for _, change := range t.generator.Next().changes() {
		next := maps.Clone(t.states[len(t.states)-1])
		change(next)
		t.states = append(t.states, next)
	}
	t.after = append(t.after, len(t.states)-1)
}

// Match finds the state that a worker's files are in. The first acknowledged
// operations (a number, not an index) must be there, and at most as many more as
// the given limit, the last of them perhaps in part; a negative limit allows
// for what a console may hold back. It returns how many operations are there in
// full.
func (t *Timeline) Match(found Tree, acknowledged, limit int) (int, error) {
	if limit < 0 {
		limit = window
	}
	for at, done := t.stateAfter(acknowledged), acknowledged; ; at++ {
		for len(t.after) <= done {
			t.extend()
		}
		if at >= t.after[done] {
			done++
		}
		if maps.Equal(t.states[at], found) {
			return done, nil
		}
		if done >= acknowledged+limit {
			break
		}
	}
	return 0, fmt.Errorf("after %d acknowledged operations the files are in no state that may be:%s",
		acknowledged, describe(found, t.states[t.stateAfter(acknowledged)]))
}

// stateAfter returns the index of the state after that many operations.
func (t *Timeline) stateAfter(operations int) int {
	for len(t.after) < operations {
		t.extend()
	}
	if operations == 0 {
		return 0
	}
	return t.after[operations-1]
}

// describe shows in what a tree differs from another.
func describe(found, want Tree) string {
	text := ""
	all := maps.Clone(want)
	maps.Copy(all, found)
	for _, name := range all.sortedNames() {
		f, there := found[name]
		w, wanted := want[name]
		if there != wanted || f != w {
			text += fmt.Sprintf("\n\t%s: found %v %d bytes, acknowledged %v %d bytes", name, there, len(f), wanted, len(w))
		}
	}
	return text
}

// Digest names the files of all workers.
func Digest(workers []Tree) string {
	h := sha256.New()
	for i, t := range workers {
		for _, name := range t.sortedNames() {
			fmt.Fprintf(h, "%d %s %d\n%s", i, name, len(t[name]), t[name])
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
