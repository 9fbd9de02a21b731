package kernel

import "sync/atomic"

// Descriptors, epoll and eventfd. The kernel owns the numbers and who waits
// for which; what a number stands for is a service's affair, except for the
// kinds below. sched guards all but the ready word.

const (
	fdFree    = iota
	fdConsole // 0, 1 and 2 until a service takes over
	fdService // a file, socket, ... of services/
	fdEvent   // eventfd
	fdEpoll
	fdInterrupt
)

// descriptor is one number.
type descriptor struct {
	ready    atomic.Uint32 // events that stand, and fdWatched
	kind     uint8
	pollable bool
	owned    bool   // fdConsole: a service has it
	fresh    uint8  // epoll: whether events wait that nobody has collected
	polls    int32  // chain of polls by nextFD: who watches this descriptor
	count    uint64 // eventfd
	first    int32  // epoll: polls with news, by nextReady
	last     int32
	waiter   int32 // epoll: threads blocked, by thread.next
}

const (
	descriptorSize = 64
	fdWatched      = 1 << 31
)

// poll is one epoll instance's interest in one descriptor.
type poll struct {
	epoll, fd         int32
	events, news      uint32
	data              uint64
	nextFD, nextReady int32
	queued, live      bool
}

const pollSize = 64

const (
	epollIn      = 0x1
	epollOut     = 0x4
	epollErr     = 0x8
	epollHup     = 0x10
	epollOneShot = 1 << 30
	epollEdge    = 1 << 31
)

var (
	descriptors table
	polls       table
	pollFree    int32 // chain of free polls by nextFD
	pollTop     int32
	fdLow       int32 // every number below is taken
)

func initDescriptors() {
	descriptors = makeTable(maxFD, descriptorSize)
	polls = makeTable(maxPolls, pollSize)
	pollFree = nobody
	for fd := int32(0); fd < 3; fd++ {
		at[descriptor](descriptors.make(fd)).kind = fdConsole
	}
}

func lookFD(fd int) *descriptor {
	if fd < 0 || fd >= maxFD {
		return nil
	}
	a := descriptors.get(int32(fd))
	if a == 0 || at[descriptor](a).kind == fdFree {
		return nil
	}
	return at[descriptor](a)
}

func pollAt(i int32) *poll { return at[poll](polls.get(i)) }

// allocFD takes the lowest free number that is at least low. sched is held.
func allocFD(low int32, kind uint8, pollable bool) (*descriptor, uintptr) {
	fd := max(low, fdLow)
	for ; fd < maxFD; fd++ {
		a := descriptors.make(fd)
		if a == 0 {
			return nil, errNOMEM
		}
		d := at[descriptor](a)
		// A service takes the console's numbers over without a change of
		// kind: what a dying program writes there must get out by itself.
		taken := d.kind != fdFree
		if d.kind == fdConsole && kind == fdService && !d.owned {
			d.owned, taken = true, false
			kind = fdConsole
		}
		if taken {
			continue
		}
		if low <= fdLow {
			fdLow = fd + 1
		}
		d.ready.Store(0)
		d.kind, d.pollable = kind, pollable
		d.polls, d.first, d.last, d.waiter = nobody, nobody, nobody, nobody
		d.count, d.fresh = 0, notFresh
		return d, uintptr(fd)
	}
	return nil, errMFILE
}

// closeFD frees a number and whatever waits for it. sched is held.
func closeFD(c *processor, fd int32, d *descriptor) {
	for d.polls != nobody {
		removePoll(fd, d, d.polls)
	}
	if d.kind == fdEpoll {
		closeEpoll(c, fd, d)
	}
	d.kind = fdFree
	fdLow = min(fdLow, fd)
}

func closeEpoll(c *processor, fd int32, d *descriptor) {
	for i := range pollTop {
		p := pollAt(i)
		if p.live && p.epoll == fd {
			removePoll(p.fd, at[descriptor](descriptors.get(p.fd)), i)
		}
	}
	for d.first != nobody {
		popReady(d)
	}
	for d.waiter != nobody {
		i := d.waiter
		d.waiter = threadAt(i).next
		threadAt(i).regs.ax = uint64(errBADF)
		ready(c, i, false)
	}
}

// newPoll takes a free entry, nobody if there is none. sched is held.
func newPoll() int32 {
	if i := pollFree; i != nobody {
		pollFree = pollAt(i).nextFD
		return i
	}
	if polls.make(pollTop) == 0 {
		return nobody
	}
	pollTop++
	return pollTop - 1
}

// removePoll ends the interest i in fd. An entry with news stays in its epoll
// instance's queue, dead, until popReady meets it.
func removePoll(fd int32, d *descriptor, i int32) {
	link := &d.polls
	for *link != i {
		link = &pollAt(*link).nextFD
	}
	p := pollAt(i)
	*link = p.nextFD
	if d.polls == nobody {
		d.ready.And(^uint32(fdWatched))
	}
	p.live = false
	if !p.queued {
		p.nextFD = pollFree
		pollFree = i
	}
}

