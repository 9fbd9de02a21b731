package kernel

import (
	"sync/atomic"

	"github.com/tuplix/tuplix/kernel/acpi"
)

// The counters of known frequency that the time stamp counter is measured
// against: what ACPI names, or else the 8254. A measurement at boot must be short,
// and is as good as the reading of a port is quick: some 1e-4. What follows, over
// longer and longer times, refines it (refineClock), without a step of the clock.

// reference is such a counter.
type reference struct {
	kind uint8
	port uint16  // PM timer
	base uintptr // HPET's registers
	hz   uint64
	mask uint64 // its bits
}

const (
	noReference = iota
	referenceHPET
	referencePM
	referencePIT
	referenceAPIC // the processor's timer, which is measured itself
)

// reading is a reference's count and the TSC at that moment.
type reading struct{ count, tsc uint64 }

var (
	keeper reference // refines the clock; noReference where none can
	anchor reading   // at boot, or when the keeper and the TSC were last at odds
)

// read is the counter's value; all count upwards here.
func (r *reference) read() uint64 {
	switch r.kind {
	case referenceHPET:
		return uint64(load32(r.base + 0xF0))
	case referencePM:
		return uint64(in32(r.port)) & r.mask
	case referenceAPIC: // counts down
		return -uint64(timerNow()) & r.mask
	}
	out8(0x43, 0) // latches channel 0
	lo := in8(0x40)
	return -(uint64(lo) | uint64(in8(0x40))<<8) & r.mask
}

// sample takes the best of several readings: the one between two TSC values that
// are the closest together.
func (r *reference) sample() (best reading) {
	narrow := ^uint64(0)
	for range 24 {
		before := rdtsc()
		count := r.read()
		if width := rdtsc() - before; width < narrow {
			narrow, best = width, reading{count, before + width/2}
		}
	}
	return best
}

// passed is the counts between two readings, less than once around.
func (r *reference) passed(from, to reading) uint64 { return (to.count - from.count) & r.mask }

// rate is the counter's frequency by two readings, that of the TSC being known.
func (r *reference) rate(from, to reading, hz uint64) uint64 {
	return uint64(float64(r.passed(from, to)) * float64(hz) / float64(to.tsc-from.tsc))
}

// references lists what the machine has.
func references() (list [2]reference) {
	var t acpi.Timers
	if rsdp == 0 || acpi.ReadTimers(Physical, rsdp, &t) != acpi.OK {
		return list
	}
	if t.HPET != 0 {
		list[0] = openHPET(t.HPET)
	}
	if t.PMPort != 0 {
		list[1] = reference{kind: referencePM, port: t.PMPort, hz: 3579545, mask: uint64(t.PMMask)}
	}
	return list
}

// openHPET starts the main counter (IA-PC HPET specification 1.0a, 2.3: 0
// capabilities, whose upper half is the period in femtoseconds, at most 100 ns; 0x10
// configuration, bit 0 enables and bit 1 replaces the 8254; 0xF0 counter).
func openHPET(phys uint64) (r reference) {
	base := mapDevice(phys, 0x400, false)
	if ^base < pageSize { // -errno
		return r
	}
	period := uint64(load32(base + 4))
	if period == 0 || period > 100_000_000 {
		return r
	}
	store32(base+0x10, load32(base+0x10)&^2|1)
	return reference{kind: referenceHPET, base: base, hz: 1e15 / period, mask: 1<<32 - 1}
}

// openPIT has channel 0 of the 8254, whose gate is always open, run freely.
func openPIT() reference {
	out8(0x43, 0x34) // both bytes, mode 2
	out8(0x40, 0)
	out8(0x40, 0)
	return reference{kind: referencePIT, hz: 1193182, mask: 1<<16 - 1}
}

// stuck is how many counts of the TSC a reference may take for what should be
// over in 10 ms: some seconds.
const stuck = 1 << 34

