package kernel

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
)

// This file plays processors: they run threads that make system calls, get
// the interrupts that the kernel has asked for, and sleep when they are told.

// now is the machine's clock; pass moves it and delivers the timer's interrupts.
func (m *testMachine) now() int64 { return int64(*clockWord(24)) }

func (m *testMachine) pass(ns int64) {
	for end := m.now() + ns; ; {
		next := end
		for i := range cpuCount {
			next = min(next, max(cpuAt(i).armed, m.now()))
		}
		*clockWord(24) = uint64(next)
		fired := false
		for _, i := range m.Perm(cpuCount) {
			if c := cpuAt(i); c.armed <= next {
				fired = true
				m.wake(c, func() { onTimer(c) })
			}
		}
		if !fired && next == end {
			return
		}
	}
}

// wake gives a processor an interrupt.
func (m *testMachine) wake(c *processor, serve func()) {
	atomic.StoreUint32(&c.idle, 0)
	serve()
	leave(c)
}

// settle delivers the interrupts that processors sent each other, in random
// order, until there are none.
func (m *testMachine) settle() {
	for kicked != 0 {
		i := m.Intn(cpuCount)
		if kicked&(1<<i) != 0 {
			kicked &^= 1 << i
			m.wake(cpuAt(i), func() { onKick(cpuAt(i)) })
		}
	}
}

// call has the thread that c runs make a system call. The result is in its
// registers when it runs again.
func (m *testMachine) call(c *processor, nr uintptr, args ...uintptr) {
	t := c.thread()
	r := &t.regs
	r.ax = uint64(nr)
	for i, to := range []*uint64{&r.di, &r.si, &r.dx, &r.r10, &r.r8, &r.r9} {
		*to = 0
		if i < len(args) {
			*to = uint64(args[i])
		}
	}
	result := call(c, t)
	if c.current != nobody {
		r.ax = uint64(result)
	}
	leave(c)
}

// spawn makes a ready thread, as clone does.
func (m *testMachine) spawn() (spawned int32) {
	c := m.busy()
	if c == nil {
		c = cpuAt(0)
	}
	m.wake(c, func() {
		sched.lock()
		defer sched.unlock()
		t, i := newThread()
		if t == nil {
			m.t.Fatal("no thread")
		}
		ready(c, i, false)
		spawned = i
	})
	return spawned
}

// busy picks a processor that runs a thread, nil if there is none.
func (m *testMachine) busy() *processor {
	for _, i := range m.Perm(cpuCount) {
		if c := cpuAt(i); c.current != nobody {
			return c
		}
	}
	return nil
}

