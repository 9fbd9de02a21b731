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
