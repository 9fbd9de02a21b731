package kernel

// Futexes (futex(2)): the words are named by their address, there being one
// address space. Waiters chain up by hash, first come first served.

var futexes uintptr // array of futexChains heads

func futexHead(word uintptr) *int32 {
	h := word >> 2 * 0x9E3779B97F4A7C15 >> 40
	return at[int32](futexes + h%futexChains*4)
}

func initFutexes() {
	mem.lock()
	p := allocContiguous(futexChains * 4 / pageSize)
	mem.unlock()
	futexes = direct(p)
	for i := range uintptr(futexChains) {
		*at[int32](futexes + i*4) = nobody
	}
}

// futex serves the operations that Go uses; others get ENOSYS.
func futex(c *processor, word, op, val, timeout uintptr) uintptr {
	const (
		wait, wake             = 0, 1
		waitBitset, wakeBitset = 9, 10
		private, realtime      = 128, 256
	)
	if word&3 != 0 {
		return errINVAL
	}
	if !accessible(word, 4, false) {
		return errFAULT
	}
	switch op &^ private {
	case wait:
		due := never
		if timeout != 0 {
			d, e := readTimespec(timeout)
			if e != 0 {
				return e
			}
			due = monotonic() + d
		}
		return futexWait(c, word, uint32(val), due)
	case waitBitset:
		due := never
		if timeout != 0 {
			d, e := readTimespec(timeout)
			if e != 0 {
				return e
			}
			due = d
		}
		return futexWait(c, word, uint32(val), due)
	case wake, wakeBitset:
		return futexWake(c, word, val)
	}
	return errNOSYS
}

func futexWait(c *processor, word uintptr, val uint32, due int64) uintptr {
	sched.lock()
	defer sched.unlock()
	switch now, ok := fetch32(word); {
	case !ok:
		return errFAULT
	case now != val:
		return errAGAIN
	}
	i := c.current
	c.thread().next = nobody
	p := futexHead(word)
	for *p != nobody {
		p = &threadAt(*p).next
	}
	*p = i
	c.block(waitFutex, word, due)
	return 0
}

func futexWake(c *processor, word, n uintptr) uintptr {
	sched.lock()
	defer sched.unlock()
	woken := uintptr(0)
	for p := futexHead(word); *p != nobody && woken < n; {
		i := *p
		t := threadAt(i)
		if t.word != word {
			p = &t.next
			continue
		}
		*p = t.next
		t.regs.ax = 0
		ready(c, i, false)
		woken++
	}
	return woken
}

// leaveFutex takes thread i out of its chain. sched is held.
func leaveFutex(i int32, t *thread) {
	for p := futexHead(t.word); *p != nobody; p = &threadAt(*p).next {
		if *p == i {
			*p = t.next
			return
		}
	}
}
