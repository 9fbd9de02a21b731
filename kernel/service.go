package kernel

// Calls about state, on their way to a service. The calling thread waits; a
// worker (descriptor.go) that asks for a call gets it, and answers when it
// asks for the next. sched guards the queue.

var (
	serving    bool
	callsFirst = nobody // threads whose calls no worker has taken, by thread.next
	callsLast  = nobody
	idleFirst  = nobody // workers that wait for calls, by thread.next
	idleCount  uintptr
)

// handOver has the current thread wait for a service.
func handOver(c *processor, t *thread) uintptr {
	if !serving {
		return errNOSYS
	}
	sched.lock()
	defer sched.unlock()
	i := c.current
	c.block(waitResult, uintptr(t.regs.ax), never)
	if w := idleFirst; w != nobody {
		idleFirst = threadAt(w).next
		idleCount--
		giveCall(w, i)
		ready(c, w, true)
		return 0
	}
	t.next = nobody
	if callsFirst == nobody {
		callsFirst = i
	} else {
		threadAt(callsLast).next = i
	}
	callsLast = i
	return 0
}

// giveCall writes thread i's call into the request of worker w.
func giveCall(w, i int32) {
	r := at[request](threadAt(w).buffer)
	g := &threadAt(i).regs
	r.thread = uintptr(i) + 1
	r.nr = uintptr(g.ax)
	r.args = [6]uintptr{uintptr(g.di), uintptr(g.si), uintptr(g.dx), uintptr(g.r10), uintptr(g.r8), uintptr(g.r9)}
	r.idle = idleCount
	threadAt(w).regs.ax = 0
}

// nextCall answers the call that the worker has done, if any, and waits for
// another.
func nextCall(c *processor, t *thread, p uintptr) uintptr {
	if !accessible(p, requestSize, true) {
		return errFAULT
	}
	sched.lock()
	defer sched.unlock()
	r := at[request](p)
	if r.thread != 0 {
		i := int32(r.thread) - 1
		if i < 0 || i >= threadTop || threadAt(i).wait != waitResult {
			return errINVAL
		}
		threadAt(i).regs.ax = uint64(r.result)
		r.thread = 0
		ready(c, i, false)
	}
	w := c.current
	t.buffer = p
	if i := callsFirst; i != nobody {
		callsFirst = threadAt(i).next
		giveCall(w, i)
		return 0
	}
	t.next = idleFirst
	idleFirst = w
	idleCount++
	c.block(waitCalls, 0, never)
	return 0
}

// leaveIdle takes worker w out of those that wait for calls. sched is held.
func leaveIdle(w int32, t *thread) {
	for p := &idleFirst; *p != nobody; p = &threadAt(*p).next {
		if *p == w {
			*p = t.next
			idleCount--
			return
		}
	}
}
