package kernel

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// gate is where package syscall of an image enters (the image's build puts it
// there): it serves a call about state on the caller's own goroutine, so that
// a call costs a function call, and one that waits parks the goroutine and
// not the thread. taken is false for calls that are the kernel's. Serve sets
// it; without it, calls reach the same service by trap.
var gate func(nr, a0, a1, a2, a3, a4, a5 uintptr) (r uintptr, taken bool)

// exit runs before the program ends by a return from main or os.Exit; dying
// where it ends by a panic or by a fatal error that is not the runtime's own, on
// the goroutine that fails. The image's build has the Go runtime call them.
var exit, dying func()

// OnExit names what must run before the program ends. A panic waits for it no
// longer than 5 s, since the goroutine that fails may hold what f needs; a kernel
// panic and a failure of the Go runtime do not. A signal that ends the program
// waits for it, however long it takes. OnExit is called once.
func OnExit(f func()) {
	w := lastWill{f: f, patience: 5 * time.Second, done: make(chan struct{})}
	exit, dying = endUnlessKilled(f), w.carryOut
	if booted {
		watchDeath(f)
	}
}

// endUnlessKilled does f, unless a signal has ended the program before: then that
// is its end, and the goroutine that comes here waits for it.
func endUnlessKilled(f func()) func() {
	return func() {
		if deathFrom.Load() != 0 {
			select {}
		}
		f()
	}
}

// lastWill is what must be done before a program dies, once.
type lastWill struct {
	f        func()
	patience time.Duration
	begun    atomic.Bool
	done     chan struct{}
}

// carryOut does it, and returns when it is done or the patience at an end. Where
// several goroutines fail, all wait for the same.
func (w *lastWill) carryOut() {
	if w.begun.CompareAndSwap(false, true) {
		go func() {
			w.f()
			close(w.done)
		}()
	}
	select {
	case <-w.done:
	case <-time.After(w.patience):
		Say("the program dies, and its files could not be saved in time: what it did not sync may be lost")
	}
}

func passGate(nr, a0, a1, a2, a3, a4, a5 uintptr) (uintptr, bool) {
	switch nr {
	case nrKill, nrTkill, nrTgkill:
		return sendSignal(nr, a0, a1, a2), true
	}
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
		const fixed, anonymous = 0x10, 0x20
		return a3&anonymous != 0 && (a3&fixed == 0 || fileMappings.Load() == 0)
	case nrMunmap:
		return fileMappings.Load() == 0
	case nrFutex, nrMprotect, nrMadvise, nrBrk, nrMincore, nrRseq,
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
