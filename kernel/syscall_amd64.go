package kernel

// Linux's numbers of the system calls that the kernel serves itself (amd64).
const (
	nrRead, nrWrite, nrClose                       = 0, 1, 3
	nrMmap, nrMprotect, nrMunmap, nrBrk            = 9, 10, 11, 12
	nrSigaction, nrSigprocmask, nrSigreturn        = 13, 14, 15
	nrYield, nrMincore, nrMadvise, nrNanosleep     = 24, 27, 28, 35
	nrSetitimer, nrGetpid, nrClone, nrExit, nrKill = 38, 39, 56, 60, 62
	nrFcntl, nrGettimeofday, nrSyslog              = 72, 96, 103
	nrSetuid, nrSetgid, nrSetreuid, nrSetregid     = 105, 106, 113, 114
	nrSetgroups, nrSetresuid, nrSetresgid          = 116, 117, 119
	nrCapget, nrCapset                             = 125, 126
	nrSigaltstack, nrMlock, nrMunlock              = 131, 149, 150
	nrPrctl, nrArchPrctl, nrReboot                 = 157, 158, 169
	nrGettid, nrTkill, nrTime, nrFutex             = 186, 200, 201, 202
	nrSetaffinity, nrGetaffinity                   = 203, 204
	nrEpollCreate, nrSetTidAddress                 = 213, 218
	nrTimerCreate, nrTimerSettime, nrTimerDelete   = 222, 223, 226
	nrClockGettime, nrClockGetres, nrClockSleep    = 228, 229, 230
	nrExitGroup, nrEpollWait, nrEpollCtl, nrTgkill = 231, 232, 233, 234
	nrSetRobustList, nrEpollPwait                  = 273, 281
	nrEventfd2, nrEpollCreate1, nrGetcpu           = 290, 291, 309
	nrGetrandom, nrRseq                            = 318, 334
)

// onSyscall serves the system call in the current thread's registers.
func onSyscall() {
	c := thisProcessor()
	t := c.thread()
	stats.calls.Add(1)
	now := monotonic()
	t.called = now
	t.notice(now)
	r := call(c, t)
	if c.current != nobody { // it did not block, and did not end
		t.regs.ax = uint64(r)
	}
	leave(c)
}

func call(c *processor, t *thread) uintptr {
	r := &t.regs
	a0, a1, a2 := uintptr(r.di), uintptr(r.si), uintptr(r.dx)
	a3, a4 := uintptr(r.r10), uintptr(r.r8)
	switch nr := uintptr(r.ax); nr {
	case nrFutex:
		return futex(c, a0, a1, a2, a3)
	case nrRead, nrWrite, nrClose, nrFcntl:
		return descriptorCall(c, t, nr, a0, a1, a2)
	case nrMmap:
		return mmap(c, t, a0, a1, a2, a3, a4)
	case nrMunmap:
		if overlapsFile(a0, a1) {
			return handOver(c, t)
		}
		return unmap(a0, a1)
	case nrMprotect:
		if a2&protExec != 0 && a2&protWrite != 0 {
			return errPERM // W^X
		}
		return protect(a0, a1, uint8(a2&7))
	case nrMadvise:
		return advise(a0, a1, a2)
	case nrBrk:
		return 0
	case nrMincore, nrRseq, nrCapget, nrCapset:
		return errNOSYS
	case nrMlock, nrMunlock, nrPrctl, nrSetRobustList, nrSetaffinity:
		return 0
	case nrYield:
		c.resched = true
		return 0
	case nrNanosleep:
		return sleep(c, a0, 0)
	case nrClockSleep:
		return clockSleep(c, a0, a1, a2)
	case nrClone:
		return clone(c, t, a0, a1, a4)
	case nrExit:
		return exitThread(c)
	case nrExitGroup:
		return exitProgram(c, t, a0)
	case nrSigaction:
		return sigaction(a0, a1, a2, a3)
	case nrSigprocmask:
		return sigprocmask(t, a0, a1, a2, a3)
	case nrSigaltstack:
		return sigaltstack(t, a0, a1)
	case nrSigreturn:
		sigreturn(t)
		return uintptr(r.ax)
	case nrTgkill:
		return tgkill(c, a1, a2)
	case nrTkill:
		return tgkill(c, a0, a1)
	case nrKill:
		return kill(c, a0, a1)
	case nrGettid:
		return uintptr(c.current) + 1
	case nrSetTidAddress:
		return uintptr(c.current) + 1
	case nrGetpid:
		return 1
	case nrSetuid, nrSetgid, nrSetreuid, nrSetregid, nrSetresuid, nrSetresgid, nrSetgroups:
		return stayRoot(nr, uint32(a0))
	case nrArchPrctl:
		return archPrctl(r, a0, a1)
	case nrGetaffinity:
		return affinity(a1, a2)
	case nrGetcpu:
		return getcpu(c, a0, a1)
	case nrClockGettime:
		return clockGettime(t, c, a0, a1)
	case nrClockGetres:
		return writeTimespec(a1, 1)
	case nrGettimeofday:
		return gettimeofday(a0)
	case nrSetitimer:
		return setitimer(c, a0, a1)
	case nrTimerCreate, nrTimerSettime, nrTimerDelete:
		return timerCall(c, nr, a0, a1, a2)
	case nrEpollCreate, nrEpollCreate1:
		return epollCreate()
	case nrEpollCtl:
		return epollControl(c, a0, a1, a2, a3)
	case nrEpollWait, nrEpollPwait:
		return epollWait(c, a0, a1, a2, int64(int32(a3))*1_000_000)
	case nrEventfd2:
		return eventfd(a0, a1)
	case nrGetrandom:
		return getrandom(a0, a1)
	case nrSyslog:
		return syslog(a0, a1, a2)
	default:
		if nr >= callMapDevice && nr < callEnd {
			return privateCall(c, t, nr, a0, a1, a2)
		}
		return handOver(c, t)
	}
}

