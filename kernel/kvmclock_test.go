package kernel

import (
	"math/big"
	"math/rand"
	"sync/atomic"
	"testing"
	"time"
)

// cpuidTable answers as a processor that has these leaves only.
type cpuidTable map[uint32][4]uint32

func (c cpuidTable) read(leaf, _ uint32) (a, b, x, d uint32) {
	r := c[leaf]
	return r[0], r[1], r[2], r[3]
}

const hypervisorBit = 1 << 31

var (
	plainLeaf = [4]uint32{2: 1 << 21}
	guestLeaf = [4]uint32{2: hypervisorBit}
	kvmLeaf   = [4]uint32{0x40000001, 0x4B4D564B, 0x564B4D56, 0x4D}
	tcgLeaf   = [4]uint32{0x40000001, 0x54474354, 0x43544743, 0x47435447}
)

// The TSC's frequency is taken from who knows it best.
func TestToldTSC(t *testing.T) {
	kvm := kvmClock{mul: 1 << 31, shift: -1} // 4 GHz
	crystal := [4]uint32{2, 250, 24_000_000}
	for _, test := range []struct {
		name string
		cpu  cpuidTable
		host kvmClock
		hz   uint64
		by   source
	}{
		{"nobody", cpuidTable{0: {0x16}, 1: plainLeaf}, kvmClock{}, 0, sourceNone},
		{"crystal", cpuidTable{0: {0x16}, 1: plainLeaf, 0x15: crystal}, kvmClock{}, 3e9, sourceCPUID},
		{"crystal unknown", cpuidTable{0: {0x16}, 1: plainLeaf, 0x15: {2, 250, 0}}, kvmClock{}, 0, sourceNone},
		{"no ratio", cpuidTable{0: {0x16}, 1: plainLeaf, 0x15: {0, 250, 24_000_000}}, kvmClock{}, 0, sourceNone},
		{"leaf too high", cpuidTable{0: {0x14}, 1: plainLeaf, 0x15: crystal}, kvmClock{}, 0, sourceNone},
		{"TCG", cpuidTable{0: {0x14}, 1: guestLeaf, 0x40000000: tcgLeaf}, kvmClock{}, 0, sourceNone},
		{"KVM", cpuidTable{0: {0x16}, 1: guestLeaf, 0x40000000: kvmLeaf, 0x15: crystal}, kvm, 4e9, sourceKVM},
		{"hypervisor", cpuidTable{1: guestLeaf, 0x40000000: {0x40000010}, 0x40000010: {2_500_000}}, kvm, 2.5e9, sourceHypervisor},
		{"hypervisor says 0", cpuidTable{1: guestLeaf, 0x40000000: {0x40000010}}, kvm, 4e9, sourceKVM},
		{"leaf not offered", cpuidTable{1: guestLeaf, 0x40000000: {0x4000000F}, 0x40000010: {2_500_000}}, kvmClock{}, 0, sourceNone},
		{"no hypervisor", cpuidTable{1: plainLeaf, 0x40000000: {0x40000010}, 0x40000010: {2_500_000}}, kvmClock{}, 0, sourceNone},
		{"garbage", cpuidTable{1: guestLeaf, 0x40000000: {0xFFFFFFFF}, 0x40000010: {2_500_000}}, kvmClock{}, 0, sourceNone},
	} {
		if hz, by := toldTSC(test.cpu.read, test.host); hz != test.hz || by != test.by {
			t.Errorf("%s: %d Hz by %v, want %d by %v", test.name, hz, by, test.hz, test.by)
		}
	}
}

