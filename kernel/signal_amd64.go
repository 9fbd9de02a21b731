package kernel

// Signals as the Go runtime uses them: handlers on the alternate stack,
// rt_sigreturn, tgkill. The frame is Linux's rt_sigframe (struct ucontext and
// siginfo of arch/x86/include/uapi):
//
//	  0  return address (the restorer)
//	  8  ucontext: flags, link, stack{sp, flags, size}        40 bytes
//	 48    r8..r15 di si bp bx dx ax cx sp ip flags          144
//	192    cs gs fs ss (16 bit each)                           8
//	200    err trapno oldmask cr2 fpstate                     40
//	240    reserved                                           64
//	304    signal mask                                         8
//	312  siginfo: signo errno code pad addr                  128
//	440  end; below it nothing, above it the XSAVE area if any
const (
	frameContext = 8
	frameRegs    = 48
	frameSegs    = 192
	frameErr     = 200
	frameCR2     = 224
	frameFP      = 232
	frameMask    = 304
	frameInfo    = 312
	frameSize    = 440
)

const (
	sigILL, sigTRAP, sigABRT, sigBUS, sigFPE = 4, 5, 6, 7, 8
	sigKILL, sigSEGV, sigURG, sigPROF        = 9, 11, 23, 27
	numSignals                               = 64

	saSiginfo, saOnStack, saNoDefer = 4, 0x08000000, 0x40000000
)

// action is what rt_sigaction sets (struct kernel_sigaction).
type action struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// signalInfo is what a handler is told.
type signalInfo struct {
	code   int32
	addr   uintptr
	err    uint64
	vector uint64
}

var (
	actions [numSignals + 1]action
)

// deliver makes the current thread run the handler of its first waiting
// signal. It runs on the way out of the kernel.
func deliver(c *processor, t *thread) {
	for {
		sched.lock()
		waiting := t.pending &^ t.mask
		if waiting == 0 {
			sched.unlock()
			return
		}
		sig := uint(1)
		for waiting&1 == 0 {
			waiting >>= 1
			sig++
		}
		t.pending &^= 1 << (sig - 1)
		a := actions[sig]
		sched.unlock()
		if a.handler > 1 {
			pushFrame(c, t, sig, &a, signalInfo{code: -6}) // SI_TKILL
			return
		}
		if a.handler == 0 {
			byDefault(c, t, sig)
		}
	}
}

// pushFrame builds the frame and points the thread at the handler.
func pushFrame(c *processor, t *thread, sig uint, a *action, info signalInfo) {
	r := &t.regs
	sp := uintptr(r.sp) - 128 // the red zone
	onAlt := sp >= t.altStack && sp < t.altStack+t.altSize
	if a.flags&saOnStack != 0 && t.altSize != 0 && !onAlt {
		sp = t.altStack + t.altSize
	}
	top := sp
	fp := uintptr(0)
	if r.live != 0 {
		sp = (sp - xsaveBytes) &^ 63
		fp = sp
	}
	sp = (sp-frameSize)&^15 - 8
	if !prefault(sp, top) {
		crash("no stack for a signal")
	}
	zero(sp, frameSize)
	*at[uintptr](sp) = a.restorer
	if a.restorer == 0 {
		_, _, *at[uintptr](sp), _ = trapAddresses()
	}
	*at[uintptr](sp + frameContext + 16) = t.altStack
	*at[uint32](sp + frameContext + 24) = t.altFlags
	*at[uintptr](sp + frameContext + 32) = t.altSize
	*at[[18]uint64](sp + frameRegs) = [18]uint64{
		r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15,
		r.di, r.si, r.bp, r.bx, r.dx, r.ax, r.cx, r.sp, r.ip, r.flags,
	}
	*at[uint64](sp + frameSegs) = codeSelector | dataSelector<<48
	*at[uint64](sp + frameErr) = info.err
	*at[uint64](sp + frameErr + 8) = info.vector
	*at[uintptr](sp + frameCR2) = info.addr
	*at[uintptr](sp + frameFP) = fp
	*at[uint64](sp + frameMask) = t.mask
	*at[int32](sp + frameInfo) = int32(sig)
	*at[int32](sp + frameInfo + 8) = info.code
	*at[uintptr](sp + frameInfo + 16) = info.addr
	if fp != 0 {
		move(fp, r.xsave, xsaveBytes)
	}
	t.mask |= a.mask
	if a.flags&saNoDefer == 0 {
		t.mask |= 1 << (sig - 1)
	}
	r.di, r.si, r.dx = uint64(sig), uint64(sp+frameInfo), uint64(sp+frameContext)
	r.ax = 0
	r.sp = uint64(sp)
	r.ip = uint64(a.handler)
	r.flags = flagsUser
}

// prefault makes [start, end) resident: a fault handler must not fault.
func prefault(start, end uintptr) bool {
	for va := start &^ (pageSize - 1); va < end; va += pageSize {
		if _, ok := translate(va); !ok && !resolve(va, true, false) {
			return false
		}
	}
	return true
}

