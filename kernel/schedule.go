package kernel

import "sync/atomic"

// Scheduling. Each processor has a queue of ready threads and runs them in
// turn; one with an empty queue takes from the others' before it halts. There
// is no tick: the timer is armed for what is due next, the turn's end only if
// somebody waits for it.

// slice is a thread's turn while others wait, in ns.
const slice = int64(4_000_000)

var stats struct {
	switches, interrupts, calls, faults atomic.Uint64
}

func (c *processor) thread() *thread { return threadAt(c.current) }

// enqueue puts thread i at the end of c's queue, or at its front. sched is held.
func (c *processor) enqueue(i int32, front bool) {
	t := threadAt(i)
	t.state = threadReady
	t.next = nobody
	t.cpu = c.id
	c.length++
	switch {
	case c.first == nobody:
		c.first, c.last = i, i
	case front:
		t.next = c.first
		c.first = i
	default:
		threadAt(c.last).next = i
		c.last = i
	}
}

// dequeue takes the first thread of c's queue, nobody if it is empty. sched
// is held.
func (c *processor) dequeue() int32 {
	i := c.first
	if i == nobody {
		return nobody
	}
	c.first = threadAt(i).next
	if c.first == nobody {
		c.last = nobody
	}
	c.length--
	return i
}

// ready makes a blocked thread ready. urgent is for those whom an interrupt
// woke: they run at once, before whoever has a turn. sched is held.
func ready(c *processor, i int32, urgent bool) {
	t := threadAt(i)
	cancelTimer(i)
	t.wait = waitNothing
	to := cpuAt(int(t.cpu))
	if to.current != nobody || to.length > 0 {
		to = idleProcessor(to)
	}
	if to != nil {
		to.enqueue(i, false)
		if to != c {
			kick(to)
		} else {
			c.resched = true
		}
		return
	}
	to = c
	if home := cpuAt(int(t.cpu)); !urgent && home.length < c.length {
		to = home
	}
	to.enqueue(i, urgent)
	switch {
	case urgent:
		c.resched = true
	case to != c:
		kick(to)
	default:
		c.limitTurn(monotonic())
	}
}

// idleProcessor finds a processor with nothing to do, nil if there is none.
func idleProcessor(not *processor) *processor {
	for i := range cpuCount {
		c := cpuAt(i)
		if c != not && c.online && c.current == nobody && c.length == 0 {
			return c
		}
	}
	return nil
}

// limitTurn starts the clock of the current turn, now that somebody waits.
func (c *processor) limitTurn(now int64) {
	if c.current != nobody && c.first != nobody && c.quantum == never {
		c.quantum = now + slice
		c.arm()
	}
}

// block takes the processor from the current thread until ready, or until
// due, whichever is first. The thread is in the list of those who wait, if
// there is one. sched is held.
func (c *processor) block(wait uint8, word uintptr, due int64) {
	i := c.current
	t := c.thread()
	t.state = threadBlocked
	t.wait = wait
	t.word = word
	t.cpu = c.id
	t.called = never // until it runs again
	c.stop(monotonic())
	if due != never {
		c.addTimer(i, due)
	}
	if handlerWaits(t) { // sent while it was on its way here
		interrupt(c, i, t)
	}
}

// stop ends the current thread's turn and its account. sched is held.
func (c *processor) stop(now int64) {
	t := c.thread()
	t.used += now - t.started
	c.current = nobody
	c.regs = 0
	c.quantum = never
}

// leave is the last thing before the processor goes back to a program or
// sleeps: it chooses the thread and gives it what waits for it.
func leave(c *processor) {
	if c.current == nobody || c.resched {
		c.choose()
	}
	if c.current == nobody {
		return
	}
	t := c.thread()
	if t.pending&^t.mask != 0 {
		deliver(c, t)
		if c.current == nobody {
			c.choose()
		}
	}
}

// choose gives c the next thread, or none.
func (c *processor) choose() {
	sched.lock()
	now := monotonic()
	c.resched = false
	c.renewTLB(now)
	old := c.current
	if old != nobody {
		if c.first == nobody {
			c.quantum = never
			sched.unlock()
			return
		}
		c.stop(now)
		if to := shortestQueue(); to != c && to.length+1 < c.length {
			to.enqueue(old, false)
			kick(to)
			old = nobody
		} else {
			c.enqueue(old, false)
		}
		if c.first == old {
			c.dequeue()
			c.run(old, now)
			sched.unlock()
			return
		}
	}
	i := c.dequeue()
	if i == nobody {
		i = steal(c)
	}
	if i == nobody {
		atomic.StoreUint32(&c.idle, 1)
		c.arm()
		sched.unlock()
		return
	}
	c.run(i, now)
	sched.unlock()
}