// stayRoot serves the calls that change who the program is: it can become what
// it is, user 0 in no further group. They are not a service's, because package
// syscall has every thread make them while the Go scheduler stands still, and
// no service could run.
func stayRoot(nr uintptr, id uint32) uintptr {
	if id != 0 && (nr == nrSetgroups || id != ^uint32(0)) {
		return errPERM
	}
	return 0
}

func privateCall(c *processor, t *thread, nr, a0, a1, a2 uintptr) uintptr {
	switch nr {
	case callMapDevice:
		return mapDevice(uint64(a0), a1, a2 != 0)
	case callAllocDMA:
		return allocDMA(a0)
	case callAddEntropy:
		return addEntropy(a0, a1)
	case callRefineClock:
		return refineClock()
	case callAllocIdentity:
		return allocIdentity(a0)
	case callNewInterrupt:
		return newInterrupt()
	case callRoute:
		return route(a0, a1, a2)
	case callAllocFD:
		return serviceFD(int32(a0), a1 != 0)
	case callFreeFD, callPostFD:
		return fdCall(c, nr, a0, a1)
	case callNext:
		return nextCall(c, t, a0)
	case callServing:
		serving = true
		return 0
	case callSetClock:
		setRealtime(int64(a0))
		return 0
	case callShiftClock:
		shiftRealtime(int64(a0))
		return 0
	case callPowerOff:
		powerOff(uint8(a0))
	case callReset:
		reset()
	case callAwaitEvents:
		return awaitEvents(c, int64(a0))
	case callWatchDeath:
		return deathDescriptor()
	case callPostpone:
		if postpone(c, uint32(a0)) {
			return 1
		}
		return 0
	case callMapFile:
		return mapFile(a0, a1, a2, uintptr(t.regs.r10), uintptr(t.regs.r8))
	case callLimitFile:
		return limitFile(a0, a1, a2)
	case callTakeDirty:
		return uintptr(takeDirty(a0, a1))
	case callMapMemory:
		return mapMemory(a0, a1, a2, uintptr(t.regs.r10))
	case callNextRange:
		return nextRange(a0, a1)
	case callUnmap:
		return unmap(a0, a1)
	case callTest:
		return testFault(a0)
	}
	return errNOSYS
}

// serviceFD takes a descriptor number for a service.
func serviceFD(low int32, pollable bool) uintptr {
	if low < 0 {
		return errINVAL
	}
	sched.lock()
	defer sched.unlock()
	_, fd := allocFD(low, fdService, pollable)
	return fd
}

func fdCall(c *processor, nr, fd, events uintptr) uintptr {
	sched.lock()
	defer sched.unlock()
	d := lookFD(int(fd))
	if d == nil {
		return errBADF
	}
	if nr == callPostFD {
		post(c, d, uint32(events), false)
		return 0
	}
	closeFD(c, int32(fd), d)
	return 0
}

