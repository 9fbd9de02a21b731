package virtio

import (
	"unsafe"

	"github.com/tuplix/tuplix/drivers/mmio"
)

// Memory is the machine's memory as a device sees it.
type Memory interface {
	// AllocDMA returns n bytes of zeroed, physically contiguous,
	// page-aligned memory and its physical address. It is never freed.
	AllocDMA(n int) (mem []byte, phys uint64, err error)
	// PhysicalAddress returns the physical address of p, which is made
	// resident first. p is Go memory, not of AllocDMA; the answer is valid up to the end of the 4 KiB page around p and for
	// as long as the memory is referenced.
	PhysicalAddress(p unsafe.Pointer) uint64
}

// Machine is what a virtio device needs of the machine it sits in.
type Machine interface {
	Memory
	// MapDevice maps n bytes of device registers at a physical address.
	MapDevice(phys uint64, n int) (mmio.Registers, error)
	// NewInterrupt allocates an interrupt that goes nowhere yet.
	NewInterrupt() (Interrupt, error)
}

// Interrupt is one interrupt vector of a CPU.
type Interrupt interface {
	Waiter
	// Message returns what a device writes to raise the interrupt (MSI-X).
	Message() (addr uint64, data uint32)
	// Route connects an input line of the I/O APIC to the interrupt.
	Route(gsi uint32, level, low bool) error
}

// Waiter is something a goroutine can wait on.
type Waiter interface {
	// Wait calls ready at once and again after each event, on the calling
	// goroutine, and returns when ready returns true or on an error. One
	// goroutine at a time.
	Wait(ready func() bool) error
	// Wake makes Wait call ready again, as after an event. It does not block.
	Wake()
}
