package metal

import (
	"unsafe"

	"github.com/tuplix/tuplix/drivers/acpi"
	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/pci"
	"github.com/tuplix/tuplix/drivers/rtc"
	"github.com/tuplix/tuplix/drivers/uart"
	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/kernel"
)

// Machine is the machine that the kernel runs on. It satisfies virtio.Machine,
// pci.Mapper, pci.IO, and the ports of uart and rtc.
type Machine struct{}

// AllocDMA allocates memory for devices; see kernel.AllocDMA.
func (Machine) AllocDMA(n int) ([]byte, uint64, error) { return kernel.AllocDMA(n) }

// PhysicalAddress translates an address; see kernel.PhysicalAddress.
func (Machine) PhysicalAddress(p unsafe.Pointer) uint64 { return kernel.PhysicalAddress(p) }

// MapDevice maps n bytes of device registers at physical address phys.
func (Machine) MapDevice(phys uint64, n int) (mmio.Registers, error) {
	addr, err := kernel.MapDevice(phys, n)
	if err != nil {
		return nil, err
	}
	return mmio.At(addr, n), nil
}

// NewInterrupt takes a free interrupt vector.
func (Machine) NewInterrupt() (virtio.Interrupt, error) {
	i, err := kernel.NewInterrupt()
	if err != nil {
		return nil, err // not i: a nil pointer in an interface is not nil
	}
	return i, nil
}

// In8 reads an I/O port.
func (Machine) In8(port uint16) uint8 { return kernel.In8(port) }

// Out8 writes an I/O port.
func (Machine) Out8(port uint16, v uint8) { kernel.Out8(port, v) }

// In32 reads an I/O port.
func (Machine) In32(port uint16) uint32 { return kernel.In32(port) }

// Out32 writes an I/O port.
func (Machine) Out32(port uint16, v uint32) { kernel.Out32(port, v) }

// ReadMemory returns a view of memory; it is an acpi.Reader.
func ReadMemory(phys uint64, n int) []byte { return kernel.Physical(phys, n) }

var (
	_ virtio.Machine = Machine{}
	_ pci.Mapper     = Machine{}
	_ pci.IO         = Machine{}
	_ uart.Ports     = Machine{}
	_ rtc.Ports      = Machine{}
	_ acpi.Reader    = ReadMemory
)
