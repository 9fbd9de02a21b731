package kernel

import "sync/atomic"

// KVM's clock (Linux Documentation/virt/kvm/x86/msr.rst): the guest names a
// piece of its memory by a model-specific register, and the host writes there.
// It tells the frequency of the TSC, and the time of day where there may be no
// real-time clock (Firecracker). It is asked once, at boot, and turned off again:
// from then on the TSC alone is the clock.
//
//	version, odd while the host writes    0  u32  (both structures)
//
//	system time: a TSC value              8  u64
//	             ns at that value        16  u64
//	             multiplier              24  u32
//	             shift                   28  i8
//
//	wall clock:  seconds, ns since 1970   4  u32, u32: when system time was 0
const (
	msrKVMWallClock  = 0x4B564D00
	msrKVMSystemTime = 0x4B564D01

	kvmWallOffset = 64 // of the wall clock in the page that both are in
)

// kvmClock is what KVM's clock says: system time is
// ns + ((TSC - tsc) << shift) * mul >> 32, a negative shift being to the right.
type kvmClock struct {
	tsc, ns uint64
	mul     uint32 // 0: there is no such clock
	shift   int8
	wall    uint64 // ns since 1970 when system time was 0; 0 if not told
}

// cpuidFunc is the instruction, or what a test has in its place.
type cpuidFunc func(leaf, sub uint32) (a, b, c, d uint32)

// hasKVMClock tells whether CPUID offers the registers above.
func hasKVMClock(cpuid cpuidFunc) bool {
	const clockFeature = 1 << 3
	top, signature := hypervisor(cpuid)
	if signature != [3]uint32{0x4B4D564B, 0x564B4D56, 0x4D} { // KVMKVMKVM
		return false
	}
	if top == 0 {
		top = 0x40000001 // as old versions mean it
	}
	features, _, _, _ := cpuid(0x40000001, 0)
	return top >= 0x40000001 && features&clockFeature != 0
}

// askKVM reads KVM's clock, on one processor; the host fills in its page before
// the instruction behind each WRMSR.
func askKVM() (k kvmClock) {
	if !hasKVMClock(cpuid) {
		return k
	}
	mem.lock()
	p := allocZeroPage()
	mem.unlock()
	if p == 0 {
		return k
	}
	writeMSR(msrKVMSystemTime, p|1)
	writeMSR(msrKVMWallClock, p+kvmWallOffset)
	k = readKVMClock(direct(p))
	writeMSR(msrKVMSystemTime, 0)
	mem.lock()
	freePage(p)
	mem.unlock()
	return k
}

// readKVMClock reads both structures, of one moment each. It gives up where the
// host has not written, or never ends.
func readKVMClock(page uintptr) kvmClock {
	w := page + kvmWallOffset
	for range 1_000_000 {
		version, wallVersion := atomic.LoadUint32(at[uint32](page)), atomic.LoadUint32(at[uint32](w))
		if version == 0 || wallVersion == 0 {
			break
		}
		k := kvmClock{
			tsc:   atomic.LoadUint64(at[uint64](page + 8)),
			ns:    atomic.LoadUint64(at[uint64](page + 16)),
			mul:   atomic.LoadUint32(at[uint32](page + 24)),
			shift: int8(atomic.LoadUint32(at[uint32](page + 28))),
			wall:  uint64(atomic.LoadUint32(at[uint32](w+4)))*1e9 + uint64(atomic.LoadUint32(at[uint32](w+8))),
		}
		if (version|wallVersion)&1 == 0 && atomic.LoadUint32(at[uint32](page)) == version && atomic.LoadUint32(at[uint32](w)) == wallVersion {
			return k
		}
		pause()
	}
	return kvmClock{}
}

// at is the system time at a TSC value.
func (k *kvmClock) at(tsc uint64) uint64 {
	d := tsc - k.tsc
	if int64(d) < 0 {
		d = 0
	}
	if k.shift < 0 {
		d >>= uint8(-k.shift)
	} else {
		d <<= uint8(k.shift)
	}
	return k.ns + scale(d, uint64(k.mul))
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
