package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// This file is the kernel as drivers and services see it: ordinary Go.

// Booted reports whether the program runs on the bare machine. It is false in
// an ordinary Linux process, where everything below returns ENOSYS or zero
// and nothing may be asked of hardware.
func Booted() bool { return booted }

// CommandLine is what the boot loader was told to pass, at most 4095 bytes.
func CommandLine() string { return view(commandLine[:commandLineLen]) }

// Module is a file that the boot loader put into memory next to the image.
type Module struct {
	Data        []byte // must not be written
	CommandLine string
}

// Modules lists the boot modules (QEMU: -initrd), at most maxModules.
func Modules() []Module {
	list := make([]Module, 0, moduleCount)
	for i := range modules[:moduleCount] {
		m := &modules[i]
		list = append(list, Module{Data: Physical(m.start, int(m.size)), CommandLine: cString(m.commandLine)})
	}
	return list
}

// RSDP is the physical address of ACPI's root pointer as the boot loader gave
// it, 0 when the machine has no ACPI.
func RSDP() uint64 { return rsdp }

// Physical is a view of n bytes of memory at a physical address: of ACPI
// tables and boot modules, not of devices. It must not be written. It is nil
// where the boot loader's map shows no memory.
func Physical(phys uint64, n int) []byte {
	if !booted || n <= 0 || !isMapped(phys, uint64(n)) {
		return nil
	}
	return bytesAt(direct(phys), n)
}

// MapDevice maps n bytes of device registers at a physical address, uncached,
// and returns their virtual address. A mapping is never taken away.
func MapDevice(phys uint64, n int) (uintptr, error) {
	return result(trap(callMapDevice, uintptr(phys), uintptr(n), 0, 0, 0))
}

// MapIdentity maps n bytes of device registers at the virtual address that
// equals the physical one, for hardware packages that know no other.
func MapIdentity(phys uint64, n int) error {
	_, err := result(trap(callMapDevice, uintptr(phys), uintptr(n), 1, 0, 0))
	return err
}

// AllocDMA returns n bytes (rounded up to pages) of zeroed, physically
// contiguous memory and its physical address, for rings and descriptors. It
// is never freed: allocate at start-up, while memory is in one piece. ENOMEM
// when there is no such piece.
func AllocDMA(n int) (memory []byte, phys uint64, err error) {
	if n <= 0 {
		return nil, 0, syscall.EINVAL
	}
	p, err := result(trap(callAllocDMA, uintptr(n), 0, 0, 0, 0))
	if err != nil {
		return nil, 0, err
	}
	return bytesAt(direct(uint64(p)), n), uint64(p), nil
}

// PhysicalAddress is where the byte at p lies in physical memory. The page is
// made resident first, and stays where it is for as long as the Go object is
// reachable: the collector does not move, and gives back only free memory.
// Contiguity ends with the 4 KiB page. p must not point into a goroutine's
// stack.
func PhysicalAddress(p unsafe.Pointer) uint64 {
	va := uintptr(p)
	if phys, ok := translate(va); ok {
		return phys
	}
	touch(p)
	phys, ok := translate(va)
	if !ok {
		panic("kernel: PhysicalAddress of memory that is not mapped")
	}
	return phys
}

// touch makes the page of p resident and writable without changing it.
func touch(p unsafe.Pointer) {
	(*atomic.Uint32)(unsafe.Pointer(uintptr(p) &^ 3)).Or(0)
}

// In8 reads an I/O port.
func In8(port uint16) uint8 { return in8(port) }

// In16 reads an I/O port.
func In16(port uint16) uint16 { return in16(port) }

// In32 reads an I/O port.
func In32(port uint16) uint32 { return in32(port) }

// Out8 writes an I/O port.
func Out8(port uint16, v uint8) { out8(port, v) }

// Out16 writes an I/O port.
func Out16(port uint16, v uint16) { out16(port, v) }

// Out32 writes an I/O port.
func Out32(port uint16, v uint32) { out32(port, v) }

// Stats are figures of the machine as the kernel sees it.
type Stats struct {
	MemoryTotal uint64 // bytes that the kernel manages
	MemoryFree  uint64 // bytes not in use by anything
	CPUs        int    // processors that run threads
	Threads     int    // threads alive
	Switches    uint64 // thread switches since boot
	Interrupts  uint64 // device interrupts since boot
	Calls       uint64 // system calls since boot
	Faults      uint64 // page faults since boot
}