func findPoll(d *descriptor, epoll int32) int32 {
	i := d.polls
	for i != nobody && pollAt(i).epoll != epoll {
		i = pollAt(i).nextFD
	}
	return i
}

// level is the events that stand for a descriptor now.
func (d *descriptor) level() uint32 {
	switch {
	case d.kind == fdEvent && d.count > 0:
		return epollIn | epollOut
	case d.kind == fdEvent:
		return epollOut
	case d.kind == fdEpoll:
		return d.epollLevel()
	}
	return d.ready.Load() &^ fdWatched
}

// epollLevel is level for an epoll instance: readable while it has news.
func (d *descriptor) epollLevel() uint32 {
	for i := d.first; i != nobody; i = pollAt(i).nextReady {
		p := pollAt(i)
		news := p.news
		if p.events&epollEdge == 0 {
			news = at[descriptor](descriptors.get(p.fd)).level() & p.events
		}
		if p.live && news != 0 {
			return epollIn
		}
	}
	return 0
}

// nests tells whether e may not watch the epoll instance d: one may be watched by
// another, and no more.
func nests(e, d *descriptor, fd int32) bool {
	if d.kind != fdEpoll {
		return false
	}
	for i := range pollTop {
		p := pollAt(i)
		if p.live && p.epoll == fd && at[descriptor](descriptors.get(p.fd)).kind == fdEpoll {
			return true
		}
	}
	return e.polls != nobody
}

// post tells everyone who watches d of events. sched is held.
func post(c *processor, d *descriptor, events uint32, urgent bool) {
	for i := d.polls; i != nobody; {
		p := pollAt(i)
		next := p.nextFD
		if news := events & p.events; news != 0 {
			p.news |= news
			queueReady(c, i, p, urgent)
		}
		i = next
	}
}

// queueReady puts a poll with news where its epoll instance finds it, and
// wakes one waiter.
func queueReady(c *processor, i int32, p *poll, urgent bool) {
	e := at[descriptor](descriptors.get(p.epoll))
	if !p.queued {
		p.queued = true
		p.nextReady = nobody
		if e.first == nobody {
			e.first = i
		} else {
			pollAt(e.last).nextReady = i
		}
		e.last = i
	}
	e.fresh = max(e.fresh, freshOther)
	if urgent {
		e.fresh = freshDevice
	}
	if e.polls != nobody {
		post(c, e, epollIn, urgent)
	}
	if e.waiter != nobody {
		wakeWaiter(c, e, urgent)
	} else if p.epoll == runtimeEpoll {
		alertPoller(c, urgent)
	}
}

// wakeWaiter has one thread that waits for the epoll instance e collect.
func wakeWaiter(c *processor, e *descriptor, urgent bool) {
	w := e.waiter
	t := threadAt(w)
	e.waiter = t.next
	t.poked = true
	if urgent {
		wokenFor.thread = w
	}
	ready(c, w, urgent)
}

// popReady takes the first poll with news; dead ones are freed on the way.
func popReady(e *descriptor) int32 {
	for e.first != nobody {
		i := e.first
		p := pollAt(i)
		e.first = p.nextReady
		if e.first == nobody {
			e.last = nobody
		}
		p.queued = false
		if p.live {
			return i
		}
		p.nextFD = pollFree
		pollFree = i
	}
	return nobody
}

// epollEventSize: struct epoll_event is packed on amd64: events, then data.
const epollEventSize = 12

// collect writes news of the epoll instance fd into a program's buffer and
// returns how many, or EINTR when there were none after all. What is left, and
// what stays ready, is for the next waiter. sched is held.
func collect(c *processor, fd int32, buffer uintptr, most int32) uintptr {
	e := at[descriptor](descriptors.get(fd))
	if fd == runtimeEpoll {
		calmPoller()
	}
	n := uintptr(0)
	again := nobody // level-triggered polls go back to the queue's end, once
	for int32(n) < most {
		i := popReady(e)
		if i == nobody || i == again {
			if i != nobody {
				requeue(e, i)
			}
			e.fresh = notFresh
			break
		}
		p := pollAt(i)
		news := p.news
		p.news = 0
		if p.events&epollEdge == 0 {
			news = at[descriptor](descriptors.get(p.fd)).level() & p.events
		}
		if news == 0 {
			continue
		}
		store32(buffer+n*epollEventSize, news)
		store32(buffer+n*epollEventSize+4, uint32(p.data))
		store32(buffer+n*epollEventSize+8, uint32(p.data>>32))
		n++
		switch {
		case p.events&epollOneShot != 0:
			p.events &= epollOneShot | epollEdge
		case p.events&epollEdge == 0:
			requeue(e, i)
			if again == nobody {
				again = i
			}
		}
	}
	switch {
	case e.first == nobody:
		e.fresh = notFresh
	case e.waiter != nobody:
		wakeWaiter(c, e, false)
	case fd == runtimeEpoll && e.fresh != notFresh:
		alertPoller(c, e.fresh == freshDevice)
	}
	if n == 0 {
		return errINTR
	}
	return n
}

