package kernel

import (
	"math/rand"
	"testing"
	"time"
)

// However often the counter goes round, its frequency and the TSC's are found, if
// the one known so far is good enough to tell how often.
func TestRefined(t *testing.T) {
	r := rand.New(rand.NewSource(seed(t)))
	for range 100_000 {
		c := []reference{{hz: 3579545, mask: 1<<24 - 1}, {hz: 3579545, mask: 1<<32 - 1}, {hz: 100_000_000, mask: 1<<32 - 1}, {hz: 14318180, mask: 1<<32 - 1}}[r.Intn(4)]
		hz := 1e9 + r.Float64()*4e9
		seconds := 0.05 + r.Float64()*[]float64{1, 10, 1000}[r.Intn(3)]
		known := uint64(hz * (1 + (r.Float64()-0.5)*2e-4))
		from := reading{r.Uint64() & c.mask, r.Uint64() >> 8}
		to := reading{(from.count + uint64(seconds*float64(c.hz))) & c.mask, from.tsc + uint64(seconds*hz)}
		got := float64(c.refined(from, to, known))
		if off := got/hz - 1; off > 1e-5 || off < -1e-5 {
			t.Fatalf("%+v over %.3f s: %.0f Hz, want %.0f", c, seconds, got, hz)
		}
	}
	if c := (reference{hz: 1, mask: 1<<24 - 1}); c.refined(reading{}, reading{}, 1) != 0 {
		t.Error("a frequency of nothing")
	}
}

// A change of pace is none of the time.
func TestSetPace(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	*clockWord(8) = rdtsc()
	*clockWord(16) = (1e9 << 32) / 2e9
	stop := make(chan bool)
	done := make(chan int64)
	go func() {
		last, worst := monotonic(), int64(0)
		for {
			select {
			case <-stop:
				done <- worst
				return
			default:
			}
			now := monotonic()
			worst = max(worst, last-now)
			last = now
		}
	}()
	start, began := monotonic(), time.Now()
	for time.Since(began) < 50*time.Millisecond {
		sched.lock()
		setPace(uint64(2e9 + m.Intn(2e6)))
		sched.unlock()
	}
	took, passed := monotonic()-start, float64(time.Since(began))
	close(stop)
	if back := <-done; back > 0 {
		t.Errorf("the clock went back by %d ns", back)
	}
	if took <= 0 || float64(took) > 10*passed {
		t.Errorf("%d ns passed in %.0f", took, passed)
	}
}
