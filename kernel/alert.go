package kernel

// The Go scheduler polls when it has nothing else to do. For when it has, one
// thread of the runtime waits here until it should poll and make room
// (board/pc/_goroot, zz_poll_linux.go).
//
// No wake-up is lost: events that nobody has collected make the epoll instance
// fresh, and while it is fresh one of these holds. A thread that was taken off
// its waiters has yet to run, and collects when it does; the poller is ready or
// runs, and looks at fresh before it waits again; or the poller waits with a
// time limit. Each of them ends in collect, which leaves the instance fresh only
// if the caller's buffer was full, and then asks for the next of them.
var (
	runtimeEpoll = nobody // the epoll instance that Go's runtime made: the first
	pollerWaits  = nobody // the thread in awaitEvents, while it waits
	pollerThread = nobody
	pollerDue    bool  // its wait ends for events, not for its own patience
	pollerAsked  int64 // when that end was set, monotonic ns
	pollerFirst  int64 // when the first of its events came, monotonic ns
	pollerUsed   int64 // processor time of the poller when it was last woken, ns
	lastPolled   int64 // when anybody else polled, monotonic ns
	alertsPaid   int64 // until when the poller's time is accounted for, monotonic ns
)

// How much an epoll instance is in need of being polled.
const (
	notFresh    = iota
	freshOther  // events that no device raised
	freshDevice // an interrupt
)

// Bounds of a wait for the scheduler, in ns. Each alert preempts a goroutine, which
// then waits behind all others. So a scheduler that has polled lately is left alone
// for a while, since it will again; and so is one none of whose threads has run one
// goroutine for some time without a system call: they run drivers and servers, not
// calculations, and are soon done. To a scheduler that goes from goroutine to
// goroutine all the time, it comes as rarely as sysmon would.
const (
	deviceLately = int64(100_000)    // polled so short ago, for a device's events
	pollLately   = int64(2_000_000)  // and for others
	pollPatience = int64(300_000)    // others wait at least this long: whoever made them is still at work
	calculates   = int64(500_000)    // one goroutine, without a call, for so long
	pollSeldom   = int64(10_000_000) // events wait no longer, however often goroutines change
)

// What the poller may cost: one part in pollShare of a processor, and before it
// is held back, as much as it may have in pollBurst ns. A host that stops the
// machine meanwhile is not its fault: no time above pollMost counts.
const (
	pollShare = 32
	pollBurst = int64(8_000_000)
	pollMost  = int64(200_000)
)

// What awaitEvents returns.
const (
	alertNone = iota // its time is over
	alertPoll        // poll; goroutines change often enough for those that wait
	alertRoom        // poll, and make room: somebody calculates
)

// awaitEvents blocks the poller until the scheduler should poll, or for patience ns
// if that is not 0. The limit is void once somebody else has polled: then the
// scheduler has found nothing left to run.
func awaitEvents(c *processor, patience int64) uintptr {
	sched.lock()
	defer sched.unlock()
	i := c.current
	t := c.thread()
	first := pollerThread != i
	pollerWaits, pollerThread, pollerDue = i, i, false
	due := never
	if patience > 0 {
		due = monotonic() + patience
	}
	c.block(waitEvents, 0, due)
	if !first {
		now := monotonic()
		cost := min(t.used-pollerUsed, pollMost) * pollShare
		alertsPaid = min(max(alertsPaid, now)+cost, now+pollBurst+pollMost*pollShare)
	}
	if e := lookFD(int(runtimeEpoll)); e != nil && e.fresh != notFresh && e.waiter == nobody {
		alertPoller(c, e.fresh == freshDevice)
	}
	return alertNone
}

// sysmonThread is sysmon's, the first that the runtime starts.
var sysmonThread = nobody

// leaveToPoller notes that the current thread polls the runtime's epoll instance,
// and tells whether it shall find nothing: sysmon, which polls every 10 ms, would
// put goroutines behind all others, where the poller has room made for them. sched
// is held.
func leaveToPoller(c *processor) bool {
	switch {
	case c.current == pollerThread:
	case c.current != sysmonThread:
		lastPolled = monotonic()
	case pollerThread != nobody:
		if e := lookFD(int(runtimeEpoll)); e.fresh != notFresh {
			alertPoller(c, e.fresh == freshDevice)
		}
		return true
	}
	return false
}

