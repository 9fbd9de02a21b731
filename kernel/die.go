package kernel

import (
	"os"
	"sync/atomic"
)

// The end of a program by a signal whose default action that is. What it saved
// has to be on the disk before the machine ends, and only goroutines can see to
// that: so the first such signal wakes one (watchDeath), which saves and then has
// the signal do its work. Meanwhile the program goes on, but for the goroutine
// that sent itself the signal.
var (
	deathFD   int32         // readable once a fatal signal came; 0: nobody has anything to save
	deathFrom atomic.Uint32 // the first fatal signal, 0 before it
	saved     atomic.Bool   // nothing is left to be saved
)

// deathDescriptor is the first step of watchDeath, in trap context: from now on
// fatal signals wait.
func deathDescriptor() uintptr {
	sched.lock()
	defer sched.unlock()
	if deathFD != 0 {
		return errEXIST
	}
	d, fd := allocFD(3, fdInterrupt, true)
	if d != nil {
		deathFD = int32(fd)
	}
	return fd
}

// postpone notes that sig ends the program, and tells whether it has to wait
// until all is saved.
func postpone(c *processor, sig uint32) bool {
	sched.lock()
	defer sched.unlock()
	if deathFD == 0 || crashing.Load() || saved.Load() {
		return false
	}
	if deathFrom.CompareAndSwap(0, sig) {
		post(c, at[descriptor](descriptors.get(deathFD)), epollIn, true)
	}
	return true
}

// byDefault is the default action of a signal: it does nothing, or ends the
// machine with the status by which a shell tells of a signal. Nothing stops a
// program, since nobody could have it continue.
func byDefault(c *processor, t *thread, sig uint) {
	switch sig {
	case 17, 18, 19, 20, 21, 22, sigURG, 28: // CHLD, CONT, STOP, TSTP, TTIN, TTOU, WINCH
		return
	}
	if !postpone(c, uint32(sig)) {
		exitProgram(c, t, 128+uintptr(sig))
	}
}

// watchDeath has a goroutine wait for the first fatal signal, save, and let the
// signal end the machine.
func watchDeath(save func()) {
	fd, err := result(trap(callWatchDeath, 0, 0, 0, 0, 0))
	if err != nil {
		panic("kernel: no descriptor for fatal signals: " + err.Error())
	}
	conn, err := os.NewFile(fd, "fatal signals").SyscallConn()
	if err != nil {
		panic("kernel: polling for fatal signals: " + err.Error())
	}
	go func() {
		if err := conn.Read(func(uintptr) bool { return deathFrom.Load() != 0 }); err != nil {
			panic("kernel: waiting for fatal signals: " + err.Error())
		}
		save()
		saved.Store(true)
		signalAgain()
	}()
}

// signalAgain ends the machine by the first fatal signal.
func signalAgain() {
	// The Go runtime reports some signals with all stacks.
	sig := uintptr(deathFrom.Load())
	trap(nrKill, 1, sig, 0, 0, 0)
	// A handler that was set up meanwhile is too late.
	trap(nrExitGroup, 128+sig, 0, 0, 0, 0)
}

// sendSignal serves the calls that send signals. A goroutine that ends the
// program by one is done.
func sendSignal(nr, a0, a1, a2 uintptr) uintptr {
	r := trap(nr, a0, a1, a2, 0, 0)
	if deathFrom.Load() != 0 {
		select {}
	}
	return r
}
