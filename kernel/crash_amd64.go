package kernel

import "sync/atomic"

// The end: panics of the kernel, power-off and reset.

var (
	powerOffRegister PowerRegister
	resetRegister    PowerRegister
	crashing         atomic.Bool
	crasher          atomic.Int32 // the number + 1 of the processor that reports
)

// crash stops the machine because of a bug, or a machine that cannot be used.
func crash(why string) {
	crashFrame(why, 0, 0, 0)
}

// crashAt is crash for an exception of a program.
func crashAt(why string, vector, code uint64) {
	c := thisProcessor()
	if c.current == nobody {
		crashFrame(why, 0, vector, code)
	}
	crashFrame(why, c.regs, vector, code)
}

// crashFrame reports the saved registers at frame, which begin as a thread's
// do, with the interrupted ip 2 words behind them for a nested fault. Then it
// lets the Go runtime say what all goroutines did, and ends the machine.
func crashFrame(why string, frame uintptr, vector, code uint64) {
	silent := quiet
	quiet = false
	if !crashing.CompareAndSwap(false, true) {
		if isStopped() {
			stopHere()
		}
		consoleLock.unlock()
		emit("\nanother kernel panic while reporting: ")
		emit(why)
		emit("\n")
		end(1)
	}
	if cpuCount > 0 {
		crasher.Store(thisProcessor().id + 1)
	}
	stopOthers()
	if silent {
		repeatLog()
	}
	say("kernel panic: ", why)
	if frame != 0 {
		reportFault(frame, vector, code)
	} else {
		trace(framePointer())
	}
	if cpuCount > 0 {
		lastWords(thisProcessor())
	}
	end(1)
}

// repeatLog shows the end of the log that quiet kept off the console.
func repeatLog() {
	const most = 2048
	end := logEnd.Load()
	for i := end - min(end, most); i < end; i++ {
		consolePut(logBytes[i%logSize])
		if logBytes[i%logSize] == '\n' {
			consolePut('\r')
		}
	}
}

// stopOthers halts all other processors, by an interrupt that cannot be masked,
// and waits until they are: one that a busy host does not run for a while would
// take a lock then, and be stopped with it. What they hold when they are stopped,
// this processor would wait for without end, with interrupts off, so it is taken
// from them.
func stopOthers() {
	const nmi, patience = 0x400, 5 // seconds
	me := cpuCount
	if cpuCount > 1 {
		me = int(thisProcessor().id)
	}
	for i := range cpuCount {
		if c := cpuAt(i); i != me && c.online {
			c.online = false
			interruptCPU(c.apic, nmi)
			for start := rdtsc(); atomic.LoadUint32(&c.stopped) == 0 && rdtsc()-start < patience*tscHz; {
				pause()
			}
		}
	}
	sched.unlock()
	mem.unlock()
	consoleLock.unlock()
	if clockPage != 0 && atomic.LoadUint64(clockWord(0))&1 != 0 {
		atomic.AddUint64(clockWord(0), 1) // stopped in the middle of a change
	}
}

// isStopped tells whether another processor reports a panic, so that this one
// has to do nothing any more.
func isStopped() bool {
	return crashing.Load() && cpuCount > 0 && crasher.Load() != thisProcessor().id+1
}

// stopHere is where processors end that do not report.
func stopHere() {
	atomic.StoreUint32(&thisProcessor().stopped, 1)
	for {
		halt()
	}
}

// lastWords resumes one thread of the program, with SIGQUIT: the Go runtime's
// handler prints the stacks of all goroutines and exits with status 2, where
// exitProgram ends the machine. All other threads stay as they are. If the
// runtime is too broken for that, the timer ends it.
func lastWords(c *processor) {
	const sigQUIT, patience = 3, int64(10e9)
	i := c.current
	if i == nobody {
		i = 0
	}
	t := threadAt(i)
	a := actions[sigQUIT]
	if t == nil || t.state == threadFree || a.handler <= 1 || t.altSize == 0 {
		return
	}
	c.takeOver(i, monotonic()+patience)
	pushFrame(c, t, sigQUIT, &a, signalInfo{code: -6})
	resumeNow()
}

// takeOver leaves thread i alone on the processor, until a time.
func (c *processor) takeOver(i int32, until int64) {
	t := threadAt(i)
	c.current, c.regs = i, address(&t.regs)
	for k := range c.timers { // nobody's any more: to cancel one would spoil the heap
		threadAt(c.timerAt(k)).timer = -1
	}
	t.state, t.cpu, t.pending, t.timer = threadRunning, c.id, 0, -1
	c.first, c.last, c.length, c.timers = nobody, nobody, 0, 0
	c.armed, c.quantum = never, never
	crashEnd = until
	c.arm()
}

// crashEnd is until when the program may report, in monotonic ns. The timer is
// armed for it whatever the program waits for then (arm).
var crashEnd int64