func requeue(e *descriptor, i int32) {
	p := pollAt(i)
	p.queued = true
	p.nextReady = nobody
	if e.first == nobody {
		e.first = i
	} else {
		pollAt(e.last).nextReady = i
	}
	e.last = i
}

// leavePoll takes thread i off its epoll instance. sched is held.
func leavePoll(i int32, t *thread) {
	e := at[descriptor](descriptors.get(int32(t.word)))
	for p := &e.waiter; *p != nobody; p = &threadAt(*p).next {
		if *p == i {
			*p = t.next
			return
		}
	}
}

func epollCreate() uintptr {
	sched.lock()
	defer sched.unlock()
	d, fd := allocFD(3, fdEpoll, true)
	if d != nil && runtimeEpoll == nobody {
		runtimeEpoll = int32(fd)
	}
	return fd
}

func epollControl(c *processor, epfd, op, fd, event uintptr) uintptr {
	const add, del, mod = 1, 2, 3
	if op != del && !accessible(event, epollEventSize, false) {
		return errFAULT
	}
	sched.lock()
	defer sched.unlock()
	e, d := lookFD(int(int32(epfd))), lookFD(int(int32(fd)))
	if e == nil || d == nil {
		return errBADF
	}
	if e.kind != fdEpoll || e == d {
		return errINVAL
	}
	if !d.pollable {
		return errPERM
	}
	i := findPoll(d, int32(epfd))
	switch {
	case op == add && i != nobody:
		return errEXIST
	case op != add && i == nobody:
		return errNOENT
	case op == del:
		removePoll(int32(fd), d, i)
		return 0
	case op == add && nests(e, d, int32(fd)):
		return errLOOP
	case op == add:
		i = newPoll()
		if i == nobody {
			return errNOMEM
		}
		*pollAt(i) = poll{epoll: int32(epfd), fd: int32(fd), nextFD: d.polls, nextReady: nobody, live: true}
		d.polls = i
		d.ready.Or(fdWatched)
	case op != mod:
		return errINVAL
	}
	p := pollAt(i)
	p.news = 0                                     // was news to the old mask
	p.events = load32(event) | epollErr | epollHup // these are always meant
	p.data = uint64(load32(event+4)) | uint64(load32(event+8))<<32
	if news := d.level() & p.events; news != 0 {
		p.news = news
		queueReady(c, i, p, false)
	}
	return 0
}

// epollWait: timeout in ns, negative for no limit.
func epollWait(c *processor, epfd, buffer, most uintptr, timeout int64) uintptr {
	if int32(most) <= 0 {
		return errINVAL
	}
	if !accessible(buffer, most*epollEventSize, true) {
		return errFAULT
	}
	sched.lock()
	defer sched.unlock()
	e := lookFD(int(int32(epfd)))
	if e == nil {
		return errBADF
	}
	if e.kind != fdEpoll {
		return errINVAL
	}
	if int32(epfd) == runtimeEpoll && leaveToPoller(c) {
		return 0
	}
	if e.first != nobody {
		if r := collect(c, int32(epfd), buffer, int32(most)); r != errINTR {
			return r
		}
	}
	if timeout == 0 {
		return 0
	}
	due := never
	if timeout > 0 {
		due = monotonic() + timeout
	}
	t := c.thread()
	t.buffer, t.max = buffer, int32(most)
	t.next = e.waiter
	e.waiter = c.current
	c.block(waitPoll, epfd, due)
	return 0
}

// eventfd is eventfd2: non-blocking ones only, as the Go runtime makes them.
func eventfd(initial, flags uintptr) uintptr {
	const nonblock, cloexec = 0x800, 0x80000
	if flags&^cloexec != nonblock {
		return errINVAL
	}
	sched.lock()
	defer sched.unlock()
	d, fd := allocFD(3, fdEvent, true)
	if d != nil {
		d.count = uint64(uint32(initial))
	}
	return fd
}

func eventRead(d *descriptor, buffer, n uintptr) uintptr {
	if n < 8 {
		return errINVAL
	}
	sched.lock()
	defer sched.unlock()
	if d.count == 0 {
		return errAGAIN
	}
	*at[uint64](buffer) = d.count
	d.count = 0
	return 8
}

func eventWrite(c *processor, d *descriptor, buffer, n uintptr) uintptr {
	if n < 8 {
		return errINVAL
	}
	sched.lock()
	defer sched.unlock()
	v := *at[uint64](buffer)
	if v == ^uint64(0) {
		return errINVAL
	}
	if d.count+v < d.count || d.count+v == ^uint64(0) {
		return errAGAIN
	}
	d.count += v
	if v != 0 {
		post(c, d, epollIn, false)
	}
	return 8
}
