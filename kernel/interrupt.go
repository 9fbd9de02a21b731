package kernel

import (
	"os"
	"time"
)

// Interrupt is one interrupt vector, delivered to whichever goroutine waits.
// Interrupts that come while nobody waits are not lost: Wait asks its
// condition first, and each interrupt makes it ask again.
type Interrupt struct {
	fd     int
	vector uint8
	file   *os.File
	conn   interface {
		Read(func(uintptr) bool) error
	}
}

// NewInterrupt takes a free vector. EAGAIN when all (about 200) are taken.
func NewInterrupt() (*Interrupt, error) {
	r, err := result(trap(callNewInterrupt, 0, 0, 0, 0, 0))
	if err != nil {
		return nil, err
	}
	i := &Interrupt{fd: int(r >> 8), vector: uint8(r)}
	i.file = os.NewFile(uintptr(i.fd), "interrupt")
	i.conn, err = i.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	return i, nil
}

// Message is what a device writes to raise the interrupt: the address and
// data of an MSI or MSI-X entry (Intel SDM volume 3, section 11.11).
func (i *Interrupt) Message() (addr uint64, data uint32) {
	return 0xFEE00000 | uint64(interruptTarget(uintptr(i.vector)))<<12, uint32(i.vector)
}

// interruptTarget is the local APIC that gets a device vector: the processors take
// turns. Messages and I/O APICs can name the first 255 only.
func interruptTarget(vector uintptr) uint32 {
	if cpuCount > 0 {
		if apic := cpuAt(int(vector-vecDevice) % cpuCount).apic; apic < 255 {
			return apic
		}
	}
	return bootAPIC
}

// Route has the I/O APIC raise the interrupt for a global system interrupt.
// Level-triggered lines are refused (ENOTSUP): nothing here masks and unmasks
// them around the driver.
func (i *Interrupt) Route(gsi uint32, level, low bool) error {
	var flags uintptr
	if level {
		flags |= 1
	}
	if low {
		flags |= 2
	}
	_, err := result(trap(callRoute, uintptr(i.vector), uintptr(gsi), flags, 0, 0))
	return err
}

// Wait parks the goroutine until ready returns true. ready runs at once and
// again after each interrupt, on this goroutine; it must not block. One
// goroutine waits at a time. No interrupt between two calls of ready is lost.
func (i *Interrupt) Wait(ready func() bool) error {
	return i.conn.Read(func(uintptr) bool { return ready() })
}

// Wake makes Wait ask its condition again, as if there had been an interrupt.
func (i *Interrupt) Wake() {
	const in = 1 // EPOLLIN
	trap(callPostFD, uintptr(i.fd), in, 0, 0, 0)
}

// Times are when the last interrupt came and when the thread that it woke ran,
// as Uptime counts. The second may be that of an earlier interrupt: where the
// thread has not run yet, and where none had to be woken.
func (i *Interrupt) Times() (entered, ran time.Duration) {
	t := &interruptTimes[i.vector]
	return time.Duration(t.entered.Load()), time.Duration(t.ran.Load())
}
