package workload

import (
	"maps"
	"testing"
)

// TestModel holds the model against the host's files.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	g, line := NewGenerator(1, 2), NewTimeline(1, 2)
	for n := 1; n <= 100; n++ {
		o := g.Next()
		if err := o.Do(dir); err != nil {
			t.Fatalf("%v: %v", o, err)
		}
		found, err := ReadTree(dir)
		if err != nil {
			t.Fatal(err)
		}
		if done, err := line.Match(found, n, 0); err != nil || done != n {
			t.Fatalf("%v: %d, %v", o, done, err)
		}
	}
}

// TestMatch sees that only what may be is accepted.
func TestMatch(t *testing.T) {
	line := NewTimeline(3, 0)
	state := func(operations int) Tree { return maps.Clone(line.states[line.stateAfter(operations)]) }
	if done, err := line.Match(state(12), 10, -1); err != nil || done != 12 {
		t.Errorf("two more: %d, %v", done, err)
	}
	if _, err := line.Match(state(12), 10, 1); err == nil {
		t.Error("two more are taken for one")
	}
	if _, err := line.Match(state(9), 10, -1); err == nil {
		t.Error("a lost operation is not noticed")
	}
	damaged := state(10)
	for name, content := range damaged {
		damaged[name] = content + "x"
		break
	}
	if _, err := line.Match(damaged, 10, -1); err == nil {
		t.Error("damage is not noticed")
	}
	between := line.states[line.stateAfter(10)+1]
	if _, err := line.Match(between, 10, 1); err != nil {
		t.Error(err)
	}
}
