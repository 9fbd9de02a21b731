package kernel

import (
	"encoding/binary"
	"strings"
)

// Processor is what the processor tells of itself.
type Processor struct {
	Vendor, Name            string
	Family, Model, Stepping int
	Hz                      uint64   // of the time stamp counter; 0: not known
	Features                []string // by the names of Linux's /proc/cpuinfo
}

// features are those that programs ask for, by leaf of CPUID, register and bit (Intel SDM
// volume 2, CPUID).
var features = []struct {
	leaf     uint32
	register int // a, b, c, d
	bit      int
	name     string
}{
	{1, 3, 0, "fpu"}, {1, 3, 4, "tsc"}, {1, 3, 6, "pae"}, {1, 3, 8, "cx8"}, {1, 3, 9, "apic"}, {1, 3, 15, "cmov"},
	{1, 3, 23, "mmx"}, {1, 3, 24, "fxsr"}, {1, 3, 25, "sse"}, {1, 3, 26, "sse2"},
	{0x80000001, 3, 11, "syscall"}, {0x80000001, 3, 20, "nx"}, {0x80000001, 3, 29, "lm"},
	{1, 2, 0, "pni"}, {1, 2, 1, "pclmulqdq"}, {1, 2, 9, "ssse3"}, {1, 2, 12, "fma"}, {1, 2, 13, "cx16"},
	{1, 2, 19, "sse4_1"}, {1, 2, 20, "sse4_2"}, {1, 2, 21, "x2apic"}, {1, 2, 22, "movbe"}, {1, 2, 23, "popcnt"},
	{1, 2, 25, "aes"}, {1, 2, 26, "xsave"}, {1, 2, 28, "avx"}, {1, 2, 29, "f16c"}, {1, 2, 30, "rdrand"},
	{1, 2, 31, "hypervisor"},
	{7, 1, 0, "fsgsbase"}, {7, 1, 3, "bmi1"}, {7, 1, 5, "avx2"}, {7, 1, 8, "bmi2"}, {7, 1, 9, "erms"},
	{7, 1, 16, "avx512f"}, {7, 1, 18, "rdseed"}, {7, 1, 19, "adx"}, {7, 1, 29, "sha_ni"},
}

// ReadProcessor asks the processor that it runs on; all of a machine are alike.
func ReadProcessor() Processor {
	most, b, c, d := cpuid(0, 0)
	p := Processor{Vendor: registerText(b, d, c), Hz: tscHz}
	signature, _, _, _ := cpuid(1, 0)
	p.Family, p.Model, p.Stepping = decodeSignature(signature)
	mostExtended, _, _, _ := cpuid(0x80000000, 0)
	for leaf := uint32(0x80000002); leaf <= 0x80000004 && mostExtended >= 0x80000004; leaf++ {
		p.Name += registerText(cpuid(leaf, 0))
	}
	p.Name = strings.TrimSpace(p.Name)
	for _, f := range features {
		if f.leaf > most && f.leaf < 0x80000000 || f.leaf > mostExtended {
			continue
		}
		a, b, c, d := cpuid(f.leaf, 0)
		if [...]uint32{a, b, c, d}[f.register]>>f.bit&1 != 0 {
			p.Features = append(p.Features, f.name)
		}
	}
	return p
}

// registerText is the text that registers hold, up to the first zero.
func registerText(registers ...uint32) string {
	var text []byte
	for _, r := range registers {
		text = binary.LittleEndian.AppendUint32(text, r)
	}
	before, _, _ := strings.Cut(string(text), "\x00")
	return before
}

// decodeSignature takes what leaf 1 of CPUID has in EAX apart.
func decodeSignature(a uint32) (family, model, stepping int) {
	family, model, stepping = int(a>>8&15), int(a>>4&15), int(a&15)
	if family == 6 || family == 15 {
		model |= int(a>>16&15) << 4
	}
	if family == 15 {
		family += int(a >> 20 & 255)
	}
	return family, model, stepping
}
