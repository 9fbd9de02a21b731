package blk

import (
	"sync"
	"sync/atomic"
	"time"
)

// Whoever waits for a request can be told of the answer by an interrupt, or can keep
// the processor and look for it (poll). An interrupt costs the way through the kernel
// and the scheduler, and, where other goroutines calculate, the time until one of them
// makes room; polling costs the processor for as long as the device takes. Which is
// less differs by a hundred between machines and from one moment to the next, so both
// are measured, for each kind of request, and the cheaper is taken.
const (
	// pollLongest is how long one polls at most: the goroutines that wait for the
	// processor meanwhile should not notice.
	pollLongest = 300 * time.Microsecond
	// pollTry is how many requests go the cheaper way before one goes the other, to
	// see whether it has become cheaper.
	pollTry = 32
	// pollSize is the most bytes of a request that may be polled for. Larger ones are
	// written and read in the background, or ahead, by who has other work.
	pollSize = 64 << 10
	// latencyStep is the part of itself by which a median moves.
	latencyStep = 8
)

// poller decides how answers are awaited. A request is polled for only while it is the
// only one in flight: several are answered by few interrupts.
type poller struct {
	polls atomic.Bool // somebody polls, and has told the device not to interrupt

	mu    sync.Mutex
	kinds [3]latency
}

// latency is how long the requests of one kind take until whoever waits for them runs.
// Medians, since a request that comes behind a table that is written takes a hundred
// times as long as others and says nothing of them.
type latency struct {
	polled, told time.Duration // 0: not known
	requests     uint          // since the way that seemed dearer was tried
}

// watch is how one request is awaited, and since when.
type watch struct {
	kind  *latency // nil: by an interrupt, and nothing is learnt
	limit time.Duration
	begun time.Time
}

// kind returns where the latency of requests like r is kept, nil for those that are
// never polled for.
func (p *poller) kind(r *request) *latency {
	switch {
	case r.kind == typeFlush:
		return &p.kinds[0]
	case len(r.data) > pollSize:
	case r.kind == typeOut:
		return &p.kinds[1]
	case r.kind == typeIn:
		return &p.kinds[2]
	}
	return nil
}

// choose returns how long to poll for the next request, 0 for an interrupt.
func (l *latency) choose() time.Duration {
	poll := l.told != 0 && l.polled <= min(pollLongest, l.told-l.polled)
	if l.requests++; l.requests >= pollTry && l.polled != 0 {
		l.requests = 0
		poll = !poll
	}
	switch {
	case !poll:
		return 0
	case l.polled == 0:
		return pollLongest
	}
	return min(2*l.polled, pollLongest)
}

// note learns how long a request took that was polled for, or told of.
func (l *latency) note(took time.Duration, polled bool) {
	median := &l.told
	if polled {
		median = &l.polled
	}
	switch {
	case *median == 0:
		*median = max(took, 1)
	case took > *median:
		*median += *median/latencyStep + 1
	default:
		*median -= *median / latencyStep
	}
}

// watch chooses how r is awaited, between submitting it and telling the device.
func (d *Device) watch(r *request) watch {
	l := d.poller.kind(r)
	if l == nil || d.queue.InFlight() != 1 {
		return watch{}
	}
	d.poller.mu.Lock()
	w := watch{kind: l, limit: l.choose(), begun: time.Now()}
	d.poller.mu.Unlock()
	switch {
	case w.limit == 0:
	case d.poller.polls.CompareAndSwap(false, true):
		d.queue.Disarm()
	default:
		w = watch{} // another was quicker
	}
	return w
}

// await waits for the answer to r.
func (d *Device) await(r *request, w watch) error {
	if w.limit == 0 {
		err := <-r.done
		d.learn(w, false)
		return err
	}
	err, answered := d.poll(r, w)
	d.poller.polls.Store(false)
	d.rearm()
	if !answered {
		err = <-r.done
	}
	d.learn(w, true)
	return err
}

// poll looks for the answer to r, and takes the others back that come meanwhile.
func (d *Device) poll(r *request, w watch) (err error, answered bool) {
	for {
		if d.queue.PopAll(d.complete) > 0 {
			d.wakeWaiting()
		}
		select {
		case err := <-r.done:
			return err, true
		default:
		}
		if time.Since(w.begun) > w.limit {
			return nil, false
		}
	}
}

// rearm has the device interrupt again. What came back unnoticed is taken back here, so
// that no answer is lost: whoever takes the last one back asks for an interrupt after.
func (d *Device) rearm() {
	for d.queue.Arm() && d.queue.PopAll(d.complete) > 0 {
		d.wakeWaiting()
	}
}

func (d *Device) learn(w watch, polled bool) {
	if w.kind == nil {
		return
	}
	took := time.Since(w.begun)
	d.poller.mu.Lock()
	w.kind.note(took, polled)
	d.poller.mu.Unlock()
}
