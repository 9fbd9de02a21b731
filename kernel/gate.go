package kernel

import "unsafe"

// gate is where package syscall of an image enters (the image's build puts it
// there): it serves a call about state on the caller's own goroutine, so that
// a call costs a function call, and one that waits parks the goroutine and
// not the thread. taken is false for calls that are the kernel's. Serve sets
// it; without it, calls reach the same service by trap.
var gate func(nr, a0, a1, a2, a3, a4, a5 uintptr) (r uintptr, taken bool)

// exit runs before the program ends, by a return from main or os.Exit.
var exit func()

// OnExit names what must run before the program ends: a crash does not wait
// for it.
func OnExit(f func()) { exit = f }

func passGate(nr, a0, a1, a2, a3, a4, a5 uintptr) (uintptr, bool) {
	if isOwn(nr, a0, a3) {
		return 0, false
	}
	args := [6]uintptr{a0, a1, a2, a3, a4, a5}
	// The service does not keep the arguments, so they need not escape.
	return service(nr, (*[6]uintptr)(hide(unsafe.Pointer(&args)))), true
}

// hide keeps escape analysis from seeing where a pointer goes.
//
//go:nosplit
func hide(p unsafe.Pointer) unsafe.Pointer {
	x := uintptr(p)
	return *(*unsafe.Pointer)(unsafe.Pointer(&x))
}

// isOwn tells whether the kernel serves a call itself (call in
// syscall_amd64.go has the same list).
func isOwn(nr, a0, a3 uintptr) bool {
	switch nr {
	case nrRead, nrWrite, nrClose, nrFcntl:
		d := lookFD(int(int32(a0)))
		return d != nil && (d.kind >= fdEvent || d.kind == fdConsole && !d.owned)
	case nrMmap:
		const anonymous = 0x20
		return a3&anonymous != 0
	case nrFutex, nrMunmap, nrMprotect, nrMadvise, nrBrk, nrMincore, nrRseq,
		nrMlock, nrMunlock, nrPrctl, nrSetRobustList, nrSetaffinity,
		nrYield, nrNanosleep, nrClockSleep, nrClone, nrExit, nrExitGroup,
		nrSigaction, nrSigprocmask, nrSigaltstack, nrSigreturn, nrTgkill,
		nrTkill, nrKill, nrGettid, nrSetTidAddress, nrGetpid, nrArchPrctl,
		nrGetaffinity, nrGetcpu, nrClockGettime, nrClockGetres,
		nrGettimeofday, nrSetitimer, nrTimerCreate, nrTimerSettime,
		nrSetuid, nrSetgid, nrSetreuid, nrSetregid, nrSetresuid, nrSetresgid,
		nrSetgroups, nrTimerDelete, nrEpollCreate, nrEpollCreate1, nrEpollCtl,
		nrEpollWait, nrEpollPwait, nrEventfd2, nrGetrandom, nrSyslog:
		return true
	}
	return nr >= callMapDevice
}