// resumeNow goes to the current thread and does not return.
func resumeNow()

// reportFault tells of a fault and where it was, by the registers saved at frame.
func reportFault(frame uintptr, vector, code uint64) {
	var n, m, k number
	say("  vector ", n.dec(vector), "  code ", m.hex(code), "  cr2 ", k.hex(readCR2()))
	reportRegisters(frame)
}

func reportRegisters(frame uintptr) {
	names := [...]string{"ax", "bx", "cx", "dx", "si", "di", "bp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
	for i, name := range names {
		var n number
		emit("  ")
		emit(name)
		emit(" ")
		emit(n.hex(*at[uint64](frame + uintptr(i)*8)))
		if i%5 == 4 {
			emit("\n")
		}
	}
	// A thread keeps ip at 120; a nested frame has vector and code there.
	ip := *at[uint64](frame + 120)
	if ip < 256 {
		ip = *at[uint64](frame + 136)
	}
	reportPC(uintptr(ip))
	trace(uintptr(*at[uint64](frame + 48)))
}

// functionAt names the function that pc lies in and where that begins; "" if none
// does. The image's runtime sets it (board/pc/_goroot, zz_trace_linux.go) when it
// starts.
var functionAt func(pc uintptr) (name string, entry uintptr)

// reportPC names the function that pc lies in.
func reportPC(pc uintptr) {
	var n, m number
	emit("  ")
	emit(n.hex(uint64(pc)))
	if functionAt != nil {
		if name, entry := functionAt(pc); name != "" {
			emit(" ")
			emit(name)
			emit("+0x")
			emit(m.hex(uint64(pc - entry)))
		}
	}
	emit("\n")
}

// trace follows the chain of frame pointers.
func trace(fp uintptr) {
	for range 32 {
		if fp&7 != 0 {
			return
		}
		if _, ok := translate(fp); pageRoot == 0 || !ok {
			return
		}
		pc := *at[uintptr](fp + 8)
		if pc == 0 {
			return
		}
		reportPC(pc)
		next := *at[uintptr](fp)
		if next <= fp {
			return
		}
		fp = next
	}
}

// tripleFault makes the processor give up, which restarts a PC.
func tripleFault()

// end does what the command line says of panics: panic=poweroff (the
// default), reboot or halt.
func end(status uint8) {
	switch how, _ := option("panic"); how {
	case "reboot":
		reset()
	case "halt":
		for {
			halt()
		}
	}
	powerOff(status)
}

// powerOff tells the status to the debug console (status=PORT), and to QEMU's
// exit device (debugexit=PORT) if it is not zero, and turns the machine off.
func powerOff(status uint8) {
	if port, ok := numberOption("status"); ok {
		var n number
		for _, s := range [...]string{"exit ", n.dec(uint64(status)), "\n"} {
			for i := 0; i < len(s); i++ {
				out8(uint16(port), s[i])
			}
		}
	}
	if port, ok := numberOption("debugexit"); ok && status != 0 {
		out32(uint16(port), uint32(status))
	}
	writePower(&powerOffRegister)
	if tscHz != 0 {
		spin(1e9) // the machine takes its time
	}
	if powerOffRegister.Width == 0 && hasOption("debugexit") {
		// No ACPI: a restart ends QEMU too, when it was told -no-reboot.
		reset()
	}
	say("the machine may be turned off now")
	for {
		halt()
	}
}

func reset() {
	writePower(&resetRegister)
	out8(0xCF9, 0x06) // the chipset's reset register
	out8(0x64, 0xFE)  // the keyboard controller's
	tripleFault()
	for {
		halt()
	}
}

func writePower(r *PowerRegister) {
	values := [...]uint32{r.Value, r.Value2}
	n := 1
	if r.Twice {
		n = 2
	}
	for _, v := range values[:n] {
		switch {
		case r.Width == 0:
		case r.Memory && r.Width == 1:
			*at[uint8](r.Address) = uint8(v)
		case r.Memory && r.Width == 2:
			*at[uint16](r.Address) = uint16(v)
		case r.Memory:
			store32(r.Address, v)
		case r.Width == 1:
			out8(uint16(r.Address), uint8(v))
		case r.Width == 2:
			out16(uint16(r.Address), uint16(v))
		default:
			out32(uint16(r.Address), v)
		}
	}
}

// testFault breaks a rule on purpose, for the boot test: which names the rule.
func testFault(which uintptr) uintptr {
	const overflow = 1
	if which == overflow {
		return uintptr(recurse(0))
	}
	return errINVAL
}

//go:noinline
func recurse(n int) int {
	var room [256]byte
	room[n&255] = byte(n)
	if n > 1<<20 {
		return n // the stack is long full
	}
	return recurse(n+1) + int(room[(n+1)&255])
}
