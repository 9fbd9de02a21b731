package kernel

import "testing"

// The thread that reports a panic has its processor, and its time, to itself:
// whatever it wakes and waits for, its own waits end, and the report does.
func TestTakeOver(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	c := cpuAt(0)
	p := m.room(1)
	const sleepers = 5
	var asleep []int32
	for range sleepers {
		m.spawn()
		asleep = append(asleep, c.current)
		*at[int64](p), *at[int64](p + 8) = 1, 0
		m.call(c, nrNanosleep, p, 0)
	}
	if c.timers != sleepers {
		t.Fatalf("%d timers", c.timers)
	}
	m.spawn()
	reporter := c.current
	crashing.Store(true)
	crasher.Store(c.id + 1)
	const patience = int64(10e9)
	until := m.now() + patience
	c.takeOver(reporter, until)
	if c.armed != until {
		t.Errorf("the timer is armed for %d, want %d", c.armed, until)
	}

	// It wakes some of those that waited for a time, and waits for one itself.
	sched.lock()
	for _, i := range asleep[:3] {
		ready(c, i, false)
	}
	sched.unlock()
	*at[int64](p), *at[int64](p + 8) = 0, 1e6
	m.call(c, nrNanosleep, p, 0)
	if c.timers != 1 || c.timerAt(0) != reporter {
		t.Fatalf("%d timers after it went to sleep", c.timers)
	}
	m.pass(2e6)
	if threadAt(reporter).state == threadBlocked {
		t.Error("it sleeps on")
	}

	// It waits for what nobody gives it: there is still an end.
	for c.current != nobody {
		m.call(c, nrFutex, p, 0, uintptr(*at[uint32](p)), 0)
	}
	if c.armed > until {
		t.Errorf("with nothing to run the timer is armed for %d, want %d", c.armed, until)
	}
}
