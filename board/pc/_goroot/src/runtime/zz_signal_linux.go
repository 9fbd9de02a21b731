// This file is added to package runtime when an image is built: a signal that is
// about to end the program waits until the program's files are saved. The
// functions take the place of those of the same names, which keep a copy under the
// names that start with trap.

package runtime

import (
	"internal/runtime/atomic"
	"internal/runtime/syscall/linux"
	"unsafe"
)

// postponeDeath is the kernel's private call that has the files saved and the
// signal sent again, and then returns 1; or 0 where nothing is to be saved or
// all is (package kernel, die.go). In an ordinary Linux process it does not
// exist.
const postponeDeath = 0x7012

// sighandler leaves a signal that ends the program to the kernel, for now.
//
//go:nowritebarrierrec
func sighandler(sig uint32, info *siginfo, ctxt unsafe.Pointer, gp *g) {
	const deadly = _SigKill | _SigThrow | _SigPanic
	if sig < uint32(len(sigtable)) && sigtable[sig].flags&deadly != 0 && (&sigctxt{info, ctxt}).sigFromUser() && postponed(sig) {
		return
	}
	trapSighandler(sig, info, ctxt, gp)
}

// postponed tells whether the kernel sees to the program's end by a signal. It does
// not where the program has a use for the signal, nor where it dies already and
// its scheduler stands still.
//
//go:nowritebarrierrec
func postponed(s uint32) bool {
	wanted := atomic.Load(&sig.wanted[s/32])&(1<<(s&31)) != 0
	if wanted || signal_ignored(s) || panicking.Load() != 0 {
		return false
	}
	r, _, e := linux.Syscall6(postponeDeath, uintptr(s), 0, 0, 0, 0, 0)
	return e == 0 && r == 1
}

// os_sigpipe is called by a goroutine whose standard output nobody reads any more.
func os_sigpipe() {
	if postponed(_SIGPIPE) {
		block()
	}
	trapSigpipe()
}

// crash ends a program whose scheduler stands still, and that has reported why
// (GOTRACEBACK=crash). A signal would have to wait for what nobody can do now.
//
//go:nosplit
func crash() {
	exit(128 + _SIGABRT)
}
