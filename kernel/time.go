package kernel

// System calls about time.

// readTimespec reads a struct timespec of the program: ns, or the error to return.
func readTimespec(p uintptr) (ns int64, e uintptr) {
	if !accessible(p, 16, false) {
		return 0, errFAULT
	}
	return nanoseconds(*at[int64](p), *at[int64](p + 8), 1)
}

// nanoseconds adds up seconds and a fraction of one, in units of ns. Longer times
// than 136 years are cut, others out of range refused.
func nanoseconds(sec, fraction, unit int64) (ns int64, e uintptr) {
	if sec < 0 || fraction < 0 || fraction >= 1e9/unit {
		return 0, errINVAL
	}
	return min(sec, 1<<32)*1e9 + fraction*unit, 0
}

func writeTimespec(p uintptr, ns int64) uintptr {
	if p == 0 {
		return 0
	}
	if !accessible(p, 16, true) {
		return errFAULT
	}
	*at[int64](p), *at[int64](p + 8) = ns/1e9, ns%1e9
	return 0
}

func sleep(c *processor, p uintptr, since int64) uintptr {
	d, e := readTimespec(p)
	if e != 0 {
		return e
	}
	return sleepUntil(c, monotonic()+d)
}

func sleepUntil(c *processor, due int64) uintptr {
	if due <= monotonic() {
		c.resched = true
		return 0
	}
	sched.lock()
	c.block(waitSleep, 0, due)
	sched.unlock()
	return 0
}

func clockSleep(c *processor, clock, flags, p uintptr) uintptr {
	d, e := readTimespec(p)
	if e != 0 {
		return e
	}
	const absolute = 1
	switch {
	case flags&absolute == 0:
		d += monotonic()
	case clock == 0:
		d -= realtime() - monotonic()
	}
	return sleepUntil(c, d)
}

func clockGettime(t *thread, c *processor, clock, p uintptr) uintptr {
	switch clock {
	case 0, 5, 8, 11: // REALTIME, _COARSE, _ALARM, TAI
		return writeTimespec(p, realtime())
	case 1, 4, 6, 7, 9: // MONOTONIC, _RAW, _COARSE, BOOTTIME, _ALARM
		return writeTimespec(p, monotonic())
	case 2: // PROCESS_CPUTIME
		sum := int64(0)
		sched.lock()
		now := monotonic()
		for i := range threadTop {
			if o := threadAt(i); o != nil && o.state != threadFree {
				sum += o.used
				if o.state == threadRunning {
					sum += now - o.started
				}
			}
		}
		sched.unlock()
		return writeTimespec(p, sum)
	case 3: // THREAD_CPUTIME
		return writeTimespec(p, t.used+monotonic()-t.started)
	}
	return errINVAL
}

func gettimeofday(p uintptr) uintptr {
	if p == 0 {
		return 0
	}
	if !accessible(p, 16, true) {
		return errFAULT
	}
	ns := realtime()
	*at[int64](p), *at[int64](p + 8) = ns/1e9, ns%1e9/1000
	return 0
}

// setitimer: ITIMER_PROF, on which Go's profiler falls back; its per-thread
// timers are timerCall's.
func setitimer(c *processor, which, value uintptr) uintptr {
	const prof = 2
	if which != prof {
		return errINVAL
	}
	if !accessible(value, 32, false) {
		return errFAULT
	}
	period, e := nanoseconds(*at[int64](value), *at[int64](value + 8), 1000)
	if e != 0 {
		return e
	}
	sched.lock()
	defer sched.unlock()
	for i := range threadTop {
		if threadAt(i).state != threadFree && threadAt(i).timerID == 0 {
			setProfile(c, i, period, period)
		}
	}
	return 0
}

// timerCall serves POSIX timers of the one kind that Go's profiler makes: the
// processor time of the calling thread, with SIGPROF to that thread. A timer's
// ID is its thread's number.
func timerCall(c *processor, nr, a0, a1, a2 uintptr) uintptr {
	const threadCPU, sigevThreadID = 3, 4
	sched.lock()
	defer sched.unlock()
	switch nr {
	case nrTimerCreate: // clock, *sigevent, *id
		if a0 != threadCPU || !accessible(a1, 20, false) || !accessible(a2, 4, true) {
			return errINVAL
		}
		signo, notify, tid := load32(a1+8), load32(a1+12), load32(a1+16)
		if notify != sigevThreadID || signo != sigPROF || int32(tid)-1 != c.current {
			return errINVAL
		}
		c.thread().timerID = int32(tid)
		store32(a2, tid)
		return 0
	}
	i := int32(a0) - 1
	if i < 0 || i >= threadTop || threadAt(i).timerID == 0 {
		return errINVAL
	}
	if nr == nrTimerDelete {
		setProfile(c, i, 0, 0)
		threadAt(i).timerID = 0
		return 0
	}
	// timer_settime: id, flags, *itimerspec{interval, value}
	if !accessible(a2, 32, false) {
		return errFAULT
	}
	period, e := nanoseconds(*at[int64](a2), *at[int64](a2 + 8), 1)
	first, e2 := nanoseconds(*at[int64](a2 + 16), *at[int64](a2 + 24), 1)
	if e|e2 != 0 {
		return errINVAL
	}
	if first == 0 {
		period = 0 // disarms
	}
	setProfile(c, i, first, period)
	return 0
}