// ReadStats reads the figures of now.
func ReadStats() Stats {
	if !booted {
		return Stats{}
	}
	return Stats{
		MemoryTotal: pagesTotal * pageSize,
		MemoryFree:  freePages() * pageSize,
		CPUs:        cpuCount,
		Threads:     int(threadCount.Load()),
		Switches:    stats.switches.Load(),
		Interrupts:  stats.interrupts.Load(),
		Calls:       stats.calls.Load(),
		Faults:      stats.faults.Load(),
	}
}

// Log is what the kernel said since boot, the last 32 KiB of it.
func Log() []byte {
	text, _ := LogFrom(0)
	return text
}

// LogFrom is what the kernel said from a position of its log on, as far as that is
// among the last 32 KiB, and the position at which what it says next begins. The
// log begins at position 0.
func LogFrom(position uint64) (text []byte, next uint64) {
	next = logEnd.Load()
	if next > logSize {
		position = max(position, next-logSize)
	}
	for i := position; i < next; i++ {
		text = append(text, logBytes[i%logSize])
	}
	return text, next
}

// Say adds one line to the kernel log, and to the
// console unless the command line says quiet.
func Say(line string) { say(line) }

// AddEntropy mixes the first 256 bytes of p into the kernel's random numbers.
// They need not be secret, nor random: they cannot make the state worse.
func AddEntropy(p []byte) {
	if len(p) == 0 {
		return
	}
	trap(callAddEntropy, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	runtime.KeepAlive(p)
}

// Uptime is the time since boot.
func Uptime() time.Duration { return time.Duration(monotonic()) }

// KeepClock measures the processor's counter against the machine's timers now and
// then, more precisely the longer the machine runs, and has the clock keep their
// pace: within some millionths after a minute. Time never steps. It returns where
// there is nothing to measure against, and else never.
func KeepClock() {
	for wait := time.Second; trap(callRefineClock, 0, 0, 0, 0, 0) != 0; wait = min(4*wait, time.Hour/4) {
		time.Sleep(wait)
	}
}

// Raise sends the program a signal, as kill(2) does.
func Raise(s syscall.Signal) { trap(nrKill, 1, uintptr(s), 0, 0, 0) }

// SetWallClock tells the kernel what time it is, in nanoseconds since 1970.
func SetWallClock(unixNano int64) {
	trap(callSetClock, uintptr(unixNano), 0, 0, 0, 0)
}

// ShiftWallClock moves the wall clock, forward or back, at once. Time since boot, and
// with it all timers, does not change.
func ShiftWallClock(by time.Duration) {
	trap(callShiftClock, uintptr(by), 0, 0, 0, 0)
}

// WallClockKnown reports whether the kernel has the time of day from the
// hypervisor, and so needs to be told by nobody.
func WallClockKnown() bool { return wallKnown }

// PowerRegister is a register whose writing ends or restarts the machine.
type PowerRegister struct {
	Memory  bool  // Address is virtual memory (MapDevice), not a port
	Width   uint8 // 1, 2 or 4 bytes
	Address uintptr
	Value   uint32
	Value2  uint32 // written after Value where Twice is set (PM1: SLP_TYP, then SLP_EN)
	Twice   bool
}

// SetPowerOff names the register that turns the machine off, SetReset the one
// that restarts it: what ACPI says. Without them power-off halts, and reset
// is a triple fault.
func SetPowerOff(r PowerRegister) { setPower(&powerOffRegister, r) }

// SetReset names the register that restarts the machine.
func SetReset(r PowerRegister) { setPower(&resetRegister, r) }

var powerMutex sync.Mutex

func setPower(to *PowerRegister, r PowerRegister) {
	powerMutex.Lock()
	*to = r
	powerMutex.Unlock()
}

// PowerOff ends the machine with an exit status for whoever watches it (the
// debug console of QEMU): what the program saved must be on the disk before.
func PowerOff(status uint8) { trap(callPowerOff, uintptr(status), 0, 0, 0, 0) }

// Reset restarts the machine.
func Reset() { trap(callReset, 0, 0, 0, 0, 0) }

// Console writes to the kernel's own console, byte by byte and at once: for
// panics and for what is said before any service is there. It writes at most
// 256 bytes with interrupts off and returns how many.
func Console(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	n := trap(1, 2, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0)
	runtime.KeepAlive(p)
	return int(n)
}

// EarlyInput is what the console received before a driver took it over: it
// comes first.
func EarlyInput() []byte { return earlyInput[:earlyLength] }

func result(r uintptr) (uintptr, error) {
	if !booted {
		return 0, syscall.ENOSYS
	}
	if e := -int(r); e > 0 && e < 4096 {
		return 0, syscall.Errno(e)
	}
	return r, nil
}