// measureTSC measures the TSC's frequency for 10 ms with what the machine has: all
// at a time, and if they disagree, the PM timer is right, whose frequency is not
// for the firmware to tell.
func measureTSC() uint64 {
	list := references()
	if list[0].kind == noReference && list[1].kind == noReference {
		list[0] = openPIT()
	}
	var hz [len(list)]uint64
	var first [len(list)]reading
	for i := range list {
		if list[i].kind != noReference {
			first[i] = list[i].sample()
		}
	}
	for i := range list {
		if list[i].kind != noReference {
			hz[i] = list[i].measure(first[i])
		}
	}
	best := 0
	switch {
	case hz[0] == 0:
		best = 1
	case hz[1] != 0 && !near(hz[0], hz[1], 1000):
		best = 1
		var n, m number
		say("clock: HPET and PM timer disagree: the TSC has ", n.dec(hz[0]), " Hz or ", m.dec(hz[1]), " Hz; the latter counts")
	}
	if hz[best] == 0 {
		tscSource = sourceRTC
		return measureRTC()
	}
	tscSource = [...]source{referenceHPET: sourceHPET, referencePM: sourcePM, referencePIT: sourcePIT}[list[best].kind]
	if list[best].kind != referencePIT { // programs may use that one
		keeper, anchor = list[best], first[best]
	}
	return hz[best]
}

// measure is the TSC's frequency since a reading at least 10 ms ago; 0 if the
// counter stands.
func (r *reference) measure(first reading) uint64 {
	for {
		now := r.sample()
		n, tsc := r.passed(first, now), now.tsc-first.tsc
		if n >= r.hz/100 {
			return tsc * r.hz / n
		}
		if tsc > stuck {
			return 0
		}
	}
}

// near tells whether a and b differ by less than millionths of b.
func near(a, b, millionths uint64) bool { return max(a, b)-min(a, b) <= b/1_000_000*millionths }

// measureRTC counts the TSC over one second of the real-time clock (MC146818):
// register 0 is the seconds, in whatever format.
func measureRTC() uint64 {
	change := func() uint64 {
		start := rdtsc()
		out8(0x70, 0)
		for was := in8(0x71); in8(0x71) == was; {
			if rdtsc()-start > stuck {
				crash("no clock to measure the processor's time stamp counter with: give its frequency, tsc=HZ")
			}
		}
		return rdtsc()
	}
	first := change()
	return change() - first
}

// refineClock measures the TSC's frequency anew over all the time since boot, and
// has the clock go on from where it is at the new pace. It returns the frequency,
// 0 where nothing refines it.
func refineClock() uintptr {
	sched.lock()
	defer sched.unlock()
	if keeper.kind == noReference {
		return 0
	}
	now := keeper.sample()
	hz := keeper.refined(anchor, now, tscHz)
	if !near(hz, tscHz, 1000) {
		// The machine stood still, or one of the two did: begin again.
		say("clock: the TSC and its reference have parted")
		anchor = now
		return uintptr(tscHz)
	}
	setPace(hz)
	return uintptr(hz)
}

// refined is the TSC's frequency by two readings, of which the counter may have
// gone round any number of times in between: how often is what the frequency known
// so far tells. The readings are at most some hours apart.
func (r *reference) refined(from, to reading, known uint64) uint64 {
	tsc := to.tsc - from.tsc
	expected := uint64(float64(tsc) / float64(known) * float64(r.hz))
	n := r.passed(from, to)
	n += (expected - n + (r.mask+1)/2) &^ r.mask // to the nearest that ends the same
	if n == 0 {
		return 0
	}
	return uint64(float64(tsc) / float64(n) * float64(r.hz))
}

// setPace has the clock go on at another frequency. sched is held. The count at which
// it does is taken when nobody reads any more: who reads a later one at the old pace
// would be ahead of those who come after it.
func setPace(hz uint64) {
	seq := clockWord(0)
	atomic.AddUint64(seq, 1)
	tsc := rdtsc()
	ns := monotonicAt(tsc)
	atomic.StoreUint64(clockWord(8), max(tsc, *clockWord(8)))
	atomic.StoreUint64(clockWord(16), (1e9<<32)/hz)
	atomic.StoreUint64(clockWord(24), uint64(ns))
	atomic.AddUint64(seq, 1)
	atomic.StoreUint64(&tscHz, hz)
}
