package kernel

import "sync/atomic"

// The clock: the time stamp counter, scaled. The clock page is what the vDSO
// reads too:
//
//	 0  sequence, odd while it changes
//	 8  counter at the base
//	16  ns per count, times 2^32
//	24  monotonic ns at the base
//	32  realtime minus monotonic, ns
var clockPage uintptr

var (
	tscHz     uint64
	timerHz   uint64 // of the local APIC's timer
	deadlines bool   // the timer takes TSC values
	tscSource source // of the TSC's frequency
	wallKnown bool   // the hypervisor has told the time of day
)

// source is who told a frequency, or what it was measured against. (It is no
// string, because trap context may not store one.)
type source uint8

const (
	sourceNone source = iota
	sourceLine
	sourceHypervisor
	sourceKVM
	sourceCPUID
	sourceHPET
	sourcePM
	sourcePIT
	sourceRTC
)

func (s source) String() string {
	switch s {
	case sourceLine:
		return "the command line"
	case sourceHypervisor:
		return "the hypervisor"
	case sourceKVM:
		return "KVM"
	case sourceCPUID:
		return "CPUID"
	case sourceHPET:
		return "HPET"
	case sourcePM:
		return "the PM timer"
	case sourcePIT:
		return "the 8254"
	case sourceRTC:
		return "the RTC"
	}
	return "nobody"
}

func clockWord(off uintptr) *uint64 { return at[uint64](clockPage + off) }

// monotonic is ns since boot.
func monotonic() int64 {
	if atomic.LoadUint64(&tscHz) == 0 {
		return 0
	}
	for {
		seq := atomic.LoadUint64(clockWord(0))
		ns := monotonicAt(rdtsc())
		if seq&1 == 0 && atomic.LoadUint64(clockWord(0)) == seq {
			return ns
		}
		pause()
	}
}

// monotonicAt is the monotonic time at a count, for whoever knows that the clock
// page does not change.
func monotonicAt(tsc uint64) int64 {
	d := tsc - atomic.LoadUint64(clockWord(8))
	if int64(d) < 0 {
		d = 0
	}
	return int64(scale(d, atomic.LoadUint64(clockWord(16)))) + int64(atomic.LoadUint64(clockWord(24)))
}

// scale is v*m >> 32 without losing the high bits.
func scale(v, m uint64) uint64 {
	hi, lo := v>>32, v&0xFFFFFFFF
	return hi*m + lo*(m>>32) + lo*(m&0xFFFFFFFF)>>32
}

func realtime() int64 { return monotonic() + int64(*clockWord(32)) }

// setRealtime changes the wall clock.
func setRealtime(ns int64) {
	sched.lock()
	offset := uint64(ns - monotonic())
	seq := clockWord(0)
	atomic.AddUint64(seq, 1)
	atomic.StoreUint64(clockWord(32), offset)
	atomic.AddUint64(seq, 1)
	sched.unlock()
}

// shiftRealtime moves the wall clock by ns, forward or back.
func shiftRealtime(ns int64) {
	sched.lock()
	seq := clockWord(0)
	atomic.AddUint64(seq, 1)
	atomic.StoreUint64(clockWord(32), atomic.LoadUint64(clockWord(32))+uint64(ns))
	atomic.AddUint64(seq, 1)
	sched.unlock()
}

// initClock makes the clock page, which the program may read, and finds the
// frequencies, and the time of day if a hypervisor tells it.
func initClock() {
	mem.lock()
	p := allocZeroPage()
	mem.unlock()
	clockPage = direct(p)
	host := askKVM()
	calibrate(host)
	*clockWord(8) = rdtsc()
	*clockWord(16) = (1e9 << 32) / tscHz
	if wallKnown = host.wall != 0; wallKnown {
		*clockWord(32) = host.wall + host.at(*clockWord(8))
	}
}

// calibrate finds the frequencies of the TSC and of the APIC timer. The TSC's
// is told by the command line (tsc=HZ), some hypervisors and processors, and else
// measured (reference_amd64.go); the APIC timer's is measured against the TSC.
func calibrate(host kvmClock) {
	_, _, feature, _ := cpuid(1, 0)
	deadlines = feature&(1<<24) != 0
	tscHz, tscSource = toldTSC(cpuid, host)
	if hz, ok := numberOption("tsc"); ok && hz >= 1e6 {
		tscHz, tscSource = uint64(hz), sourceLine
	}
	timer := reference{kind: referenceAPIC, mask: 1<<32 - 1}
	startTimer(1<<32 - 1)
	first := timer.sample()
	if tscHz == 0 {
		tscHz = measureTSC()
	} else {
		for rdtsc()-first.tsc < tscHz/1000 {
			pause()
		}
	}
	timerHz = timer.rate(first, timer.sample(), tscHz)
	startTimer(0)
	if timerHz == 0 && !deadlines {
		crash("the processor's timer does not run")
	}
}

// hypervisor reads CPUID's leaf 0x40000000: the highest of the leaves that a
// hypervisor answers, 0 where there is none, and its signature.
func hypervisor(cpuid cpuidFunc) (top uint32, signature [3]uint32) {
	if _, _, feature, _ := cpuid(1, 0); feature&(1<<31) == 0 {
		return 0, signature
	}
	top, signature[0], signature[1], signature[2] = cpuid(0x40000000, 0)
	return top, signature
}

// toldTSC is the TSC's frequency in Hz as a hypervisor (the leaf 0x40000010 of
// VMware's, KVM's clock) or CPUID's leaf 0x15 tell it, and who does; 0 if none.
func toldTSC(cpuid cpuidFunc, host kvmClock) (hz uint64, by source) {
	if top, _ := hypervisor(cpuid); top >= 0x40000010 && top < 0x40010000 {
		if khz, _, _, _ := cpuid(0x40000010, 0); khz != 0 {
			return uint64(khz) * 1000, sourceHypervisor
		}
	}
	if hz := scaledHz(host.mul, host.shift); hz != 0 {
		return hz, sourceKVM
	}
	if top, _, _, _ := cpuid(0, 0); top >= 0x15 {
		den, num, hz, _ := cpuid(0x15, 0)
		if den != 0 && num != 0 && hz != 0 {
			return uint64(hz) * uint64(num) / uint64(den), sourceCPUID
		}
	}
	return 0, sourceNone
}

// armTimer has the timer of this processor fire at a monotonic time.
func armTimer(due int64) {
	if !booted { // a hosted test looks at when it was to fire, and plays the timer
		return
	}
	// A timer that fires early is armed again, so a bound keeps the products
	// below from overflowing.
	wait := min(max(due-monotonic(), 1000), 1_000_000_000)
	if deadlines {
		writeMSR(msrTSCDeadline, max(rdtsc()+counts(wait, tscHz), 1)) // 0 would stop the timer
		return
	}
	startTimer(uint32(min(max(counts(wait, timerHz), 1), 1<<32-1)))
}

// counts is how far a counter goes in ns, at most 1e9; less than a millionth
// too few.
func counts(ns int64, hz uint64) uint64 { return uint64(ns) * (hz / 1000) / 1_000_000 }
