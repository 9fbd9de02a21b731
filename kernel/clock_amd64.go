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
)

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

// initClock makes the clock page, which the program may read, and finds the
// frequencies.
func initClock() {
	mem.lock()
	p := allocZeroPage()
	mem.unlock()
	clockPage = direct(p)
	calibrate()
	*clockWord(8) = rdtsc()
	*clockWord(16) = (1e9 << 32) / tscHz
}

// calibrate finds the frequencies of the TSC and of the APIC timer. The TSC's
// is told by the command line (tsc=HZ), some hypervisors and processors, and else
// measured (reference_amd64.go); the APIC timer's is measured against the TSC.
func calibrate() {
	_, _, feature, _ := cpuid(1, 0)
	deadlines = feature&(1<<24) != 0
	tscHz = toldTSC()
	if hz, ok := numberOption("tsc"); ok && hz >= 1e6 {
		tscHz = uint64(hz)
	}
	startTimer(0xFFFFFFFF)
	t0 := rdtsc()
	if tscHz == 0 {
		tscHz = measureTSC()
	} else {
		for rdtsc()-t0 < tscHz/1000 {
			pause()
		}
	}
	ticks := 0xFFFFFFFF - uint64(timerNow())
	t1 := rdtsc()
	startTimer(0)
	timerHz = uint64(float64(ticks) * float64(tscHz) / float64(t1-t0))
	if timerHz == 0 && !deadlines {
		crash("the processor's timer does not run")
	}
}

// toldTSC is the TSC's frequency in Hz as the hypervisor (KVM's clock, the
// leaf 0x40000010 of VMware's) or CPUID's leaf 0x15 tell it; 0 if none does.
func toldTSC() uint64 {
	_, _, feature, _ := cpuid(1, 0)
	if feature&(1<<31) != 0 {
		top, b, c, d := cpuid(0x40000000, 0)
		if top >= 0x40000010 && top < 0x40010000 {
			if khz, _, _, _ := cpuid(0x40000010, 0); khz != 0 {
				return uint64(khz) * 1000
			}
		}
		if b == 0x4B4D564B && c == 0x564B4D56 && d == 0x4D { // KVMKVMKVM
			if hz := kvmTSC(); hz != 0 {
				return hz
			}
		}
	}
	if top, _, _, _ := cpuid(0, 0); top >= 0x15 {
		den, num, hz, _ := cpuid(0x15, 0)
		if den != 0 && num != 0 && hz != 0 {
			return uint64(hz) * uint64(num) / uint64(den)
		}
	}
	return 0
}

// kvmTSC asks KVM's clock (Linux Documentation/virt/kvm/x86/msr.rst): the
// structure has at 24 a multiplier and at 28 a shift that make ns of counts.
func kvmTSC() uint64 {
	const clockFeature, msrSystemTime = 1 << 3, 0x4B564D01
	if features, _, _, _ := cpuid(0x40000001, 0); features&clockFeature == 0 {
		return 0
	}
	mem.lock()
	p := allocZeroPage()
	mem.unlock()
	if p == 0 {
		return 0
	}
	writeMSR(msrSystemTime, p|1)
	mul, shift := load32(direct(p)+24), *at[int8](direct(p) + 28)
	writeMSR(msrSystemTime, 0)
	mem.lock()
	freePage(p)
	mem.unlock()
	return scaledHz(mul, shift)
}

// scaledHz is the frequency of a counter of which ns = (count << shift) * mul
// >> 32, a negative shift being to the right; 0 for a multiplier of 0.
func scaledHz(mul uint32, shift int8) uint64 {
	if mul == 0 {
		return 0
	}
	hz := (uint64(1e9) << 32) / uint64(mul)
	if shift < 0 {
		return hz << uint8(-shift)
	}
	return hz >> uint8(shift)
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
		writeMSR(msrTSCDeadline, rdtsc()+uint64(wait)*(tscHz/1000)/1000000)
		return
	}
	startTimer(uint32(max(uint64(wait)*(timerHz/1000)/1000000, 1)))
}
