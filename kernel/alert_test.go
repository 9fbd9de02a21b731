package kernel

import (
	"fmt"
	"testing"
	"time"
)

// alertModel is threads that wait in the runtime's epoll instance as the Go
// scheduler's do, the poller, interrupts, and what of them nobody has collected.
type alertModel struct {
	*testMachine
	room    uintptr
	epoll   uintptr
	poller  int32
	polled  bool               // the poller has polled since it was last woken
	waiting map[int32]bool     // threads blocked in epoll_wait, results not read
	vectors map[int32]uint64   // by descriptor
	pending map[int32]int64    // since when, by descriptor
	longest time.Duration      // that anything was pending
	nap     int                // how long the poller waits at most, half of the time; 0 for ever
	event   uintptr            // the scheduler's own eventfd, level-triggered
	came    map[int32]struct{} // descriptors that had an interrupt
}

func newAlertModel(t *testing.T, processors, threads, devices int) *alertModel {
	m := &alertModel{
		testMachine: newTestMachine(t, 4096, processors),
		waiting:     map[int32]bool{}, vectors: map[int32]uint64{}, pending: map[int32]int64{}, came: map[int32]struct{}{},
	}
	m.room = m.testMachine.room(uintptr(threads) + 4)
	for range threads {
		m.spawn()
		m.settle()
	}
	m.epoll = m.now0(nrEpollCreate1, 0)
	m.event = m.now0(nrEventfd2, 0, 0x800)
	m.watch(m.event, epollIn)
	for range devices {
		r := m.now0(callNewInterrupt)
		m.vectors[int32(r>>8)] = uint64(r & 0xFF)
		m.watch(r>>8, epollIn|epollOut|epollEdge)
	}
	c := m.busy()
	m.poller = c.current
	m.call(c, callAwaitEvents)
	return m
}

// now0 makes a call that does not block.
func (m *alertModel) now0(nr uintptr, args ...uintptr) uintptr {
	c := m.busy()
	i := c.current
	m.call(c, nr, args...)
	return uintptr(threadAt(i).regs.ax)
}

func (m *alertModel) watch(fd uintptr, events uint32) {
	store32(m.room, events)
	store32(m.room+4, uint32(fd))
	if r := m.now0(nrEpollCtl, m.epoll, 1, fd, m.room); r != 0 {
		m.t.Fatalf("epoll_ctl: %d", int64(r))
	}
}

// buffer is thread i's own.
func (m *alertModel) buffer(i int32) uintptr { return m.room + uintptr(i%int32(threadTop)+1)*pageSize }

// collected notes what thread i was given.
func (m *alertModel) collected(i int32) {
	n := int64(threadAt(i).regs.ax)
	for k := range max(n, 0) {
		fd := int32(load32(m.buffer(i) + uintptr(k)*epollEventSize + 4))
		if since, ok := m.pending[fd]; ok {
			m.longest = max(m.longest, time.Duration(m.now()-since))
			delete(m.pending, fd)
		}
	}
}

// observe reads the results of threads whose wait has ended, and fails unless
// whatever is pending has somebody who will collect it.
func (m *alertModel) observe() {
	m.t.Helper()
	onWay := m.poller != nobody && (pollerWaits == nobody || threadAt(m.poller).timer >= 0)
	for i := range m.waiting {
		t := threadAt(i)
		switch {
		case t.state == threadRunning:
			delete(m.waiting, i)
			m.collected(i)
		case t.state == threadReady && t.poked:
			onWay = true
		}
	}
	if len(m.pending) > 0 && !onWay {
		m.t.Fatalf("%v are pending and nobody will collect them; fresh %d", m.pending, lookFD(int(m.epoll)).fresh)
	}
	if i := pollerWaits; i != nobody && threadAt(i).timer >= 0 && threadAt(i).due > m.now()+int64(20*time.Millisecond) {
		m.t.Fatalf("the poller is to wait %v", time.Duration(threadAt(i).due-m.now()))
	}
}

// act has c's current thread do something.
func (m *alertModel) act(c *processor, hog bool) {
	i := c.current
	if i == m.poller {
		if m.polled || threadAt(i).regs.ax == 0 {
			m.polled = false
			m.call(c, callAwaitEvents, uintptr(m.Intn(2)*m.nap))
			return
		}
		m.polled = true
		m.wait(c, 0)
		return
	}
	if i == sysmonThread {
		if m.Intn(2) == 0 {
			m.wait(c, 0)
		} else {
			m.sleep(c, 10_000_000)
		}
		return
	}
	if hog {
		return
	}
	switch m.Intn(6) {
	case 0:
		m.wait(c, 0)
	case 1:
		m.wait(c, -1)
	case 2:
		m.wait(c, 1+m.Intn(3))
	case 3:
		m.call(c, nrYield)
	case 4: // as netpollBreak does
		*at[uint64](m.buffer(i)) = 1
		m.call(c, nrWrite, m.event, m.buffer(i), 8)
	case 5:
		m.sleep(c, 3_000_000)
	}
}

// sleep has c's current thread sleep for less than most ns.
func (m *alertModel) sleep(c *processor, most int) {
	b := m.buffer(c.current)
	*at[[2]int64](b) = [2]int64{0, int64(m.Intn(most))}
	m.call(c, nrNanosleep, b, 0)
}

