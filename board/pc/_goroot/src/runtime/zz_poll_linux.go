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
// runtime's epoll instance wait and nobody polls (package kernel, calls.go).
const awaitEvents = 0x700d

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
	for {
		if _, _, e := linux.Syscall6(awaitEvents, 0, 0, 0, 0, 0, 0); e != 0 {
			var forever note
			notesleep(&forever)
		}
		if !netpollinited() {
			continue
		}
		list, delta := netpoll(0)
		if list.empty() {
			continue
		}
		// As sysmon does: pretend that one more locked M runs, lest a
		// deadlock be seen between the two steps.
		incidlelocked(-1)
		first, n := readyFirst(&list)
		idle := n
		for idle > 0 && startIdle() {
			idle--
		}
		injectglist(&list)
		incidlelocked(1)
		netpollAdjustWaiters(delta)
		if idle > 0 {
			makeRoom(&first, n)
		}
	}
}

// atOnce is how many goroutines of one poll go before all that wait for a
// processor; more of them are the business of a server, to which its other
// goroutines matter as much.
const atOnce = 4

// readyFirst moves goroutines from the list to the head of the global queue.
//
//go:nowritebarrierrec
func readyFirst(list *gList) (first [atOnce]guintptr, n int) {
	trace := traceAcquire()
	for n < atOnce && !list.empty() {
		gp := list.pop()
		casgstatus(gp, _Gwaiting, _Grunnable)
		if trace.ok() {
			trace.GoUnpark(gp, 0)
		}
		first[n].set(gp)
		n++
	}
	if trace.ok() {
		traceRelease(trace)
	}
	lock(&sched.lock)
	for i := n - 1; i >= 0; i-- {
		globrunqputhead(first[i].ptr())
	}
	unlock(&sched.lock)
	return first, n
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

// nap is how long one of the goroutines made ready gets before the next is
// looked after, in microseconds.
const nap = 20

// makeRoom preempts the goroutine that has been running longest and has its P
// run the goroutines at the head of the global queue, one after another.
func makeRoom(first *[atOnce]guintptr, n int) {
	lock(&allpLock)
	longest := longestRunning()
	if longest != nil {
		takeGlobal(longest)
		preemptone(longest)
	}
	unlock(&allpLock)
	if longest == nil {
		return
	}
	for i := 1; i < n; i++ {
		usleep(nap)
		if sched.runq.head == first[i] {
			takeGlobal(longest)
		}
	}
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

// takeGlobal has a P look at the global queue before its own when it chooses
// next: it does so whenever its count of choices is a multiple of 61
// (findRunnable). Where the P counts at the same moment, one of the two changes
// is lost, which costs a delay and no more.
func takeGlobal(pp *p) {
	t := pp.schedtick
	pp.schedtick = t + (61-t%61)%61
}
