package kernel

import (
	"fmt"
	"testing"
)

// interest is what the model knows of one descriptor in one epoll instance.
type interest struct {
	events uint32 // 0 after a one-shot
	edge   bool
	once   bool
	data   uint64
	news   uint32 // events since the last report
}

// pollModel is descriptors, the events that stand for them, and who watches.
type pollModel struct {
	*testMachine
	room   uintptr
	epolls []int32
	level  map[int32]uint32              // services' descriptors and eventfds
	count  map[int32]uint64              // eventfds
	watch  map[int32]map[int32]*interest // by epoll instance, by descriptor
}

func newPollModel(t *testing.T, processors int) *pollModel {
	p := &pollModel{testMachine: newTestMachine(t, 4096, processors), level: map[int32]uint32{}, count: map[int32]uint64{}, watch: map[int32]map[int32]*interest{}}
	p.room = p.testMachine.room(4)
	p.spawn()
	p.settle()
	return p
}

// do makes a system call that does not block, and returns its result.
func (p *pollModel) do(nr uintptr, args ...uintptr) uintptr {
	p.t.Helper()
	c := p.busy()
	i := c.current
	p.call(c, nr, args...)
	if threadAt(i).state == threadBlocked {
		p.t.Fatalf("call %d blocks", nr)
	}
	return uintptr(threadAt(i).regs.ax)
}

func (p *pollModel) want(what string, got, want uintptr) {
	p.t.Helper()
	if got != want {
		p.t.Fatalf("%s: got %d, want %d", what, int64(got), int64(want))
	}
}

// pick returns a descriptor of the model, false if there is none.
func (p *pollModel) pick() (int32, bool) {
	if len(p.level) == 0 {
		return 0, false
	}
	for fd := int32(p.Intn(60)); ; fd = (fd + 1) % 60 {
		if _, ok := p.level[fd]; ok {
			return fd, true
		}
	}
}

// lowest is the descriptor that must come next: at least low, not taken.
func (p *pollModel) lowest(low int32) int32 {
	for {
		_, taken := p.level[low]
		if _, epoll := p.watch[low]; !taken && !epoll {
			return low
		}
		low++
	}
}

func (p *pollModel) open() {
	if len(p.level) > 30 {
		return
	}
	low := int32(3)
	var fd uintptr
	if p.Intn(3) == 0 {
		fd = p.do(nrEventfd2, 0, 0x800)
		p.count[p.lowest(low)], p.level[p.lowest(low)] = 0, epollOut
	} else {
		low += int32(p.Intn(10))
		fd = p.do(callAllocFD, uintptr(low), 1)
		want := p.lowest(low)
		p.want("AllocFD", fd, uintptr(want))
		p.level[want] = 0
		return
	}
	if _, ok := p.count[int32(fd)]; !ok {
		p.t.Fatalf("eventfd gives %d", fd)
	}
}

func (p *pollModel) openEpoll() {
	if len(p.epolls) == 4 {
		return
	}
	want := p.lowest(3)
	p.want("epoll_create", p.do(nrEpollCreate1, 0), uintptr(want))
	p.watch[want] = map[int32]*interest{}
	p.epolls = append(p.epolls, want)
}

func (p *pollModel) close() {
	fd, ok := p.pick()
	if !ok {
		return
	}
	if _, event := p.count[fd]; event {
		p.want("close", p.do(nrClose, uintptr(fd)), 0)
	} else {
		p.want("FreeFD", p.do(callFreeFD, uintptr(fd)), 0)
	}
	delete(p.level, fd)
	delete(p.count, fd)
	for _, w := range p.watch {
		delete(w, fd)
	}
}

func (p *pollModel) closeEpoll() {
	if len(p.epolls) < 2 {
		return
	}
	last := len(p.epolls) - 1
	fd := p.epolls[last]
	p.epolls = p.epolls[:last]
	p.want("close", p.do(nrClose, uintptr(fd)), 0)
	delete(p.watch, fd)
}

// control adds, changes or removes an interest.
func (p *pollModel) control() {
	const add, del, mod = 1, 2, 3
	fd, ok := p.pick()
	if !ok || len(p.epolls) == 0 {
		return
	}
	ep := p.epolls[p.Intn(len(p.epolls))]
	have := p.watch[ep][fd]
	op := uintptr(add + p.Intn(3))
	in := &interest{events: []uint32{epollIn, epollOut, epollIn | epollOut, 0}[p.Intn(4)] | epollErr | epollHup, edge: p.Intn(2) == 0, once: p.Intn(4) == 0, data: p.Uint64()}
	raw := in.events
	if p.Intn(2) == 0 {
		raw &^= epollErr | epollHup // are meant anyway
	}
	if in.edge {
		raw |= epollEdge
	}
	if in.once {
		raw |= epollOneShot
	}
	store32(p.room, raw)
	store32(p.room+4, uint32(in.data))
	store32(p.room+8, uint32(in.data>>32))
	r := p.do(nrEpollCtl, uintptr(ep), op, uintptr(fd), p.room)
	switch {
	case op == add && have != nil:
		p.want("add again", r, errEXIST)
	case op != add && have == nil:
		p.want("change of nothing", r, errNOENT)
	case op == del:
		p.want("del", r, 0)
		delete(p.watch[ep], fd)
	default:
		p.want("add or mod", r, 0)
		in.news = p.level[fd] & in.events
		p.watch[ep][fd] = in
	}
}

