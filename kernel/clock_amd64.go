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
	if tscHz == 0 {
		return 0
	}
	d := rdtsc() - *clockWord(8)
	if int64(d) < 0 {
		d = 0
	}
	return int64(scale(d, *clockWord(16))) + int64(*clockWord(24))
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
	seq := clockWord(0)
	atomic.AddUint64(seq, 1)
	atomic.StoreUint64(clockWord(32), uint64(ns-monotonic()))
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

// calibrate measures the TSC and the APIC timer against the interval timer
// (8254, channel 2), and takes the TSC's frequency from the hypervisor or the
// processor where they tell it.
func calibrate() {
	const (
		pitHz = 1193182
		count = pitHz / 100 // 10 ms
	)
	hz := toldTSC()
	out8(0x61, in8(0x61)&^2|1) // gate on, speaker off
	out8(0x43, 0xB0)           // channel 2, both bytes, mode 0
	out8(0x42, count&0xFF)
	out8(0x42, count>>8)
	startTimer(0xFFFFFFFF)
	t0 := rdtsc()
	limit := uint64(1) << 33 // a few seconds at any frequency: no such timer
	for in8(0x61)&0x20 == 0 {
		if rdtsc()-t0 > limit {
			break
		}
	}
	t1 := rdtsc()
	ticks := 0xFFFFFFFF - uint64(timerNow())
	startTimer(0)
	if t1-t0 > limit {
		crash("no interval timer to calibrate the clock with")
	}
	if hz == 0 {
		hz = (t1 - t0) * pitHz / count
	}
	tscHz = hz
	timerHz = ticks * tscHz / (t1 - t0)
	_, _, feature, _ := cpuid(1, 0)
	deadlines = feature&(1<<24) != 0
}

// toldTSC is the TSC's frequency in Hz as CPUID gives it: the hypervisor's
// leaf 0x40000010 (VMware's, also KVM's), else leaf 0x15; 0 if neither does.
func toldTSC() uint64 {
	_, _, feature, _ := cpuid(1, 0)
	if feature&(1<<31) != 0 {
		if top, _, _, _ := cpuid(0x40000000, 0); top >= 0x40000010 && top < 0x40010000 {
			if khz, _, _, _ := cpuid(0x40000010, 0); khz != 0 {
				return uint64(khz) * 1000
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

// armTimer has the timer of this processor fire at a monotonic time.
func armTimer(due int64) {
	wait := max(due-monotonic(), 1000)
	if deadlines {
		writeMSR(msrTSCDeadline, rdtsc()+uint64(wait)*(tscHz/1000)/1000000)
		return
	}
	wait = min(wait, 1_000_000_000)
	startTimer(uint32(max(uint64(wait)*(timerHz/1000)/1000000, 1)))
}
