package kernel

import "unsafe"

// processor is what one CPU owns; GS points at it. trap_amd64.s knows the
// offsets of the first fields.
type processor struct {
	self     uintptr
	regs     uintptr // of the thread it runs; 0 when idle
	stack    uintptr // top of the stack for system calls
	_        uintptr // scratch
	inKernel uint64
	xsave    uintptr // for faults of the kernel itself

	id      int32
	apic    uint32
	current int32 // thread index, nobody when idle
	online  bool

	resched bool  // look for another thread before going back
	first   int32 // run queue
	last    int32
	length  int32

	quantum int64 // when the current thread's turn ends, if others wait
	armed   int64 // when the timer will fire; never if nothing is armed
	timers  int32 // entries in its timer heap
	heap    uintptr

	idle  uint32 // atomic: halted, or about to
	flush uint32 // atomic: must drop its TLB

	stopped uint32 // atomic: halted for good, because another one reports a panic

	renewal    int64 // when the TLB is emptied next (renewTLB)
	renewAfter int64 // ns from there to the next time

	gdt [8]uint64
	tss [104]byte
	ptr [10]byte // operand of LGDT
	idt [10]byte // operand of LIDT
}

const never = int64(1)<<62 - 1

var (
	cpus     [maxCPUs]uintptr
	cpuCount int
	idtBase  uintptr
)

func cpuAt(i int) *processor { return at[processor](cpus[i]) }

func thisProcessor() *processor { return at[processor](thisCPU()) }

func thisCPU() uintptr
func trapAddresses() (syscall, stub, sigreturn, clock uintptr)

// newProcessor makes the structure and the stacks of CPU id. It is called at
// boot.
func newProcessor(id int, apic uint32) *processor {
	mem.lock()
	defer mem.unlock()
	const pages = (unsafe.Sizeof(processor{}) + pageSize - 1) / pageSize
	p := allocContiguous(uint64(pages))
	area := allocZeroPage()
	heap := allocContiguous(maxThreads * 4 / pageSize)
	if p == 0 || area == 0 || heap == 0 {
		crash("no memory for a processor")
	}
	a := direct(p)
	zero(a, pages*pageSize)
	c := at[processor](a)
	c.self = a
	c.xsave = direct(area)
	c.heap = direct(heap)
	c.id, c.apic = int32(id), apic
	c.current, c.first, c.last = nobody, nobody, nobody
	c.armed = never
	c.quantum = never

	base := stackBase + uintptr(id)*stackStride
	c.stack = makeStack(&base, stackCall)
	c.gdt = [8]uint64{1: 0x00AF9B000000FFFF, 2: 0x00CF93000000FFFF}
	tss := address(&c.tss)
	// 64-bit TSS descriptor (SDM volume 3, 8.2.3): limit 103, type 9, present.
	c.gdt[3] = 103 | uint64(tss&0xFFFFFF)<<16 | 0x89<<40 | uint64(tss>>24&0xFF)<<56
	c.gdt[4] = uint64(tss) >> 32
	ist := func(n int, size uintptr) {
		*at[[2]uint32](tss + 36 + uintptr(n-1)*8) = split(makeStack(&base, size))
	}
	ist(1, stackInterrupt)
	ist(2, stackFault)
	ist(3, stackDouble)
	*at[uint16](tss + 102) = 104 // no I/O map
	c.ptr = tablePointer(address(&c.gdt), 8*8-1)
	c.idt = tablePointer(idtBase, 256*16-1)
	cpus[id] = a
	return c
}

func split(v uintptr) [2]uint32 { return [2]uint32{uint32(v), uint32(v >> 32)} }

func tablePointer(base uintptr, limit uint16) (p [10]byte) {
	p[0], p[1] = byte(limit), byte(limit>>8)
	for i := range 8 {
		p[2+i] = byte(base >> (8 * i))
	}
	return p
}

// makeStack maps size bytes above a guard page at *base, moves it on, and
// returns the top.
func makeStack(base *uintptr, size uintptr) uintptr {
	*base += pageSize
	for n := uintptr(0); n < size; n += pageSize {
		p := allocPage()
		if p == 0 || !mapPage(*base, p, pteWrite|pteNX) {
			crash("no memory for a kernel stack")
		}
		*base += pageSize
	}
	return *base
}

// load makes c the processor that this code runs on.
func (c *processor) load() {
	loadTables(address(&c.ptr), address(&c.idt), tssSelector)
	writeMSR(msrGSBase, uint64(c.self))
	c.inKernel = 1
	syscallAt, _, _, _ := trapAddresses()
	writeMSR(msrSTAR, uint64(codeSelector)<<32)
	writeMSR(msrLSTAR, uint64(syscallAt))
	writeMSR(msrFMASK, 0x47700) // TF, IF, DF, IOPL, NT, AC off on entry
	enableVectors()
	c.online = true
}

// makeIDT fills the interrupt table: page faults and other exceptions on
// IST2, double fault, NMI and machine check on IST3, all else on IST1.
func makeIDT() {
	mem.lock()
	p := allocZeroPage()
	mem.unlock()
	idtBase = direct(p)
	_, stub, _, _ := trapAddresses()
	for v := uintptr(0); v < 256; v++ {
		ist := uint64(1)
		switch {
		case v == 2 || v == 8 || v == 18:
			ist = 3
		case v < 32:
			ist = 2
		}
		h := stub + v*16
		g := at[[2]uint64](idtBase + v*16)
		// Interrupt gate (SDM volume 3, 6.14.1): type 14, present.
		g[0] = uint64(h&0xFFFF) | codeSelector<<16 | ist<<32 | 0x8E<<40 | uint64(h>>16&0xFFFF)<<48
		g[1] = uint64(h >> 32)
	}
}

// xsaveBytes is how much of an XSAVE area is in use, vectorMask the components
// that are on (XCR0).
var (
	xsaveBytes uintptr
	vectorMask uint64
)

// enableVectors turns on what FPU, SSE, AVX and AVX-512 state the processor
// has (not AMX: its tiles would not fit a page, and Go does not use them),
// XSAVE for it, and FSGSBASE.
func enableVectors() {
	const (
		osxsave  = 1 << 18
		fsgsbase = 1 << 16
	)
	_, _, feature, _ := cpuid(1, 0)
	_, more, _, _ := cpuid(7, 0)
	if feature&(1<<26) == 0 || more&1 == 0 {
		crash("the processor has no XSAVE or no FSGSBASE: a newer one is needed (QEMU: -cpu max)")
	}
	writeCR4(readCR4() | osxsave | fsgsbase)
	offered, _, _, _ := cpuid(0xD, 0)
	vectorMask = vectorState(offered)
	xsetbv(vectorMask)
	_, size, _, _ := cpuid(0xD, 0)
	if size > xsaveSize {
		crash("the processor's vector state is larger than a page")
	}
	xsaveBytes = uintptr(size)
}

// vectorState chooses what to turn on of the components that a processor offers
// (Intel SDM volume 1, 13.1): those of AVX-512 together, or XSETBV faults.
func vectorState(offered uint32) uint64 {
	const (
		basic  = 1<<0 | 1<<1 | 1<<2 // x87, SSE, AVX
		avx512 = 1<<5 | 1<<6 | 1<<7 // opmask, ZMM-hi256, hi16-ZMM
	)
	want := offered & basic
	if offered&avx512 == avx512 {
		want |= avx512
	}
	return uint64(want)
}