// happen makes events stand for a descriptor, or not any more.
func (p *pollModel) happen() {
	fd, ok := p.pick()
	if !ok {
		return
	}
	was := p.level[fd]
	if _, event := p.count[fd]; event {
		p.event(fd)
		return
	}
	d := lookFD(int(fd))
	if p.Intn(2) == 0 {
		take := uint32(p.Intn(32))
		ClearReady(int(fd), take)
		p.level[fd] = was &^ take
		return
	}
	events := []uint32{epollIn, epollOut, epollErr, epollHup, epollIn | epollHup}[p.Intn(5)]
	p.level[fd] |= events
	if news := d.raise(events); news != 0 {
		p.want("post", p.do(callPostFD, uintptr(fd), uintptr(news)), 0)
	}
	p.post(fd, events&^was)
}

// event writes or reads an eventfd.
func (p *pollModel) event(fd int32) {
	if p.Intn(2) == 0 {
		add := uint64(p.Intn(3))
		*at[uint64](p.room) = add
		p.want("write of an eventfd", p.do(nrWrite, uintptr(fd), p.room, 8), 8)
		p.count[fd] += add
		if add != 0 {
			p.level[fd] |= epollIn
			p.post(fd, epollIn)
		}
		return
	}
	r := p.do(nrRead, uintptr(fd), p.room, 8)
	if p.count[fd] == 0 {
		p.want("read of an eventfd", r, errAGAIN)
		return
	}
	p.want("read of an eventfd", r, 8)
	p.want("count of an eventfd", uintptr(*at[uint64](p.room)), uintptr(p.count[fd]))
	p.count[fd] = 0
	p.level[fd] = epollOut
}

func (p *pollModel) post(fd int32, events uint32) {
	for _, w := range p.watch {
		if in := w[fd]; in != nil {
			in.news |= events & in.events
		}
	}
}

// due is what epoll_wait must tell of an interest; may is what it may tell.
// An event that came and went may be told where the edge counts.
func (p *pollModel) due(in *interest, fd int32) (must, may uint32) {
	level := p.level[fd] & in.events
	if in.edge {
		return in.news & level, in.news
	}
	return level, level
}

// wait collects events without blocking, and compares.
func (p *pollModel) wait() {
	if len(p.epolls) == 0 {
		return
	}
	ep := p.epolls[p.Intn(len(p.epolls))]
	most := 1 + p.Intn(40)
	n := p.do(nrEpollWait, uintptr(ep), p.room, uintptr(most), 0)
	if n > uintptr(most) {
		p.t.Fatalf("epoll_wait gives %d", int64(n))
	}
	told := p.events(ep, p.room, int(n))
	for fd, in := range p.watch[ep] {
		must, _ := p.due(in, fd)
		if must != 0 && int(n) < most && !told[fd] {
			p.t.Fatalf("epoll_wait says nothing of %#x for %d", must, fd)
		}
	}
	for fd := range told {
		p.report(ep, fd)
	}
}

// events reads what epoll_wait wrote: each interest once, nothing made up.
func (p *pollModel) events(ep int32, buffer uintptr, n int) map[int32]bool {
	told := map[int32]bool{}
	for i := range uintptr(n) {
		e := buffer + i*epollEventSize
		events, data := load32(e), uint64(load32(e+4))|uint64(load32(e+8))<<32
		found := false
		for fd, in := range p.watch[ep] {
			if in.data != data {
				continue
			}
			must, may := p.due(in, fd)
			if told[fd] || events == 0 || events&^may != 0 || events&must != must {
				p.t.Fatalf("epoll_wait says %#x of %d: must %#x, may %#x, said before: %v", events, fd, must, may, told[fd])
			}
			told[fd], found = true, true
		}
		if !found {
			p.t.Fatalf("epoll_wait tells of %#x, which nobody watches", data)
		}
	}
	return told
}

// report notes that an interest has been told.
func (p *pollModel) report(ep, fd int32) {
	in := p.watch[ep][fd]
	in.news = 0
	if in.once {
		in.events = 0
	}
}

