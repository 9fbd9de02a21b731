package kernel

import "sync/atomic"

// trampolinePage is where the other processors start: real mode wants a page
// below 1 MiB. PC firmware leaves this one alone (TamaGo and others use it).
const trampolinePage = 0x8000

// apStack is the stack of the processor that is being started.
var apStack uintptr

// starting is the processor that is being started.
var (
	starting int32
	started  atomic.Uint32
)

func trampolineCode() (code, enterLong, apEntry uintptr)

// startProcessors starts the processors that findProcessors listed, one at a
// time (Intel SDM volume 3, 9.4.4: INIT, then start-up twice).
func startProcessors() {
	if cpuCount == 1 {
		return
	}
	code, enterLong, entry := trampolineCode()
	page := direct(trampolinePage)
	move(page, code, 0xC8)
	// Patches, drawn above trampoline in boot_amd64.s.
	store32(page+0x0A, trampolinePage+0x10)
	store32(page+0x30, trampolinePage+0x80)
	store32(page+0x38, uint32(pageRoot))
	store32(page+0x8B, trampolinePage)
	store32(page+0x9F, uint32(enterLong))
	store32(page+0xC0, uint32(entry))
	for i := 1; i < cpuCount; i++ {
		c := cpuAt(i)
		apStack = c.stack
		starting = int32(i)
		started.Store(0)
		const initial, startUp, assert = 0x500, 0x600, 1 << 14
		interruptCPU(c.apic, initial|assert)
		spin(200_000)
		for try := 0; try < 2 && started.Load() == 0; try++ {
			interruptCPU(c.apic, startUp|assert|trampolinePage>>12)
			for wait := 0; wait < 500 && started.Load() == 0; wait++ {
				spin(200_000)
			}
		}
		if started.Load() == 0 {
			crash("a processor that ACPI lists does not start")
		}
	}
}

// spin waits ns without sleeping.
func spin(ns int64) {
	for end := monotonic() + ns; monotonic() < end; {
		pause()
	}
}

// apMain is a further processor's first Go code.
func apMain() {
	c := cpuAt(int(starting))
	c.load()
	initAPIC()
	enableTimer()
	started.Store(1)
	leave(c)
}
