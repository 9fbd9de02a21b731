package kernel

import "testing"

// What is turned on of the state that processors offer by CPUID's leaf 0xD.
func TestVectorState(t *testing.T) {
	for _, test := range []struct {
		processor string
		offered   uint32
		want      uint64
	}{
		{"SSE only", 0x3, 0x3},
		{"AVX", 0x7, 0x7},
		{"AVX, MPX", 0x1F, 0x7},
		{"AVX, protection keys (QEMU's max)", 0x207, 0x7},
		{"AVX-512", 0xE7, 0xE7},
		{"AVX-512, MPX, protection keys (Skylake-X)", 0x2FF, 0xE7},
		{"AVX-512, protection keys, AMX (Sapphire Rapids)", 0x602E7, 0xE7},
		{"a hypervisor that hides a part of AVX-512", 0x67, 0x7},
	} {
		if got := vectorState(test.offered); got != test.want {
			t.Errorf("%s: %#x of %#x, want %#x", test.processor, got, test.offered, test.want)
		}
	}
}