func TestHasKVMClock(t *testing.T) {
	const clock, old = 1 << 3, 1 << 0
	for _, test := range []struct {
		name string
		cpu  cpuidTable
		want bool
	}{
		{"KVM", cpuidTable{1: guestLeaf, 0x40000000: kvmLeaf, 0x40000001: {clock | old}}, true},
		{"old leaf", cpuidTable{1: guestLeaf, 0x40000000: {0, kvmLeaf[1], kvmLeaf[2], kvmLeaf[3]}, 0x40000001: {clock}}, true},
		{"old clock only", cpuidTable{1: guestLeaf, 0x40000000: kvmLeaf, 0x40000001: {old}}, false},
		{"no features", cpuidTable{1: guestLeaf, 0x40000000: {0x40000000, kvmLeaf[1], kvmLeaf[2], kvmLeaf[3]}, 0x40000001: {clock}}, false},
		{"TCG", cpuidTable{1: guestLeaf, 0x40000000: tcgLeaf, 0x40000001: {clock}}, false},
		{"bare", cpuidTable{1: plainLeaf, 0x40000000: kvmLeaf, 0x40000001: {clock}}, false},
	} {
		if got := hasKVMClock(test.cpu.read); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// kvmHost plays KVM: it writes what the guest's clock is to read.
type kvmHost struct{ page uintptr }

// write changes a structure as KVM does: the version is odd meanwhile.
func (h kvmHost) write(off uintptr, change func(p uintptr)) {
	version := at[uint32](h.page + off)
	atomic.AddUint32(version, 1)
	change(h.page + off)
	atomic.AddUint32(version, 1)
}

func (h kvmHost) system(tsc, ns uint64, mul uint32, shift int8) {
	h.write(0, func(p uintptr) {
		atomic.StoreUint64(at[uint64](p+8), tsc)
		atomic.StoreUint64(at[uint64](p+16), ns)
		atomic.StoreUint32(at[uint32](p+24), mul)
		atomic.StoreUint32(at[uint32](p+28), uint32(uint8(shift))|1<<8) // flags: stable
	})
}

func (h kvmHost) wall(seconds, ns uint32) {
	h.write(kvmWallOffset, func(p uintptr) {
		atomic.StoreUint32(at[uint32](p+4), seconds)
		atomic.StoreUint32(at[uint32](p+8), ns)
	})
}

// Whatever the host is writing, what is read is of one moment. It writes one
// structure at a time, so that the other's version gives nothing away.
func TestKVMClockTorn(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	h := kvmHost{m.room(1)}
	system := func(n uint32) { h.system(uint64(n), uint64(n)*3, n, int8(n%63)-31) }
	wall := func(n uint32) { h.wall(n, n%1e9) }
	system(1)
	wall(1)
	for _, update := range []func(n uint32){system, wall} {
		stop, stopped := make(chan bool), make(chan uint32)
		go func() {
			for n := uint32(1); ; n++ {
				select {
				case <-stop:
					stopped <- n
					return
				default:
					update(n)
				}
			}
		}()
		reads := 0
		for start := time.Now(); !t.Failed() && (reads == 0 || time.Since(start) < 300*time.Millisecond); {
			k := readKVMClock(h.page)
			if k == (kvmClock{}) {
				continue // a busy host has the writer wait in the middle, for longer than is waited here
			}
			reads++
			n := uint32(k.tsc)
			if k.ns != uint64(n)*3 || k.mul != n || k.shift != int8(n%63)-31 || k.wall/1e9 != k.wall%1e9 {
				t.Errorf("torn: %+v", k)
			}
		}
		close(stop)
		t.Logf("%d reads, %d updates", reads, <-stopped)
	}
}

// A host that has not written, or does not finish, gives no clock.
func TestKVMClockAbsent(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	h := kvmHost{m.room(1)}
	if k := readKVMClock(h.page); k != (kvmClock{}) {
		t.Errorf("%+v of nothing", k)
	}
	h.system(1, 2, 3, 4)
	if k := readKVMClock(h.page); k != (kvmClock{}) {
		t.Errorf("%+v without the time of day", k)
	}
	h.wall(5, 6)
	if k, want := readKVMClock(h.page), (kvmClock{1, 2, 3, 4, 5_000_000_006}); k != want {
		t.Errorf("%+v, want %+v", k, want)
	}
	for _, off := range []uintptr{0, kvmWallOffset} {
		atomic.AddUint32(at[uint32](h.page+off), 1)
		if k := readKVMClock(h.page); k != (kvmClock{}) {
			t.Errorf("%+v while the host writes at %d", k, off)
		}
		atomic.AddUint32(at[uint32](h.page+off), 1)
	}
}

// timeScale is the multiplier and shift for a frequency, the multiplier as
// precise as it can be: its highest bit is set.
func timeScale(hz uint64) (mul uint32, shift int8) {
	ratio := new(big.Int).Lsh(big.NewInt(1e9), 96) // * 2^96
	ratio.Div(ratio, new(big.Int).SetUint64(hz))
	length := ratio.BitLen()
	return uint32(ratio.Rsh(ratio, uint(length-32)).Uint64()), int8(length - 96)
}

// A guest finds the host's frequency, and tells the host's time, for years.
func TestKVMClock(t *testing.T) {
	r := rand.New(rand.NewSource(seed(t)))
	for range 10_000 {
		hz := uint64(5e8 + r.Int63n(9.5e9))
		mul, shift := timeScale(hz)
		if got := scaledHz(mul, shift); !near(got, hz, 1) {
			t.Fatalf("mul %d, shift %d: %d Hz, want %d", mul, shift, got, hz)
		}
		k := kvmClock{tsc: r.Uint64() >> 10, ns: r.Uint64() >> 10, mul: mul, shift: shift}
		passed := uint64(r.Int63n(5 * 365 * 24 * 3600 * 1e9)) // ns
		counts := new(big.Int).Mul(new(big.Int).SetUint64(passed), new(big.Int).SetUint64(hz))
		counts.Div(counts, big.NewInt(1e9))
		if !counts.IsUint64() || counts.BitLen()+max(0, int(shift)) > 63 {
			continue
		}
		got := k.at(k.tsc+counts.Uint64()) - k.ns
		if off := int64(got - passed); max(off, -off) > 100+int64(passed/1e9) { // some ns in a second
			t.Fatalf("at %d Hz, after %d ns: %d", hz, passed, got)
		}
		if k.at(k.tsc-5) != k.ns {
			t.Fatal("time before the host's")
		}
	}
}

func TestScaledHz(t *testing.T) {
	for _, test := range []struct {
		mul   uint32
		shift int8
		want  uint64
	}{
		{0, 0, 0},
		{1 << 31, 1, 1e9},
		{1 << 31, 0, 2e9},
		{1 << 31, -1, 4e9},
		{0xFFFFFFFF, -1, 2_000_000_000},
		{3_435_973_836, -2, 5e9},
	} {
		got := scaledHz(test.mul, test.shift)
		if d := int64(got - test.want); d < -2 || d > 2 {
			t.Errorf("mul %d, shift %d: %d Hz, want %d", test.mul, test.shift, got, test.want)
		}
	}
}
