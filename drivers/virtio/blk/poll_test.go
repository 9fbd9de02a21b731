package blk

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tuplix/tuplix/drivers/virtio/internal/model"
)

// TestLatency plays devices and schedulers of which an answer takes so long when it is
// polled for, and so long by an interrupt.
func TestLatency(t *testing.T) {
	const us = time.Microsecond
	for name, c := range map[string]struct {
		polled, told time.Duration
		polls        bool
	}{
		"interrupts cost more than the device": {30 * us, 100 * us, true},
		"less":                                 {60 * us, 100 * us, false},
		"a processor that is busy":             {200 * us, 650 * us, true},
		"a slow device":                        {2000 * us, 2050 * us, false},
		"a slow device, a busy processor":      {2000 * us, 10_000 * us, false},
	} {
		t.Run(name, func(t *testing.T) {
			// Whatever was true before, the cheaper way is found.
			for _, l := range []latency{{}, {polled: us, told: 10_000 * us}, {polled: 10_000 * us, told: us}, {polled: 1, told: 1}} {
				for range 2000 {
					l.play(c.polled, c.told)
				}
				polls := 0
				for range 10 * pollTry {
					if l.play(c.polled, c.told) {
						polls++
					}
				}
				if got := polls > 5*pollTry; got != c.polls || polls > 10*(pollTry-1) {
					t.Errorf("polled for %d of %d: %+v", polls, 10*pollTry, l)
				}
			}
		})
	}
}

// play lets one request be answered, and reports whether it was polled for.
func (l *latency) play(polled, told time.Duration) bool {
	limit := l.choose()
	switch {
	case limit == 0:
		l.note(told, false)
	case limit < polled:
		l.note(limit+told, true)
	default:
		l.note(polled, true)
	}
	return limit > 0
}

// TestOutliers has one request in ten take a hundred times as long, as behind the
// tables that a compaction writes.
func TestOutliers(t *testing.T) {
	var l latency
	polls := 0
	for i := range 1000 {
		slow := time.Duration(1)
		if i%10 == 0 {
			slow = 100
		}
		if l.play(slow*100*time.Microsecond, slow*500*time.Microsecond) {
			polls++
		}
	}
	if polls < 900 {
		t.Errorf("polled for %d of 1000: %+v", polls, l)
	}
}

// TestPoll takes answers back without interrupts, and gives up waiting for one.
func TestPoll(t *testing.T) {
	const rounds = 50
	d := newDisk(everything, 1<<20)
	kept := make(chan *model.Chain, 1)
	d.Handle = func(_ int, c *model.Chain) (int, bool) { kept <- c; return 0, true }
	dev := d.open(t)
	for range rounds {
		r, w := dev.polled(t, time.Hour)
		go func() { d.Queue(0).Return(<-kept, 1) }()
		if _, answered := dev.poll(r, w); !answered {
			t.Fatal("given up within an hour")
		}
		dev.poller.polls.Store(false)
	}
	// The goroutine that serves interrupts may ask for one when it starts.
	if n := d.Machine.Interrupts(); n > 1 {
		t.Errorf("%d interrupts for %d answers", n, rounds)
	}
	r, w := dev.polled(t, 1)
	done := make(chan error)
	go func() { done <- dev.finish(r, w) }()
	for dev.poller.polls.Load() {
		time.Sleep(time.Millisecond)
	}
	d.Queue(0).Return(<-kept, 1)
	if err := <-done; err == nil {
		t.Error("an answer without a status was taken for success")
	}
}

// polled submits a request that is polled for, up to limit.
func (d *Device) polled(t *testing.T, limit time.Duration) (*request, watch) {
	t.Helper()
	r := d.prepare(typeFlush, nil, 0)
	if err := d.submit(r); err != nil {
		t.Fatal(err)
	}
	d.poller.kinds[0] = latency{polled: 1, told: time.Hour}
	w := d.watch(r)
	if w.limit == 0 {
		t.Fatal("not polled for")
	}
	w.limit = limit
	d.queue.Kick()
	return r, w
}

// TestPolledConcurrently has many goroutines poll, give up, and take one another's
// answers back, on a device that answers late, out of order and on goroutines of its
// own. One answer that is lost is one goroutine that never returns.
func TestPolledConcurrently(t *testing.T) {
	for _, workers := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			d := newDisk(everything, 1<<20)
			d.Handle = func(q int, c *model.Chain) (int, bool) {
				go func() {
					time.Sleep(time.Duration(rand.IntN(3)) * 20 * time.Microsecond)
					n, _ := d.handle(q, c)
					c.Queue().Return(c, n)
				}()
				return 0, true
			}
			dev := d.open(t)
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					buf := make([]byte, unit)
					for i := range 2000 {
						if i%100 == 0 {
							dev.poller.mu.Lock()
							for k := range dev.poller.kinds {
								dev.poller.kinds[k] = latency{polled: time.Duration(1+rand.IntN(60)) * time.Microsecond, told: time.Hour}
							}
							dev.poller.mu.Unlock()
						}
						if _, err := dev.WriteAt(buf, int64(w)*unit); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if n := dev.queue.InFlight(); n != 0 {
				t.Errorf("%d requests left in flight", n)
			}
		})
	}
}