// check fails unless every thread is in one place, each time limit in its
// heap and each timer set for the first of them, and unless every processor
// that sleeps has nothing to do, or an interrupt on its way.
func (m *testMachine) check() {
	m.t.Helper()
	place := map[int32]string{}
	put := func(i int32, where string) {
		if was, ok := place[i]; ok {
			m.t.Fatalf("thread %d is %s and %s", i, was, where)
		}
		place[i] = where
	}
	limits := map[int32]bool{}
	waiting := 0
	for k := range cpuCount {
		c := cpuAt(k)
		if i := c.current; i != nobody {
			put(i, fmt.Sprintf("running on %d", k))
			if t := threadAt(i); t.state != threadRunning || t.cpu != c.id || c.regs != address(&t.regs) || c.idle != 0 {
				m.t.Fatalf("processor %d does not run thread %d as it should", k, i)
			}
		} else if c.regs != 0 || c.idle == 0 {
			m.t.Fatalf("processor %d sleeps with its eyes open", k)
		}
		n, last := int32(0), nobody
		for i := c.first; i != nobody; i = threadAt(i).next {
			put(i, fmt.Sprintf("queued on %d", k))
			if threadAt(i).state != threadReady || threadAt(i).cpu != c.id {
				m.t.Fatalf("thread %d in the queue of %d is not ready there", i, k)
			}
			n, last = n+1, i
		}
		if n != c.length || last != c.last {
			m.t.Fatalf("the queue of %d has %d threads and says %d", k, n, c.length)
		}
		if c.current != nobody || kicked&(1<<k) == 0 || n > 1 { // else it is about to run it
			waiting += int(n)
		}
		if c.current != nobody && n > 0 && c.quantum == never && kicked&(1<<k) == 0 {
			m.t.Fatalf("thread %d may keep processor %d for ever, and %d wait", c.current, k, n)
		}
		due := c.quantum
		for j := range c.timers {
			i := c.timerAt(j)
			t := threadAt(i)
			if t.timer != j || t.state != threadBlocked || t.cpu != c.id || limits[i] {
				m.t.Fatalf("time limit %d of processor %d is not thread %d's", j, k, i)
			}
			limits[i] = true
			if j > 0 && threadAt(c.timerAt((j-1)/2)).due > t.due {
				m.t.Fatalf("the heap of %d is none", k)
			}
			due = min(due, t.due)
		}
		if due < never && c.armed > due && kicked&(1<<k) == 0 {
			m.t.Fatalf("the timer of %d is set to %d and %d is due", k, c.armed, due)
		}
	}
	for k := range cpuCount {
		if cpuAt(k).current == nobody && kicked&(1<<k) == 0 && waiting > 0 {
			m.t.Fatalf("processor %d sleeps while %d threads wait", k, waiting)
		}
	}
	for i := range threadTop {
		t := threadAt(i)
		if t.state == threadBlocked {
			put(i, "blocked")
		}
		if (place[i] == "") != (t.state == threadFree) {
			m.t.Fatalf("thread %d in state %d is %q", i, t.state, place[i])
		}
		if (t.timer >= 0) != limits[i] {
			m.t.Fatalf("thread %d has time limit %d and none is there", i, t.timer)
		}
	}
}

// TestTimers adds and cancels time limits in one heap at random.
func TestTimers(t *testing.T) {
	m := newTestMachine(t, 4096, 1)
	c := cpuAt(0)
	const n = 200
	limits := map[int32]int64{}
	sched.lock()
	for range n {
		newThread()
	}
	sched.unlock()
	for range rounds(20_000) {
		i := int32(m.Intn(n))
		if _, ok := limits[i]; ok {
			cancelTimer(i)
			delete(limits, i)
		} else {
			limits[i] = int64(m.Intn(50))
			c.addTimer(i, limits[i])
		}
		first := never
		for i, due := range limits {
			first = min(first, due)
			if k := threadAt(i).timer; c.timerAt(k) != i {
				t.Fatalf("thread %d is not at its place %d", i, k)
			}
		}
		if int(c.timers) != len(limits) {
			t.Fatalf("%d limits, want %d", c.timers, len(limits))
		}
		if c.timers > 0 && threadAt(c.timerAt(0)).due != first {
			t.Fatalf("first is %d, want %d", threadAt(c.timerAt(0)).due, first)
		}
	}
}

// waiter is what the model knows of a thread in a futex or asleep.
type waiter struct {
	thread int32
	word   uintptr // 0: asleep
	due    int64
}

// futexModel is who waits, in the order of coming.
type futexModel struct {
	*testMachine
	words   uintptr // some futexes, and room for a timespec behind
	waiting []waiter
}

const futexWords = 5

func (f *futexModel) timespec(ns int64) uintptr {
	p := f.words + 2048
	*at[int64](p), *at[int64](p + 8) = ns/1e9, ns%1e9
	return p
}

// take removes a waiter and checks that it runs again, with a result.
func (f *futexModel) take(k int, result uint64) {
	w := f.waiting[k]
	f.waiting = slices.Delete(f.waiting, k, k+1)
	if t := threadAt(w.thread); t.state == threadBlocked || t.regs.ax != result {
		f.t.Fatalf("thread %d should be awake with %d; its state is %d, its result %d", w.thread, int64(result), t.state, int64(t.regs.ax))
	}
}

