package kernel

// The local APIC (Intel SDM volume 3, chapter 11), by MSR where the processor
// has x2APIC and by memory where not. TamaGo's lapic package knows the latter
// only (docs/decisions/).

const (
	apicID       = 0x020
	apicEOI      = 0x0B0
	apicSpurious = 0x0F0
	apicCommand  = 0x300
	apicTarget   = 0x310
	apicTimer    = 0x320
	apicLINT0    = 0x350
	apicLINT1    = 0x360
	apicError    = 0x370
	apicInitial  = 0x380
	apicCurrent  = 0x390
	apicDivide   = 0x3E0

	lvtNMI      = 4 << 8
	lvtMasked   = 1 << 16
	lvtDeadline = 2 << 17
)

var (
	x2apic   bool
	apicBase uintptr // registers in memory
	bootAPIC uint32  // the boot processor's ID
)

func apicRead(reg uintptr) uint32 {
	if x2apic {
		return uint32(readMSR(msrX2APIC + uint32(reg>>4)))
	}
	return load32(apicBase + reg)
}

func apicWrite(reg uintptr, v uint32) {
	if x2apic {
		writeMSR(msrX2APIC+uint32(reg>>4), uint64(v))
		return
	}
	store32(apicBase+reg, v)
}

// findAPIC silences the old interrupt controllers (8259), of which nothing is
// used, and maps the registers; once, on the boot processor. Silencing comes
// first: an interrupt that they have raised must be gone before the local APIC
// stops passing it on, or it arrives without a vector.
func findAPIC() {
	out8(0x21, 0xFF)
	out8(0xA1, 0xFF)
	_, _, feature, _ := cpuid(1, 0)
	x2apic = feature&(1<<21) != 0
	if !x2apic {
		apicBase = mapDevice(readMSR(msrAPICBase)&0xFFFFF000, pageSize, false)
	}
}

// initAPIC turns this processor's APIC on and returns its ID.
func initAPIC() uint32 {
	const enabled, extended = 1 << 11, 1 << 10
	base := readMSR(msrAPICBase) | enabled
	if x2apic {
		base |= extended
	}
	writeMSR(msrAPICBase, base)
	apicWrite(apicSpurious, 1<<8|vecSpurious)
	apicWrite(apicLINT0, lvtMasked)
	apicWrite(apicLINT1, lvtMasked)
	apicWrite(apicError, lvtMasked)
	apicWrite(apicTimer, lvtMasked|vecTimer)
	apicWrite(apicDivide, 0xB) // by one
	id := apicRead(apicID)
	if !x2apic {
		id >>= 24
	}
	return id
}

// enableNMI lets this processor have the machine's non-maskable interrupts, by which
// people and failing hardware ask for a report: they come in by LINT1.
func enableNMI() { apicWrite(apicLINT1, lvtNMI) }

// enableTimer unmasks the timer, once the frequencies are known. A deadline is
// taken in the mode for it only, and its WRMSR would not wait for a mode that is
// written to memory (SDM 11.5.4.1).
func enableTimer() {
	if deadlines {
		apicWrite(apicTimer, lvtDeadline|vecTimer)
		fence()
	} else {
		apicWrite(apicTimer, vecTimer)
	}
}

func startTimer(count uint32) { apicWrite(apicInitial, count) }
func timerNow() uint32        { return apicRead(apicCurrent) }
func endInterrupt()           { apicWrite(apicEOI, 0) }

// interruptCPU sends an inter-processor interrupt: a vector, or one of the
// special commands. The other processor sees what this one wrote before, which
// x2APIC's WRMSR does not ensure by itself (SDM 11.12.3).
func interruptCPU(apic uint32, command uint32) {
	if x2apic {
		fence()
		writeMSR(msrX2APIC+apicCommand>>4, uint64(apic)<<32|uint64(command))
		return
	}
	for apicRead(apicCommand)&(1<<12) != 0 { // the last one is still on its way
		pause()
	}
	apicWrite(apicTarget, apic<<24)
	apicWrite(apicCommand, command)
}

// kick asks a processor for attention.
func kick(c *processor) {
	if !booted {
		kicked |= 1 << c.id
		return
	}
	interruptCPU(c.apic, 1<<14|vecKick)
}

// kicked notes, bit by bit, which processors a hosted test has to play the
// interrupt for.
var kicked uint64
