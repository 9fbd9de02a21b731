package kernel

import "sync/atomic"

// flushTLB makes all processors forget what they know of [start, end), and
// returns when they have. Sleeping ones are left asleep: they forget all
// before they do anything else. mem is held.
func flushTLB(start, end uintptr) {
	if !booted { // in a hosted test no processor uses these page tables
		return
	}
	const few = 16
	if end-start <= few*pageSize {
		for va := start &^ (pageSize - 1); va < end; va += pageSize {
			invlpg(va)
		}
	} else {
		writeCR3(readCR3())
	}
	if cpuCount < 2 {
		return
	}
	me := thisProcessor()
	for i := range cpuCount {
		c := cpuAt(i)
		if c == me || !c.online {
			continue
		}
		atomic.StoreUint32(&c.flush, 1)
		if atomic.LoadUint32(&c.idle) == 0 {
			kick(c)
		}
	}
	for i := range cpuCount {
		c := cpuAt(i)
		for c != me && c.online && atomic.LoadUint32(&c.flush) != 0 && atomic.LoadUint32(&c.idle) == 0 {
			answerFlush()
			pause()
		}
	}
}

// answerFlush does what another processor asked for by flushTLB. flush is 1
// when asked, 2 while it is done: a request that comes meanwhile is done again.
func answerFlush() {
	if !booted {
		return
	}
	c := thisProcessor()
	for atomic.CompareAndSwapUint32(&c.flush, 1, 2) {
		writeCR3(readCR3())
		atomic.CompareAndSwapUint32(&c.flush, 2, 0)
	}
}

// forgetPage drops what this processor's TLB knows of one page.
func forgetPage(va uintptr) {
	if booted {
		invlpg(va)
	}
}

// QEMU's emulated processors (TCG) have a TLB that starts small and changes its
// size when it is emptied, by how much of it was in use since the last time.
// This kernel has one address space and empties it never, so it would stay at
// what the first milliseconds need, and a program would spend a fifth of its
// time in walks through page tables. So on them, and on no other, each processor
// that runs empties its TLB now and then: often at first, while what is in use
// grows.
const (
	renewFirst = int64(8_000_000)   // ns
	renewMost  = int64(512_000_000) // a filling takes a millisecond or less
)

var emulated bool // the processors are TCG's

// findEmulator asks CPUID's hypervisor leaf, whose signature is TCGTCGTCGTCG.
func findEmulator() {
	_, signature := hypervisor(cpuid)
	emulated = signature == [3]uint32{0x54474354, 0x43544743, 0x47435447}
}

// renewTLB empties this processor's TLB if it is time to.
func (c *processor) renewTLB(now int64) {
	if !emulated || now < c.renewal {
		return
	}
	c.renewAfter = min(max(2*c.renewAfter, renewFirst), renewMost)
	c.renewal = now + c.renewAfter
	writeCR3(readCR3())
}
