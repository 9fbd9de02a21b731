package kernel

import (
	"sync/atomic"
	"unsafe"
)

// registers is the state of a thread that does not run. trap_amd64.s knows
// the offsets. The last five words before fs are what IRETQ takes.
type registers struct {
	ax, bx, cx, dx, si, di, bp, r8, r9, r10, r11, r12, r13, r14, r15 uint64

	ip, cs, flags, sp, ss uint64

	fs    uint64
	xsave uintptr // the thread's XSAVE area, 64-byte aligned
	live  uint64  // 1: xsave holds the vector registers; 0: a call gave them up
}

const (
	codeSelector = 0x08
	dataSelector = 0x10
	tssSelector  = 0x18
	flagsUser    = 0x202 // interrupts on
	xsaveSize    = pageSize
)

// thread states. Drawn:
//
//	free -> ready -> running -> blocked -> ready
//	                 running -> ready (preempted)
//	                 running -> free (exit)
const (
	threadFree = iota
	threadReady
	threadRunning
	threadBlocked
)

// What a blocked thread waits for.
const (
	waitNothing = iota
	waitFutex   // word: the futex's address
	waitSleep
	waitPoll   // word: the epoll descriptor
	waitResult // word: number of the call that a service works on
	waitCalls  // a service's worker that waits for calls
	waitEvents // the runtime's thread that polls when nobody else does
)

// thread is one thread. Threads are named by their index; their ID for the
// program is the index plus one. sched guards all but regs, which belong to
// whoever runs the thread.
type thread struct {
	regs registers

	state uint8
	wait  uint8
	poked bool  // epoll: something to collect when it runs next
	cpu   int32 // where it runs, or ran last
	next  int32 // in a run queue, futex chain or queue of calls
	timer int32 // position in its processor's timer heap, -1 if none
	word  uintptr
	due   int64 // when its wait times out

	mask, pending uint64 // signals blocked, signals waiting; bit n-1 for signal n
	altStack      uintptr
	altSize       uintptr
	altFlags      uint32

	buffer  uintptr // epoll_wait's events, the worker's request
	max     int32   // epoll_wait's bound
	started int64   // when it last began to run
	used    int64   // processor time so far, ns
	called  int64   // when it last made a system call, or went on after one that blocked
	seen    uint64  // the goroutine it was at when its processor last looked (notice)
	looked  int64   // when that was, or when it went on after
	since   int64   // when its processor first saw it at that
	profile int64   // SIGPROF when used reaches it, 0 if off
	period  int64
	timerID int32
}

const threadSize = 512

// A thread fits its slot.
const _ = uint(threadSize - sizeofThread)

var (
	threads     table
	threadTop   int32 // threads below were in use at some time
	threadCount atomic.Int32
)

const nobody = int32(-1)

func threadAt(i int32) *thread { return at[thread](threads.get(i)) }

// newThread takes a free slot; nil when there is none, or no memory. sched is
// held.
func newThread() (*thread, int32) {
	for i := int32(0); i < maxThreads; i++ {
		a := threads.make(i)
		if a == 0 {
			return nil, nobody
		}
		t := at[thread](a)
		if t.state != threadFree {
			continue
		}
		area := t.regs.xsave
		if area == 0 {
			mem.lock()
			p := allocPage()
			mem.unlock()
			if p == 0 {
				return nil, nobody
			}
			area = direct(p)
		}
		zero(a, threadSize)
		zero(area, xsaveSize)
		t.regs.xsave = area
		t.timer = -1
		t.next = nobody
		t.state = threadBlocked
		if i >= threadTop {
			threadTop = i + 1
		}
		threadCount.Add(1)
		return t, i
	}
	return nil, nobody
}

const sizeofThread = unsafe.Sizeof(thread{})
