// This file is added to package runtime when an image is built.
//
// The Go scheduler looks at the network poller when a processor has nothing
// else to do, and otherwise every 10 ms. A system whose drivers are goroutines
// cannot wait that long: on a busy machine every interrupt would. So a thread
// of its own, without a P as sysmon is, sleeps in the kernel until events have
// waited for too long, hands their goroutines to the scheduler, and has one
// running goroutine make room.

package runtime

import "internal/runtime/syscall/linux"

// awaitEvents is the kernel's private call that returns when events of the
// runtime's epoll instance wait and nobody polls (package kernel, calls.go), and
// alertRoom its result when a goroutine calculates, so that it should make room.
const (
	awaitEvents = 0x700d
	alertRoom   = 2
)

func init() {
	systemstack(func() { newm(pollWhenBusy, nil, -1) })
}

// pollWhenBusy never returns. In an ordinary Linux process the call does not
// exist, and the thread sleeps for good.
//
//go:nowritebarrierrec
func pollWhenBusy() {
	lock(&sched.lock)
	sched.nmsys++
	checkdead()
	unlock(&sched.lock)
	var u urgent
	for {
		events, _, e := linux.Syscall6(awaitEvents, u.patience(), 0, 0, 0, 0, 0)
		if e != 0 {
			var forever note
			notesleep(&forever)
		}
		u.lookAfter()
		if events == 0 || !netpollinited() {
			continue
		}
		list, delta := netpoll(0)
		if list.empty() {
			continue
		}
		// As sysmon does: pretend that one more locked M runs, lest a
		// deadlock be seen between the two steps.
		incidlelocked(-1)
		n := u.ready(&list)
		for n > 0 && startIdle() {
			n--
		}
		injectglist(&list)
		incidlelocked(1)
		netpollAdjustWaiters(delta)
		if n > 0 {
			takeGlobal(events == alertRoom)
		}
		u.room = events == alertRoom
	}
}

// urgent is goroutines at the head of the global queue, for which a running
// goroutine is to make room. A signal that finds a P between two goroutines
// preempts nothing, and a P takes one at a time, so they are looked after until
// all have been taken.
type urgent struct {
	g    [2 * atOnce]guintptr
	n    int
	room bool // somebody calculates; if not, goroutines change by themselves
	vain int  // how often in a row none was taken
}

const (
	// atOnce is how many goroutines of one poll go before all that wait for a
	// processor; more of them are the business of a server, to which its other
	// goroutines matter as much.
	atOnce = 16
	// nap is how long a P gets to take a goroutine, in nanoseconds.
	nap = 200_000
	// tries is how often a P is asked in vain; then sysmon's turn comes.
	tries = 3
)

// patience is how long to wait for events before lookAfter is called, 0 for ever.
func (u *urgent) patience() uintptr {
	if u.n == 0 {
		return 0
	}
	return nap
}

// ready moves goroutines from the list to the head of the global queue, and
// returns how many.
//
//go:nowritebarrierrec
func (u *urgent) ready(list *gList) int {
	old := *u
	u.n, u.vain = 0, 0
	trace := traceAcquire()
	for u.n < atOnce && !list.empty() {
		gp := list.pop()
		casgstatus(gp, _Gwaiting, _Grunnable)
		if trace.ok() {
			trace.GoUnpark(gp, 0)
		}
		u.g[u.n].set(gp)
		u.n++
	}
	if trace.ok() {
		traceRelease(trace)
	}
	n := u.n
	lock(&sched.lock)
	for i := n - 1; i >= 0; i-- {
		globrunqputhead(u.g[i].ptr())
	}
	unlock(&sched.lock)
	for i := 0; i < min(old.n, atOnce); i++ {
		u.g[u.n] = old.g[i]
		u.n++
	}
	return n
}

// lookAfter forgets the goroutines that were taken, and has a P take the next: a
// running goroutine makes room again only if none was taken at all.
func (u *urgent) lookAfter() {
	if u.n == 0 {
		return
	}
	taken := 0
	for taken < u.n && sched.runq.head != u.g[taken] {
		taken++
	}
	u.n -= taken
	copy(u.g[:u.n], u.g[taken:])
	if taken > 0 && !u.room {
		u.n = 0
	} else if taken > 0 {
		u.vain = 0
	} else if u.vain++; u.vain == tries {
		u.n = 0
	}
	if u.n > 0 && !takeGlobal(taken == 0) {
		u.n = 0
	}
}

// startIdle has an idle P take work, and reports whether there was one.
//
//go:nowritebarrierrec
func startIdle() bool {
	lock(&sched.lock)
	pp, _ := pidlegetSpinning(0)
	if pp != nil {
		startm(pp, false, true)
	}
	unlock(&sched.lock)
	return pp != nil
}

// takeGlobal has the P that has been running one goroutine longest look at the
// global queue before its own when it chooses next: it does so whenever its
// count of choices is a multiple of 61 (findRunnable). Where the P counts at the
// same moment, one of the two changes is lost. preempt has it choose now. It
// reports false if no P runs a goroutine.
func takeGlobal(preempt bool) bool {
	lock(&allpLock)
	pp := longestRunning()
	if pp != nil {
		t := pp.schedtick
		pp.schedtick = t + (61-t%61)%61
		if preempt {
			preemptone(pp)
		}
	}
	unlock(&allpLock)
	return pp != nil
}

// longestRunning is the P whose goroutine has been running longest of those that
// can be preempted, nil if there is none.
func longestRunning() (longest *p) {
	for _, pp := range allp {
		if pp == nil || pp.status != _Prunning {
			continue
		}
		mp := pp.m.ptr()
		if mp == nil || mp.curg == nil || readgstatus(mp.curg)&^_Gscan != _Grunning {
			continue
		}
		if longest == nil || pp.sysmontick.schedwhen < longest.sysmontick.schedwhen {
			longest = pp
		}
	}
	return longest
}