// descriptorCall serves read, write, close and fcntl of the kernel's own
// descriptors; those of services go on to them.
func descriptorCall(c *processor, t *thread, nr, fd, a1, a2 uintptr) uintptr {
	d := lookFD(int(int32(fd)))
	if d == nil {
		return errBADF
	}
	const getFD, setFD, getFL, setFL = 1, 2, 3, 4
	const readWrite, nonblock, cloexec = 2, 0x800, 1
	if d.kind == fdService || d.kind == fdConsole && d.owned && nr != nrWrite {
		return handOver(c, t)
	}
	switch {
	case nr == nrFcntl && a1 == getFL && d.kind == fdConsole:
		return readWrite
	case nr == nrFcntl && a1 == getFL:
		return readWrite | nonblock
	case nr == nrFcntl && a1 == getFD:
		return cloexec
	case nr == nrFcntl && (a1 == setFD || a1 == setFL):
		return 0
	case nr == nrClose:
		sched.lock()
		closeFD(c, int32(fd), d)
		sched.unlock()
		return 0
	case nr == nrFcntl:
		return errINVAL
	}
	if !accessible(a1, a2, nr == nrRead) {
		return errFAULT
	}
	switch {
	case d.kind == fdConsole && nr == nrWrite:
		n := min(a2, consoleChunk)
		consoleWrite(view(bytesAt(a1, int(n))))
		return n
	case d.kind == fdEvent && nr == nrRead:
		return eventRead(d, a1, a2)
	case d.kind == fdEvent:
		return eventWrite(c, d, a1, a2)
	}
	return errINVAL
}

// consoleChunk bounds how long a write to the console keeps interrupts off.
const consoleChunk = 256

// populateMost bounds how many bytes MAP_POPULATE makes resident, with interrupts
// off. Where there is no memory for them the mapping fails: who asks wants to know.
const populateMost = 1 << 20

func mmap(c *processor, t *thread, hint, n, prot, flags, fd uintptr) uintptr {
	const fixed, anonymous = 0x10, 0x20
	if flags&anonymous == 0 || flags&fixed != 0 && overlapsFile(hint, n) {
		return handOver(c, t)
	}
	return mapMemory(hint, n, prot, flags)
}

// mapMemory is mmap without a file.
func mapMemory(hint, n, prot, flags uintptr) uintptr {
	const fixed, noReplace, populate = 0x10, 0x100000, 0x8000
	if prot&protExec != 0 && prot&protWrite != 0 {
		return errPERM // W^X
	}
	va := mapAnonymous(hint, n, uint8(prot&7), flags&(fixed|noReplace) != 0, flags&noReplace != 0)
	if flags&populate != 0 && prot&protWrite != 0 && n <= populateMost && va < userEnd && !prefault(va, va+n) {
		unmap(va, n)
		return errNOMEM
	}
	return va
}

func archPrctl(r *registers, code, addr uintptr) uintptr {
	const setFS, getFS = 0x1002, 0x1003
	switch {
	case code == setFS && addr < userEnd:
		r.fs = uint64(addr)
		return 0
	case code == getFS && accessible(addr, 8, true):
		*at[uint64](addr) = r.fs
		return 0
	}
	return errINVAL
}

// affinity is sched_getaffinity: all processors, always.
func affinity(size, mask uintptr) uintptr {
	if size < 8 || !accessible(mask, 8, true) {
		return errINVAL
	}
	*at[uint64](mask) = ^uint64(0) >> (64 - cpuCount)
	return 8
}

func getcpu(c *processor, cpu, node uintptr) uintptr {
	if cpu != 0 {
		if !accessible(cpu, 4, true) {
			return errFAULT
		}
		store32(cpu, uint32(c.id))
	}
	if node != 0 {
		if !accessible(node, 4, true) {
			return errFAULT
		}
		store32(node, 0)
	}
	return 0
}

// clone makes a thread: the only kind that this system knows shares all.
func clone(c *processor, t *thread, flags, stack, tls uintptr) uintptr {
	const vm, fs, files, sighand, thread, settls = 0x100, 0x200, 0x400, 0x800, 0x10000, 0x80000
	const needed = vm | fs | files | sighand | thread
	if flags&needed != needed {
		return errNOSYS // a process of its own
	}
	sched.lock()
	defer sched.unlock()
	n, i := newThread()
	if n == nil {
		return errAGAIN
	}
	area := n.regs.xsave
	n.regs = t.regs
	n.regs.xsave = area
	n.regs.live = 0
	n.regs.ax = 0
	n.regs.sp = uint64(stack)
	if flags&settls != 0 {
		n.regs.fs = uint64(tls)
	}
	n.mask = t.mask
	if sysmonThread == nobody {
		sysmonThread = i
	}
	n.cpu = c.id
	ready(c, i, false)
	return uintptr(i) + 1
}

// exitThread ends the current thread.
func exitThread(c *processor) uintptr {
	sched.lock()
	t := c.thread()
	c.stop(monotonic())
	t.state = threadFree
	threadCount.Add(-1)
	sched.unlock()
	return 0
}

// exitProgram ends the machine with the program's exit status: all that had
// to be saved was saved before (board/ hooks Go's exit).
func exitProgram(c *processor, t *thread, status uintptr) uintptr {
	if isStopped() {
		stopHere()
	}
	if crashing.Load() {
		end(uint8(status))
	}
	powerOff(uint8(status))
	return 0
}
