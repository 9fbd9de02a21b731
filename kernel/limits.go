package kernel

// The kernel's limits, all of them.
const (
	maxCPUs     = 64
	maxThreads  = 4096    // Go itself stops at 10,000
	maxFD       = 1 << 16 // descriptors
	maxPolls    = 1 << 17 // descriptors times epoll instances that watch them
	maxRegions  = 64      // entries of the memory map that are used
	maxModules  = 8       // boot modules
	maxVMAs     = 16380   // mappings of the address space; one more costs up to 50 us then
	maxDevices  = 1 << 28 // bytes of device registers mapped
	maxIOAPICs  = 8
	maxCmdline  = 4096
	futexChains = 1024

	pageSize = 4096
)

// Virtual addresses above the program's 47 bits.
const (
	userEnd     = uintptr(0x0000_7FFF_FFFF_F000)
	directBase  = uintptr(0xFFFF_8000_0000_0000) // all memory, in physical order
	stackBase   = uintptr(0xFFFF_C000_0000_0000) // kernel stacks with guard pages
	deviceBase  = uintptr(0xFFFF_E000_0000_0000) // registers, uncached
	programTop  = uintptr(0x0000_7FFF_0000_0000) // the first thread's stack ends here
	mmapTop     = uintptr(0x0000_7F00_0000_0000) // mappings without a wish grow down from here
	programSize = uintptr(256 << 10)             // the first thread's stack
)

// A kernel stack area, one for each processor: guard page, stack, guard page,
// stack and so on.
const (
	stackCall      = 32 << 10 // system calls and idling
	stackInterrupt = 16 << 10 // IST1
	stackFault     = 16 << 10 // IST2
	stackDouble    = 16 << 10 // IST3: double fault, NMI, machine check
	stackStride    = 128 << 10
)

// The areas fit their stride, guards included.
const _ = uint(stackStride - (stackCall + stackInterrupt + stackFault + stackDouble + 5*pageSize))
