package kernel

import "testing"

// An epoll instance that another watches is readable while it has news, and
// wakes who waits there; deeper nesting is refused.
func TestPollNested(t *testing.T) {
	p := newPollModel(t, 2)
	inner, outer, third := p.do(nrEpollCreate1, 0), p.do(nrEpollCreate1, 0), p.do(nrEpollCreate1, 0)
	watch := func(ep, fd uintptr, events uint32) uintptr {
		store32(p.room, events)
		store32(p.room+4, uint32(fd))
		return p.do(nrEpollCtl, ep, 1, fd, p.room)
	}
	event := p.do(nrEventfd2, 0, 0x800)
	p.want("an event", watch(inner, event, epollIn), 0)
	p.want("an instance", watch(outer, inner, epollIn), 0)
	p.want("a circle", watch(inner, outer, epollIn), errLOOP)
	p.want("one above", watch(third, outer, epollIn), errLOOP)
	p.want("one below", watch(inner, third, epollIn), errLOOP)
	poll := func(ep uintptr) uintptr { return p.do(nrEpollWait, ep, p.room, 8, 0) }
	p.want("nothing", poll(outer), 0)

	p.spawn()
	p.settle()
	sleeper := p.busy()
	i := sleeper.current
	p.call(sleeper, nrEpollWait, outer, p.room+pageSize, 8, ^uintptr(0))
	*at[uint64](p.room) = 1
	p.want("write", p.do(nrWrite, event, p.room, 8), 8)
	p.settle()
	if th := threadAt(i); th.state == threadBlocked || th.regs.ax != 1 || load32(p.room+pageSize+4) != uint32(inner) {
		t.Errorf("the sleeper is in state %d with %d", th.state, int64(th.regs.ax))
	}
	p.want("still ready", poll(outer), 1)
	p.want("the event", poll(inner), 1)
	p.want("read", p.do(nrRead, event, p.room, 8), 8)
	p.want("no longer ready", poll(outer), 0)
	p.want("close", p.do(nrClose, inner), 0)
	p.want("gone", poll(outer), 0)
}

// Memory that goes away while a thread waits is an error of its call.
func TestWaitWithoutMemory(t *testing.T) {
	p := newPollModel(t, 1)
	p.spawn()
	va := mapAnonymous(0, pageSize, protRead|protWrite, false, false)
	ep, event := p.do(nrEpollCreate1, 0), p.do(nrEventfd2, 0, 0x800)
	store32(p.room, epollIn)
	p.want("add", p.do(nrEpollCtl, ep, 1, event, p.room), 0)
	c := p.busy()
	i := c.current
	p.call(c, nrEpollWait, ep, va, 8, ^uintptr(0))
	p.want("munmap", p.do(nrMunmap, va, pageSize), 0)
	*at[uint64](p.room) = 1
	p.want("write", p.do(nrWrite, event, p.room, 8), 8)
	for range 3 {
		p.pass(2 * slice)
	}
	if got := threadAt(i).regs.ax; got != uint64(errFAULT) {
		t.Errorf("epoll_wait ends with %d", int64(got))
	}
	p.want("futex", p.do(nrFutex, va, 0, 0, 0), errFAULT)
	if r := futexWait(c, va, 0, never); r != errFAULT {
		t.Errorf("a futex whose memory has gone: %d", int64(r))
	}
}

// Device vectors are spread over the processors.
func TestInterruptTargets(t *testing.T) {
	newTestMachine(t, 4096, 3)
	for i, want := range []uint32{0, 1, 2, 0, 1} {
		if got := interruptTarget(vecDevice + uintptr(i)); got != want {
			t.Errorf("vector %d goes to %d, want %d", i, got, want)
		}
	}
	cpuAt(1).apic = 300
	if got := interruptTarget(vecDevice + 1); got != bootAPIC {
		t.Errorf("an APIC beyond what a message can name gets vectors: %d", got)
	}
}