// TestPoll runs random histories of descriptors that come, go and become
// ready, and of epoll instances that watch them, beside a model.
func TestPoll(t *testing.T) {
	p := newPollModel(t, 1)
	operations := []func(){p.open, p.open, p.openEpoll, p.close, p.control, p.control, p.control, p.happen, p.happen, p.happen, p.wait, p.wait}
	for i := range rounds(100_000) {
		operations[p.Intn(len(operations))]()
		if i%200 == 0 {
			p.closeEpoll()
		}
	}
	// Entries of interests that are gone are used again.
	if pollTop > 300 {
		t.Errorf("%d interests are kept", pollTop)
	}
}

// An interest that is ready is told in turn with all others, however few fit
// the caller's buffer.
func TestPollFair(t *testing.T) {
	p := newPollModel(t, 1)
	p.openEpoll()
	ep := p.epolls[0]
	const n = 10
	for i := range int32(n) {
		fd := p.do(callAllocFD, 3, 1)
		store32(p.room, epollIn)
		store32(p.room+4, uint32(i))
		p.want("add", p.do(nrEpollCtl, uintptr(ep), 1, fd, p.room), 0)
		p.do(callPostFD, fd, uintptr(lookFD(int(fd)).raise(epollIn)))
	}
	seen := map[uint32]int{}
	for range n {
		p.want("epoll_wait", p.do(nrEpollWait, uintptr(ep), p.room, 3, 0), 3)
		for i := range uintptr(3) {
			seen[load32(p.room+i*epollEventSize+4)]++
		}
	}
	for i := range uint32(n) {
		if seen[i] != 3 {
			t.Errorf("interest %d was told %d times, of 3", i, seen[i])
		}
	}
}

// TestPollWakes runs threads that wait for events, with and without a limit,
// while others make events: nobody sleeps on while there is something to
// tell, and nobody sleeps longer than its limit.
func TestPollWakes(t *testing.T) {
	for _, processors := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(processors), func(t *testing.T) { pollWakes(t, processors) })
	}
}

func pollWakes(t *testing.T, processors int) {
	p := newPollModel(t, processors)
	p.openEpoll()
	p.openEpoll()
	var fds []uintptr
	for i := range 6 {
		fd := p.do(callAllocFD, 3, 1)
		fds = append(fds, fd)
		for k, ep := range p.epolls {
			events := uint32(epollIn)
			if (i+k)%2 == 0 {
				events |= epollEdge
			}
			store32(p.room, events)
			store32(p.room+4, uint32(fd))
			p.want("add", p.do(nrEpollCtl, uintptr(ep), 1, fd, p.room), 0)
		}
	}
	const n = 8
	for range n {
		p.spawn()
	}
	p.settle()
	limit := map[int32]int64{} // threads in epoll_wait
	told := 0
	settleDown := func() {
		for i, due := range limit {
			if th := threadAt(i); th.state != threadBlocked && !th.poked {
				if ax := int64(th.regs.ax); ax > 0 && ax < 100 {
					told++
				} else if ax == 0 && p.now() < due {
					t.Fatalf("thread %d is back too early, with nothing", i)
				}
				delete(limit, i)
			} else if th.state == threadBlocked && p.now() >= due {
				t.Fatalf("thread %d sleeps beyond its limit", i)
			}
		}
	}
	for range rounds(30_000) {
		c := p.busy()
		switch k := p.Intn(10); {
		case c == nil && kicked != 0:
			p.settle()
		case c == nil:
			p.pass(30_000_000)
		case k < 4:
			ms := uintptr(p.Intn(20))
			if i := c.current; ms > 0 {
				ep := p.epolls[p.Intn(2)]
				p.call(c, nrEpollWait, uintptr(ep), p.room+uintptr(1+i)*256, uintptr(1+p.Intn(8)), ms)
				limit[i] = p.now() + int64(ms)*1_000_000
			}
		case k < 7:
			fd := fds[p.Intn(len(fds))]
			if news := lookFD(int(fd)).raise(epollIn); news != 0 {
				p.call(c, callPostFD, fd, uintptr(news))
			}
		case k < 9:
			ClearReady(int(fds[p.Intn(len(fds))]), epollIn)
		default:
			p.pass(int64(p.Intn(5_000_000)))
		}
		p.check()
		if p.Intn(2) == 0 {
			p.settle()
			p.check()
		}
		settleDown()
		p.checkSleepers()
	}
	if told < 100 {
		t.Errorf("only %d waits ended with an event", told)
	}
}

// checkSleepers fails if a thread sleeps in an epoll instance that has
// something to tell, and nobody is on the way to hear it.
func (p *pollModel) checkSleepers() {
	for _, ep := range p.epolls {
		e := lookFD(int(ep))
		if e.waiter == nobody {
			continue
		}
		coming := false
		for i := range threadTop {
			t := threadAt(i)
			coming = coming || t.poked && int32(t.word) == ep
		}
		for i := e.first; i != nobody && !coming; i = pollAt(i).nextReady {
			q := pollAt(i)
			level := at[descriptor](descriptors.get(q.fd)).level()
			if q.live && level&q.events&^(epollEdge|epollOneShot) != 0 {
				p.t.Fatalf("thread %d sleeps, and descriptor %d is ready", e.waiter, q.fd)
			}
		}
	}
}