// expire takes those whose time has come.
func (f *futexModel) expire() {
	for k := 0; k < len(f.waiting); {
		w := f.waiting[k]
		switch {
		case w.due > f.now():
			k++
		case w.word == 0:
			f.take(k, 0)
		default:
			f.take(k, uint64(errTIMED))
		}
	}
}

// wait has c's thread wait for a futex or sleep, sometimes with a limit.
func (f *futexModel) wait(c *processor) {
	const waitBitset, private = 9, 128
	w := waiter{thread: c.current, word: f.words + uintptr(f.Intn(futexWords))*4, due: never}
	val := *at[uint32](w.word)
	limit := int64(1 + f.Intn(10_000_000))
	switch f.Intn(6) {
	case 0: // a value that is not there
		f.call(c, nrFutex, w.word, private, uintptr(val+1), 0)
		if ax := threadAt(w.thread).regs.ax; ax != uint64(errAGAIN) {
			f.t.Fatalf("a wait for another value ends with %d", int64(ax))
		}
		return
	case 1:
		w.word, w.due = 0, f.now()+limit
		f.call(c, nrNanosleep, f.timespec(limit))
	case 2:
		w.due = f.now() + limit
		f.call(c, nrFutex, w.word, private, uintptr(val), f.timespec(limit))
	case 3:
		w.due = f.now() + limit
		f.call(c, nrFutex, w.word, private|waitBitset, uintptr(val), f.timespec(w.due))
	default:
		f.call(c, nrFutex, w.word, 0, uintptr(val), 0)
	}
	if threadAt(w.thread).state != threadBlocked {
		f.t.Fatalf("thread %d does not wait", w.thread)
	}
	f.waiting = append(f.waiting, w)
}

// wakeUp wakes some of those who wait for a word: the first ones.
func (f *futexModel) wakeUp(c *processor) {
	word, most := f.words+uintptr(f.Intn(futexWords))*4, f.Intn(4)
	*at[uint32](word) = f.Uint32()
	caller := c.current
	f.call(c, nrFutex, word, 1|128, uintptr(most))
	woken := 0
	for k := 0; k < len(f.waiting) && woken < most; {
		if f.waiting[k].word != word {
			k++
			continue
		}
		f.take(k, 0)
		woken++
	}
	if got := threadAt(caller).regs.ax; got != uint64(woken) {
		f.t.Fatalf("%d woken, want %d", got, woken)
	}
}

// TestScheduler runs random histories of threads that wait, wake each other,
// sleep, yield, begin and end, on several processors, beside a model of who
// must be awake.
func TestScheduler(t *testing.T) {
	for _, processors := range []int{1, 2, 3, 8} {
		t.Run(fmt.Sprint(processors), func(t *testing.T) {
			m := newTestMachine(t, 4096, processors)
			f := &futexModel{testMachine: m, words: m.room(1)}
			alive := 0
			for range rounds(20_000) {
				c := f.busy()
				switch k := f.Intn(12); {
				case c == nil || k == 0 && alive < 40:
					if c == nil && alive > 0 {
						f.pass(int64(f.Intn(20_000_000)))
						f.expire()
					}
					if alive < 40 {
						m.spawn()
						alive++
					}
				case k < 5:
					f.wait(c)
				case k < 8:
					f.wakeUp(c)
				case k == 8:
					f.call(c, nrYield)
				case k == 9 && alive > 20:
					f.call(c, nrExit)
					alive--
				default:
					f.pass(int64(f.Intn(3_000_000)))
					f.expire()
				}
				m.check()
				if f.Intn(3) > 0 {
					m.settle()
					m.check()
				}
				for _, w := range f.waiting {
					if threadAt(w.thread).state != threadBlocked {
						t.Fatalf("thread %d woke without a reason", w.thread)
					}
				}
				if n := int(threadCount.Load()); n != alive {
					t.Fatalf("%d threads, want %d", n, alive)
				}
			}
		})
	}
}

