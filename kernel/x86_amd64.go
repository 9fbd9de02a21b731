package kernel

import "unsafe"

func in8(port uint16) uint8
func in16(port uint16) uint16
func in32(port uint16) uint32
func out8(port uint16, v uint8)
func out16(port uint16, v uint16)
func out32(port uint16, v uint32)
func readMSR(msr uint32) uint64
func writeMSR(msr uint32, v uint64)
func cpuid(leaf, sub uint32) (a, b, c, d uint32)
func rdtsc() uint64
func rdrand() (v uint64, ok bool)
func readCR2() uint64
func readCR3() uint64
func writeCR3(v uint64)
func readCR4() uint64
func writeCR4(v uint64)
func invlpg(va uintptr)
func xsetbv(v uint64)
func loadTables(gdtr, idtr uintptr, tss uint16)
func pause()
func fence() // what comes before is done and visible to all
func halt()
func zero(p, n uintptr)
func move(to, from, n uintptr) // the ranges do not overlap
func load32(a uintptr) uint32
func store32(a uintptr, v uint32)
func framePointer() uintptr

// trap makes a system call without telling the Go scheduler: for calls that
// do not wait.
func trap(nr, a0, a1, a2, a3, a4 uintptr) uintptr

// Model-specific registers (Intel SDM volume 4).
const (
	msrAPICBase    = 0x1B
	msrTSCDeadline = 0x6E0
	msrX2APIC      = 0x800
	msrEFER        = 0xC0000080
	msrSTAR        = 0xC0000081
	msrLSTAR       = 0xC0000082
	msrFMASK       = 0xC0000084
	msrFSBase      = 0xC0000100
	msrGSBase      = 0xC0000101
)

// at is the address a as a pointer to a T. The kernel's tables lie in pages
// that the Go heap does not know.
func at[T any](a uintptr) *T {
	return (*T)(unsafe.Add(nil, a))
}

// bytesAt is the n bytes at address a.
func bytesAt(a uintptr, n int) []byte {
	return unsafe.Slice(at[byte](a), n)
}

func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