// wait has c's current thread poll, for that many ms.
func (m *alertModel) wait(c *processor, ms int) {
	i := c.current
	most := uintptr(1 + m.Intn(4)) // so that a buffer is often full
	m.waiting[i] = true
	m.call(c, nrEpollWait, m.epoll, m.buffer(i), most, uintptr(ms))
	if c.current == i && threadAt(i).state == threadRunning {
		delete(m.waiting, i)
		m.collected(i)
	}
}

// interrupt has one device raise its interrupt, at any processor.
func (m *alertModel) interrupt() {
	for fd, vector := range m.vectors {
		if _, ok := m.pending[fd]; !ok {
			m.pending[fd] = m.now()
		}
		c := cpuAt(m.Intn(cpuCount))
		m.wake(c, func() { onDevice(c, vector) })
		return
	}
}

// step does one thing, at random. Hogs make no call.
func (m *alertModel) step(hogs bool) {
	switch m.Intn(5) {
	case 0:
		m.interrupt()
	case 1:
		m.pass(int64(m.Intn(300_000)))
	case 2:
		m.settle()
	default:
		if c := m.busy(); c != nil {
			m.act(c, hogs && m.Intn(50) != 0)
		}
	}
	m.observe()
}

// drain lets time pass on a machine on which all but the poller spin.
func (m *alertModel) drain() {
	start := m.now()
	for len(m.pending) > 0 {
		m.settle()
		m.observe()
		for k := range cpuCount {
			if c := cpuAt(k); c.current == m.poller {
				m.act(c, true)
				m.observe()
			}
		}
		m.pass(100_000)
		m.observe()
		if m.now()-start > int64(time.Second) {
			m.t.Fatalf("%v are not collected", m.pending)
		}
	}
}

// TestAlerts: whatever order interrupts, polls, waits and the poller's steps come
// in, an interrupt that nobody has collected always has somebody on the way to
// it, and is collected soon even if all other threads spin.
func TestAlerts(t *testing.T) {
	for _, processors := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(processors), func(t *testing.T) {
			m := newAlertModel(t, processors, 2*processors+2, 6)
			m.nap = 200_000
			for sysmonThread = 0; sysmonThread == m.poller; sysmonThread++ {
			}
			hogs := false
			for i := range rounds(60_000) {
				if i%1000 == 0 {
					hogs = m.Intn(2) == 0
				}
				m.step(hogs)
				if i%100 == 0 {
					m.check()
				}
				if i%500 == 0 {
					m.drain()
				}
			}
			m.drain()
			t.Logf("the longest that an interrupt waited: %v", m.longest)
		})
	}
}

// TestAlertAtOnce: beside threads that spin, an interrupt wakes the poller at the
// same moment, also the one that comes while the poller is at work.
func TestAlertAtOnce(t *testing.T) {
	m := newAlertModel(t, 1, 3, 2)
	c := cpuAt(0)
	for range 1000 {
		m.pass(int64(m.Intn(1_000_000)) + calculates)
		for c.current == m.poller {
			m.act(c, true)
		}
		m.interrupt()
		if c.current != m.poller {
			t.Fatalf("thread %d runs after an interrupt, not the poller", c.current)
		}
		m.act(c, true) // polls
		m.observe()
		m.interrupt() // while it is at work
		m.act(c, true)
		if c.current != m.poller {
			t.Fatal("the poller waits while an interrupt is pending")
		}
		m.act(c, true)
		m.observe()
		m.act(c, true)
		if len(m.pending) > 0 {
			t.Fatalf("%v are pending", m.pending)
		}
	}
}

// TestAlertSeldom: a scheduler that goes from goroutine to goroutine is left alone
// for as long as sysmon would wait, and then is asked for no room; once one goroutine stays, room is made soon.
func TestAlertSeldom(t *testing.T) {
	const threads, step = 3, 100_000
	m := newAlertModel(t, 1, threads, 1)
	c := cpuAt(0)
	goroutine := at[uint64](m.room + (threads+3)*pageSize)
	for i := range threadTop {
		threadAt(i).regs.fs = uint64(address(goroutine)) + 8
	}
	for _, changes := range []bool{true, false, true} {
		for range 50 {
			*goroutine++
			m.pass(step)
			c.thread().notice(m.now())
		}
		lastPolled = m.now()
		m.interrupt()
		want, least, most := uint64(alertRoom), int64(0), 2*calculates
		if changes {
			want, least, most = alertPoll, pollSeldom, pollSeldom+step
		}
		start := m.now()
		for c.current != m.poller {
			if m.now()-start > most {
				t.Fatalf("changes %v: not woken", changes)
			}
			if changes {
				*goroutine++
			}
			m.pass(step)
		}
		if took := m.now() - start; took < least || c.thread().regs.ax != want {
			t.Fatalf("changes %v: woken after %v, with %d instead of %d", changes, time.Duration(took), c.thread().regs.ax, want)
		}
		m.polled = false
		m.act(c, true) // polls
		m.observe()
		m.act(c, true) // waits
	}
}