// sigreturn puts back what pushFrame saved. The frame lies where the handler
// left the stack, its return address popped.
func sigreturn(t *thread) {
	r := &t.regs
	sp := uintptr(r.sp) - 8
	if !accessible(sp, frameSize, false) {
		crash("sigreturn without a frame")
	}
	f := at[[18]uint64](sp + frameRegs)
	r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15 = f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]
	r.di, r.si, r.bp, r.bx, r.dx, r.ax, r.cx = f[8], f[9], f[10], f[11], f[12], f[13], f[14]
	r.sp, r.ip = f[15], f[16]
	r.flags = f[17]&0xCD5 | flagsUser
	t.mask = *at[uint64](sp + frameMask)
	if fp := *at[uintptr](sp + frameFP); fp != 0 && fp&63 == 0 && accessible(fp, xsaveBytes, false) {
		move(r.xsave, fp, xsaveBytes)
		r.live = 1
		// What XRSTOR would refuse (SDM volume 1, 13.8): bits of MXCSR that do
		// not exist, components that are not on, and a header of another form.
		*at[uint32](r.xsave + 24) &= 0xFFFF
		*at[uint64](r.xsave + 512) &= vectorMask
		zero(r.xsave+520, 56)
	}
}

// send makes a signal wait for thread i, and ends that thread's wait where it
// is one that a handler may interrupt. sched is held.
func send(c *processor, i int32, sig uint) {
	t := threadAt(i)
	bit := uint64(1) << (sig - 1)
	t.pending |= bit
	switch {
	case t.state == threadRunning && t.cpu != c.id:
		kick(cpuAt(int(t.cpu)))
	case t.state == threadBlocked && t.mask&bit == 0 && actions[sig].handler > 1:
		interrupt(c, i, t)
	}
}

// handlerWaits tells whether a signal waits that t has a handler for. sched is
// held.
func handlerWaits(t *thread) bool {
	waiting := t.pending &^ t.mask
	for sig := 1; waiting != 0; sig++ {
		if waiting&1 != 0 && actions[sig].handler > 1 {
			return true
		}
		waiting >>= 1
	}
	return false
}

// kill sends a signal to the process, the only one that there is: the thread that
// sends it is the one that gets it.
func kill(c *processor, pid, sig uintptr) uintptr {
	const me, myGroup = 1, 0
	if p := int32(pid); p != me && p != myGroup {
		return errSRCH
	}
	return tgkill(c, uintptr(c.current)+1, sig)
}

func tgkill(c *processor, tid, sig uintptr) uintptr {
	if sig > numSignals {
		return errINVAL
	}
	sched.lock()
	defer sched.unlock()
	i := int32(tid) - 1
	if i < 0 || i >= threadTop || threadAt(i).state == threadFree {
		return errSRCH
	}
	if sig != 0 {
		send(c, i, uint(sig))
	}
	return 0
}

func sigaction(sig, set, old, size uintptr) uintptr {
	if sig < 1 || sig > numSignals || size != 8 || set != 0 && sig == sigKILL {
		return errINVAL
	}
	if set != 0 && !accessible(set, 32, false) || old != 0 && !accessible(old, 32, true) {
		return errFAULT
	}
	sched.lock()
	defer sched.unlock()
	was := actions[sig]
	if set != 0 {
		actions[sig] = *at[action](set)
	}
	if old != 0 {
		*at[action](old) = was
	}
	return 0
}

func sigprocmask(t *thread, how, set, old, size uintptr) uintptr {
	if size != 8 {
		return errINVAL
	}
	if set != 0 && !accessible(set, 8, false) || old != 0 && !accessible(old, 8, true) {
		return errFAULT
	}
	was := t.mask
	if set != 0 {
		m := *at[uint64](set) &^ (1<<(sigKILL-1) | 1<<(19-1)) // KILL and STOP
		switch how {
		case 0:
			t.mask |= m
		case 1:
			t.mask &^= m
		case 2:
			t.mask = m
		default:
			return errINVAL
		}
	}
	if old != 0 {
		*at[uint64](old) = was
	}
	return 0
}

func sigaltstack(t *thread, set, old uintptr) uintptr {
	const disable = 2
	if set != 0 && !accessible(set, 24, false) || old != 0 && !accessible(old, 24, true) {
		return errFAULT
	}
	sp, flags, size := t.altStack, t.altFlags, t.altSize
	if t.altSize == 0 {
		flags = disable
	}
	if set != 0 {
		t.altStack, t.altFlags, t.altSize = *at[uintptr](set), *at[uint32](set + 8), *at[uintptr](set + 16)
		if t.altFlags&disable != 0 {
			t.altSize = 0
		}
	}
	if old != 0 {
		*at[uintptr](old) = sp
		*at[uint32](old + 8) = flags
		*at[uintptr](old + 16) = size
	}
	return 0
}

// profileTick counts the processor time of the current thread against its
// profiling timer. sched is held.
func profileTick(c *processor, now int64) {
	t := c.thread()
	if t.period == 0 {
		return
	}
	if used := t.used + now - t.started; used >= t.profile {
		t.profile = used + t.period
		t.pending |= 1 << (sigPROF - 1)
	}
}

// setProfile starts the profiling timer of thread i, or stops it where period
// is 0. first is when it fires for the first time, in ns from now. sched is
// held.
func setProfile(c *processor, i int32, first, period int64) {
	t := threadAt(i)
	t.period = period
	now := t.used
	if t.state == threadRunning {
		now += monotonic() - t.started
	}
	t.profile = now + first
	if i == c.current {
		c.arm()
	}
}
