package kernel

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What must be done before the program dies is done once, whoever fails, and no
// longer than a dying program can wait.
func TestLastWill(t *testing.T) {
	newTestMachine(t, 1024, 1)
	var n atomic.Int32
	w := lastWill{f: func() { time.Sleep(10 * time.Millisecond); n.Add(1) }, patience: time.Minute, done: make(chan struct{})}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			w.carryOut()
			if n.Load() != 1 {
				t.Error("it returns before it is done")
			}
		})
	}
	all.Wait()
	if n.Load() != 1 {
		t.Errorf("it was done %d times", n.Load())
	}
	defer func(e, d func()) { exit, dying = e, d }(exit, dying)
	OnExit(func() { n.Add(1) })
	exit()
	dying()
	dying()
	if n.Load() != 3 {
		t.Errorf("what OnExit was given was done %d times, want 2", n.Load()-1)
	}
	release := make(chan struct{})
	defer close(release)
	stuck := lastWill{f: func() { <-release }, patience: time.Millisecond, done: make(chan struct{})}
	stuck.carryOut()
	if !strings.Contains(string(Log()), "could not be saved in time") {
		t.Errorf("it gives up without a word: %q", Log())
	}
}
