package kernel

import "sync/atomic"

// Interrupt vectors.
const (
	vecNMI       = 2
	vecPageFault = 14
	vecDevice    = 0x30 // to vecDevices: devices
	vecDevices   = 0xEF
	vecTimer     = 0xF0
	vecKick      = 0xF1
	vecSpurious  = 0xFF
)

// interruptFD is the descriptor of each device vector, 0 where it is free.
var (
	interruptFD [256]int32
	nextVector  = uintptr(vecDevice)
)

// interruptTimes is when the last interrupt of each device vector came, and
// when the thread that it woke ran, in monotonic ns. The second is the older
// one while that thread has not run yet.
var interruptTimes [256]struct{ entered, ran atomic.Int64 }

// wokenFor is the device vector whose interrupt woke a thread that has not run
// yet, and that thread. sched guards it.
var wokenFor struct {
	vector uint64
	thread int32
}

// onInterrupt is called for every interrupt and exception of a program or an
// idle processor.
func onInterrupt(vector, code uint64) {
	if isStopped() {
		stopHere()
	}
	c := thisProcessor()
	c.awake()
	switch {
	case crashing.Load():
		crashInterrupt(c, vector, code)
	case vector < 32:
		exception(c, vector, code)
	case vector == vecTimer:
		endInterrupt()
		onTimer(c)
	case vector == vecKick:
		endInterrupt()
		onKick(c)
	case vector == vecSpurious:
	default:
		stats.interrupts.Add(1)
		endInterrupt()
		onDevice(c, vector)
	}
	leave(c)
}

// crashInterrupt serves what comes after a panic to the processor that reports:
// the fault that the dying program may still have, and the end of its time.
func crashInterrupt(c *processor, vector, code uint64) {
	switch {
	case vector == vecNMI: // asked again, or twice at once: it is on its way
	case vector == vecPageFault && resolve(uintptr(readCR2()), true, false):
	case vector == vecTimer && monotonic() < crashEnd:
		endInterrupt()
		onTimer(c)
	case vector == vecTimer:
		emit("\nthe program did not finish its report\n")
		end(1)
	case vector < 32:
		emit("\nthe program failed while it reported\n")
		reportFault(c.regs, vector, code)
		end(1)
	default:
		endInterrupt()
	}
}

func onDevice(c *processor, vector uint64) {
	now := monotonic()
	interruptTimes[vector].entered.Store(now)
	sched.lock()
	wokenFor.vector, wokenFor.thread = vector, nobody
	if fd := interruptFD[vector]; fd != 0 {
		post(c, at[descriptor](descriptors.get(fd)), epollIn, true)
	}
	if c.current != nobody {
		c.thread().notice(now)
	}
	sched.unlock()
}

// newInterrupt takes a vector and the descriptor by which it is awaited.
func newInterrupt() uintptr {
	sched.lock()
	defer sched.unlock()
	if nextVector > vecDevices {
		return errAGAIN
	}
	d, fd := allocFD(3, fdInterrupt, true)
	if d == nil {
		return fd
	}
	v := nextVector
	nextVector++
	interruptFD[v] = int32(fd)
	return fd<<8 | v
}

// nmiCame is why a machine reports that somebody, or its hardware, has asked to.
const nmiCame = "non-maskable interrupt"

// exception turns a fault of the program into its signal.
func exception(c *processor, vector, code uint64) {
	t := c.thread()
	switch {
	case vector == vecNMI:
		crashAt(nmiCame, vector, code)
	case t == nil || c.current == nobody:
		crashAt("exception while idle", vector, code)
	}
	var sig uint
	info := signalInfo{code: 1, err: code, vector: vector, addr: uintptr(t.regs.ip)}
	switch vector {
	case vecPageFault:
		stats.faults.Add(1)
		info.addr = uintptr(readCR2())
		write, exec := code&2 != 0, code&16 != 0
		if resolve(info.addr, write, exec) {
			return
		}
		sig = sigSEGV
		if code&1 != 0 {
			info.code = 2 // SEGV_ACCERR
		}
		if beyondFile(info.addr, write, exec) || outOfMemory(info.addr) {
			sig, info.code = sigBUS, 2 // BUS_ADRERR
		}
	case 0, 16, 19:
		sig = sigFPE
	case 1, 3:
		sig = sigTRAP
	case 6:
		sig = sigILL
	case 13, 12, 11:
		sig, info.code, info.addr = sigSEGV, 0x80, 0 // SI_KERNEL
	case 17:
		sig = sigBUS
	default:
		crashAt("exception", vector, code)
	}
	sched.lock()
	a := actions[sig]
	sched.unlock()
	if a.handler <= 1 || t.mask&(1<<(sig-1)) != 0 {
		crashAt("fault of the program without a handler", vector, code)
	}
	pushFrame(c, t, sig, &a, info)
}

// outOfMemory tells whether a fault that could not be resolved was for a
// lack of memory, says so once, and opens the reserve so that the program can
// report itself.
func outOfMemory(va uintptr) bool {
	mem.lock()
	i := findVMA(va)
	lack := i < vmaCount && vmaAt(i).start <= va && vmaAt(i).prot&protWrite != 0 && freePages() <= reserve
	if lack {
		reserve = 0
	}
	mem.unlock()
	if lack {
		var n number
		say("out of memory: all ", n.dec(pagesTotal*pageSize>>20), " MiB are in use")
	}
	return lack
}

// onKernelFault is called for a fault of the kernel itself, with the saved
// registers: memory of the program that was not resident yet is.
func onKernelFault(frame uintptr, vector, code uint64) {
	if isStopped() {
		stopHere()
	}
	switch {
	case vector == vecPageFault && resolve(uintptr(readCR2()), code&2 != 0, false):
		return
	case vector == vecNMI && crashing.Load():
		return
	}
	why := "fault in the kernel"
	switch va := uintptr(readCR2()); {
	case vector == vecNMI:
		why = nmiCame
	case vector == vecPageFault && va >= stackBase && va < deviceBase:
		why = "kernel stack overflow"
	}
	crashFrame(why, frame, vector, code)
}