// alertPoller has events of the runtime's epoll instance noticed: now, or by a
// time limit of the poller's wait. If the poller does not wait, it looks by
// itself before it does. sched is held.
func alertPoller(c *processor, urgent bool) {
	i := pollerWaits
	if i == nobody {
		return
	}
	now := monotonic()
	due := alertDue(now, urgent)
	t := threadAt(i)
	if due <= now {
		if urgent {
			wokenFor.thread = i
		}
		pollerDue = true
		wakePoller(t, longestRun(now)+calculates <= now)
		ready(c, i, true)
		return
	}
	if t.timer < 0 || !pollerDue {
		pollerFirst = now
	}
	if t.timer >= 0 {
		// Another event that is not urgent leaves the time as it is: the
		// first has set it, and putOff may have moved it.
		if t.due <= due || pollerDue && !urgent {
			return
		}
		cancelTimer(i)
	}
	pollerDue, pollerAsked = true, now
	t.cpu = c.id
	c.addTimer(i, due)
	c.arm()
}

// alertDue is when the poller should run for events that come now.
func alertDue(now int64, urgent bool) int64 {
	due := max(alertsPaid-pollBurst, longestRun(now)+calculates)
	if urgent {
		return max(due, lastPolled+deviceLately)
	}
	return max(due, lastPolled+pollLately, now+pollPatience)
}

// putOff is called when the poller's wait is over, that of t, which is thread i. It
// goes on if the goroutines have changed since it was set: then they will again.
// sched is held.
func (c *processor) putOff(i int32, t *thread, now int64) bool {
	if !pollerDue || longestRun(now) <= pollerAsked || pollerFirst+pollSeldom <= now {
		return false
	}
	cancelTimer(i)
	t.cpu = c.id
	pollerAsked = now
	c.addTimer(i, min(now+pollLately, pollerFirst+pollSeldom))
	return true
}

// longestRun is since when that running thread has been at one goroutine, without a
// system call, which has been for longest; long ago, if a processor has nothing to
// do.
func longestRun(now int64) int64 {
	since := now
	for i := range cpuCount {
		c := cpuAt(i)
		runs := c.current
		if runs == nobody {
			runs = c.first // it is about to choose
		}
		if runs == nobody {
			return now - calculates
		}
		since = min(since, threadAt(runs).runsSince(now))
	}
	return since
}

// runsSince is since when t, which runs, has been at its goroutine, and has made no
// system call. If the goroutine is another than its processor saw last (notice), it
// came halfway, for all that one can tell.
func (t *thread) runsSince(now int64) int64 {
	if t.goroutine() == t.seen {
		return max(t.since, t.called)
	}
	return max(t.looked+(now-t.looked)/2, t.called)
}

// notice looks which goroutine t, the thread that this processor runs, is at.
func (t *thread) notice(now int64) {
	if g := t.goroutine(); g != t.seen {
		t.seen, t.since = g, now
	}
	t.looked = now
}

// goroutine is the address of the descriptor of the goroutine that t runs, which
// Go's runtime keeps in the word below the thread's FS; 0 if there is none.
func (t *thread) goroutine() uint64 {
	va := uintptr(t.regs.fs) - 8
	if va >= userEnd || va%8 != 0 {
		return 0
	}
	phys, ok := translate(va) // nothing can fault by the linear map
	if !ok {
		return 0
	}
	return *at[uint64](direct(phys))
}

// wakePoller ends the wait of the poller, t; the caller makes it ready. room tells
// whether somebody calculates. sched is held.
func wakePoller(t *thread, room bool) {
	pollerWaits = nobody
	pollerUsed = t.used
	switch {
	case !pollerDue:
		t.regs.ax = alertNone
	case room:
		t.regs.ax = alertRoom
	default:
		t.regs.ax = alertPoll
	}
}

// calmPoller takes an alert back: somebody polls. sched is held.
func calmPoller() {
	if i := pollerWaits; i != nobody {
		cancelTimer(i)
	}
}
