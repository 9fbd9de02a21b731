package linux

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestIdleConnections sees that ten thousand connections that say nothing cost under 10 KB for
// each end and no processor time: descriptor, socket and the stack's endpoint, without
// what a program adds, such as a goroutine that waits.
func TestIdleConnections(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own account")
	}
	const (
		n        = 10_000 // connections, each with two ends here
		most     = 10_000 // bytes for each end
		watched  = time.Second
		idleMost = watched / 100 // of the processor
	)
	p := newSocketPoller(t)
	l, bound := p.listen(name4("127.0.0.1", 0), 128)
	before, goroutines := memoryInUse(), runtime.NumGoroutine()
	ends := make([]int, 0, 2*n)
	for range n {
		c, e := p.connect(bound)
		ends = append(ends, p.must(c, e), p.accept(l))
	}
	each := (memoryInUse() - before) / int64(len(ends))
	t.Logf("%d bytes for each end", each)
	if each > most {
		t.Errorf("an end of an idle connection takes %d bytes, more than %d", each, most)
	}
	if more := runtime.NumGoroutine() - goroutines; more > 20 {
		t.Errorf("%d goroutines for %d idle connections", more, n)
	}
	begun := processorTime(t)
	time.Sleep(watched) // nothing is waited for: nothing is to happen
	used := processorTime(t) - begun
	t.Logf("%v of the processor in %v", used, watched)
	if used > idleMost {
		t.Errorf("idle connections take %v of the processor in %v", used, watched)
	}
	for _, fd := range ends {
		p.close(fd)
	}
}

// memoryInUse is what heap and stacks hold at rest, in bytes: each collection halves stacks
// that are larger than they need to be.
func memoryInUse() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
