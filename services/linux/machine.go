package linux

import (
	"crypto/rand"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Restart says how reboot(2) ends the machine.
type Restart int

// The ways to end the machine.
const (
	Reboot Restart = iota
	PowerOff
	Halt
)

// Machine tells what uname, sysinfo, syslog and /proc show of the machine.
// Its methods may be called from any goroutine.
type Machine interface {
	// Memory is in bytes: of the machine, and what a program could still get.
	Memory() (total, available uint64)

	// Processors is how many processors run the program.
	Processors() int

	// Processor describes them.
	Processor() Processor

	// Activity counts what the machine has done.
	Activity() Activity

	// Started is when the machine was booted.
	Started() time.Time

	// CommandLine is what the machine was booted with.
	CommandLine() string

	// Log is the kernel's log, in lines.
	Log() []byte
}

// randomID is a line with a random UUID (version 4).
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x\n", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// busy is the processor time that the program has used so far, of all processors
// together.
func busy() time.Duration { return cpuClock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// cpuClock reads one of the clocks that count processor time. They cannot fail: the
// kernel has them.
func cpuClock(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic("linux: the kernel has no clock of processor time: " + err.Error())
	}
	return time.Duration(t.Nano())
}