// A descriptor that closes takes its waiters with it.
func TestCloseWakes(t *testing.T) {
	p := newPollModel(t, 2)
	p.openEpoll()
	ep := p.epolls[0]
	p.spawn()
	p.settle()
	sleeper := p.busy()
	i := sleeper.current
	p.call(sleeper, nrEpollWait, uintptr(ep), p.room, 8, ^uintptr(0))
	if threadAt(i).state != threadBlocked {
		t.Fatal("it does not wait")
	}
	p.want("close", p.do(nrClose, uintptr(ep)), 0)
	if th := threadAt(i); th.state == threadBlocked || th.regs.ax != uint64(errBADF) {
		t.Errorf("it is in state %d with %d", th.state, int64(th.regs.ax))
	}
	p.want("epoll_wait", p.do(nrEpollWait, uintptr(ep), p.room, 8, 0), errBADF)
}

// What programs get wrong.
func TestPollErrors(t *testing.T) {
	p := newPollModel(t, 1)
	p.openEpoll()
	ep := uintptr(p.epolls[0])
	file := p.do(callAllocFD, 3, 0)
	event := p.do(nrEventfd2, 5, 0x800)
	const bad = 0x123000
	store32(p.room, epollIn)
	minusOne := ^uintptr(0)
	for _, test := range []struct {
		what      string
		got, want uintptr
	}{
		{"a file", p.do(nrEpollCtl, ep, 1, file, p.room), errPERM},
		{"itself", p.do(nrEpollCtl, ep, 1, ep, p.room), errINVAL},
		{"no descriptor", p.do(nrEpollCtl, ep, 1, 999, p.room), errBADF},
		{"no instance", p.do(nrEpollCtl, 999, 1, event, p.room), errBADF},
		{"another kind", p.do(nrEpollCtl, event, 1, event, p.room), errINVAL},
		{"bad pointer", p.do(nrEpollCtl, ep, 1, event, bad), errFAULT},
		{"bad operation", p.do(nrEpollCtl, ep, 7, event, p.room), errNOENT},
		{"wait for none", p.do(nrEpollWait, ep, p.room, 0, 0), errINVAL},
		{"wait at a bad pointer", p.do(nrEpollWait, ep, bad, 1, 0), errFAULT},
		{"wait for far too many", p.do(nrEpollWait, ep, p.room, 1<<31-1, 0), errFAULT},
		{"wait of another kind", p.do(nrEpollWait, event, p.room, 1, 0), errINVAL},
		{"wait of nothing", p.do(nrEpollWait, minusOne, p.room, 1, 0), errBADF},
		{"eventfd that blocks", p.do(nrEventfd2, 0, 0), errINVAL},
		{"short read", p.do(nrRead, event, p.room, 7), errINVAL},
		{"read to a bad pointer", p.do(nrRead, event, bad, 8), errFAULT},
		{"the first count", p.do(nrRead, event, p.room, 8), 8},
		{"empty", p.do(nrRead, event, p.room, 8), errAGAIN},
		{"a number too high", p.do(callAllocFD, maxFD, 1), errMFILE},
		{"a number too low", p.do(callAllocFD, minusOne, 1), errINVAL},
		{"free of nothing", p.do(callFreeFD, 999), errBADF},
	} {
		p.want(test.what, test.got, test.want)
	}
	*at[uint64](p.room) = ^uint64(0)
	p.want("the highest count", p.do(nrWrite, event, p.room, 8), errINVAL)
	*at[uint64](p.room) = ^uint64(1)
	p.want("a high count", p.do(nrWrite, event, p.room, 8), 8)
	*at[uint64](p.room) = 1
	p.want("a count too high", p.do(nrWrite, event, p.room, 8), errAGAIN)
}

// A service takes the console's numbers over without a gap.
func TestConsoleNumbers(t *testing.T) {
	p := newPollModel(t, 1)
	for want := range uintptr(3) {
		p.want("AllocFD", p.do(callAllocFD, 0, 1), want)
		if d := lookFD(int(want)); d.kind != fdConsole || !d.owned {
			t.Errorf("number %d has kind %d", want, d.kind)
		}
	}
	p.want("AllocFD", p.do(callAllocFD, 0, 1), 3)
	p.want("FreeFD", p.do(callFreeFD, 1), 0)
	p.want("AllocFD", p.do(callAllocFD, 0, 1), 1)
	p.want("AllocFD", p.do(callAllocFD, 0, 1), 4)
}
