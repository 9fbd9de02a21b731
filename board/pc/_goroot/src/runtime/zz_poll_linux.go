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
		if !netpollinited() || sched.gcwaiting.Load() {
			continue // whoever restarts the world polls
		}
		list, delta := netpoll(0)
		if list.empty() {
			continue
		}
		// As sysmon does: pretend that one more locked M runs, lest a
		// deadlock be seen between the two steps.
		incidlelocked(-1)
		injectglist(&list)
		incidlelocked(1)
		netpollAdjustWaiters(delta)
		if sched.npidle.Load() == 0 {
			makeRoom()
		}
	}
}

// makeRoom preempts the goroutine that has been running longest.
func makeRoom() {
	var longest *p
	for _, pp := range allp {
		if pp != nil && pp.status == _Prunning && (longest == nil || pp.sysmontick.schedwhen < longest.sysmontick.schedwhen) {
			longest = pp
		}
	}
	if longest != nil {
		preemptone(longest)
	}
}