// Threads that never wait share a processor in equal turns.
func TestTurns(t *testing.T) {
	m := newTestMachine(t, 4096, 1)
	const n = 6
	for range n {
		m.spawn()
	}
	m.pass(100 * n * slice)
	m.check()
	for i := range int32(n) {
		used := threadAt(i).used
		if threadAt(i).state == threadRunning {
			used += m.now() - threadAt(i).started
		}
		if want := 100 * slice; used < want-2*slice || used > want+2*slice {
			t.Errorf("thread %d had %d ms of %d", i, used/1e6, want/1e6)
		}
	}
}

// A thread that an interrupt wakes does not wait for others' turns.
func TestUrgent(t *testing.T) {
	m := newTestMachine(t, 4096, 1)
	f := &futexModel{testMachine: m, words: m.room(1)}
	sleeper := m.spawn()
	m.settle()
	m.call(cpuAt(0), nrNanosleep, f.timespec(1000))
	for range 5 {
		m.spawn()
	}
	m.settle()
	m.pass(1000)
	if c := cpuAt(0); c.current != sleeper {
		t.Errorf("thread %d runs", c.current)
	}
}

// All threads there can be, and one more.
func TestThreadLimit(t *testing.T) {
	newTestMachine(t, 8192, 1)
	sched.lock()
	defer sched.unlock()
	for range maxThreads {
		if n, _ := newThread(); n == nil {
			t.Fatal("no thread")
		}
	}
	if n, _ := newThread(); n != nil {
		t.Error("a thread beyond the limit")
	}
}

// Calls of programs meet workers, each call one, and results come back.
func TestHandOver(t *testing.T) {
	m := newTestMachine(t, 4096, 3)
	room := m.room(1)
	const strange = 0x500
	if m.spawn(); cpuAt(0).current == nobody {
		m.settle()
		m.pass(1)
	}
	c := m.busy()
	if m.call(c, strange); threadAt(0).regs.ax != uint64(errNOSYS) {
		t.Fatal("a call is served before there is a service")
	}
	m.call(c, callServing)
	for range 15 {
		m.spawn()
	}
	m.settle()
	slot := func(i int32) *request { return at[request](room + uintptr(i)*requestSize) }
	asked := map[int32]uintptr{} // by client: the argument
	given := map[int32]int32{}   // by worker: the client
	worker := func(i int32) bool { return i < 6 }
	for range rounds(20_000) {
		c := m.busy()
		if c == nil {
			if kicked == 0 {
				t.Fatal("all wait")
			}
			m.settle()
			continue
		}
		i := c.current
		r := slot(i)
		switch {
		case worker(i):
			if r.thread != 0 {
				client := int32(r.thread) - 1
				if given[i] = client; r.args[0] != asked[client] || r.nr != strange {
					t.Fatalf("worker %d got call %d(%d) of %d", i, r.nr, r.args[0], client)
				}
				r.result = asked[client] + 1
			}
			m.call(c, callNext, address(r))
		default:
			if arg, ok := asked[i]; ok {
				if got := threadAt(i).regs.ax; got != uint64(arg+1) {
					t.Fatalf("client %d got %d, want %d", i, got, arg+1)
				}
			}
			asked[i] = uintptr(m.Uint32())
			m.call(c, strange, asked[i])
		}
		m.check()
		if m.Intn(2) == 0 {
			m.settle()
		}
	}
	if len(given) == 0 || len(asked) != 10 {
		t.Errorf("%d workers, %d clients had a part", len(given), len(asked))
	}
	m.spawn()
	m.settle()
	if c := m.busy(); c != nil {
		slot(c.current).thread = 4000
		if m.call(c, callNext, address(slot(c.current))); c.current != nobody && c.thread().regs.ax != uint64(errINVAL) {
			t.Error("a worker answers a call that nobody made")
		}
	}
}