// run makes i the current thread. sched is held.
func (c *processor) run(i int32, now int64) {
	t := threadAt(i)
	t.state = threadRunning
	t.cpu = c.id
	t.started, t.looked = now, now
	if t.called == never {
		t.called = now
	}
	c.current = i
	c.regs = address(&t.regs)
	stats.switches.Add(1)
	if wokenFor.thread == i {
		wokenFor.thread = nobody
		interruptTimes[wokenFor.vector].ran.Store(now)
	}
	if t.poked {
		t.poked = false
		t.regs.ax = uint64(errFAULT)
		if accessible(t.buffer, uintptr(t.max)*epollEventSize, true) {
			t.regs.ax = uint64(collect(c, int32(t.word), t.buffer, t.max))
		}
	}
	c.quantum = never
	if c.first != nobody {
		c.quantum = now + slice
	}
	c.arm()
}

// shortestQueue finds the processor where fewest threads wait.
func shortestQueue() *processor {
	best := cpuAt(0)
	for i := 1; i < cpuCount; i++ {
		if c := cpuAt(i); c.online && c.length < best.length {
			best = c
		}
	}
	return best
}

// steal takes a thread from the longest queue of the other processors. sched
// is held.
func steal(c *processor) int32 {
	var from *processor
	for i := range cpuCount {
		o := cpuAt(i)
		if o != c && o.length > 0 && (from == nil || o.length > from.length) {
			from = o
		}
	}
	if from == nil {
		return nobody
	}
	return from.dequeue()
}

// awake notes that the processor no longer sleeps, and drops what its TLB
// should have dropped meanwhile.
func (c *processor) awake() {
	if atomic.LoadUint32(&c.idle) != 0 {
		atomic.StoreUint32(&c.idle, 0)
	}
	answerFlush()
}

// onTimer serves the timer interrupt: threads whose time has come, and the
// end of a turn.
func onTimer(c *processor) {
	sched.lock()
	c.armed = never
	now := monotonic()
	if c.current != nobody {
		c.thread().notice(now)
	}
	for c.timers > 0 {
		i := c.timerAt(0)
		t := threadAt(i)
		if t.due > now {
			break
		}
		if i == pollerWaits && c.putOff(i, t, now) {
			continue
		}
		expire(c, i, t, now)
	}
	if c.current != nobody {
		profileTick(c, now)
		if now >= c.quantum {
			c.resched = c.first != nobody
			c.quantum = never
		}
	}
	c.arm()
	sched.unlock()
}

// expire ends the wait of thread i by timeout. sched is held.
func expire(c *processor, i int32, t *thread, now int64) {
	switch t.wait {
	case waitFutex:
		leaveFutex(i, t)
		t.regs.ax = uint64(errTIMED)
	case waitPoll:
		leavePoll(i, t)
		t.regs.ax = 0
	case waitSleep:
		t.regs.ax = 0
	case waitEvents:
		wakePoller(t, longestRun(now) <= pollerAsked)
	}
	ready(c, i, true)
}

// interrupt ends the wait of thread i for a signal, with EINTR. A sleep goes
// on, so that nobody need be told what is left of it, and so does the wait for
// a service, whose work cannot be taken back: there the signal waits. sched is
// held.
func interrupt(c *processor, i int32, t *thread) {
	result := errINTR
	switch t.wait {
	case waitFutex:
		leaveFutex(i, t)
	case waitPoll:
		leavePoll(i, t)
	case waitCalls:
		leaveIdle(i, t)
	case waitEvents: // it waits again
		wakePoller(t, false)
		result = alertNone
	default:
		return
	}
	t.regs.ax = uint64(result)
	ready(c, i, false)
}

// onKick serves the interrupt by which another processor asks for attention.
func onKick(c *processor) {
	answerFlush()
	if c.current != nobody {
		sched.lock()
		c.limitTurn(monotonic())
		sched.unlock()
	}
}
