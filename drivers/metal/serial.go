package metal

import (
	"fmt"

	"github.com/tuplix/tuplix/drivers/uart"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/kernel/acpi"
)

// serialPort is the hardware id of a 16550.
const serialPort = "PNP0501"

// OpenSerial sets up the first serial port: the one that ACPI names, or else
// COM1 where PCs have it. Its interrupt is an ISA line, which MADT may redirect.
func (v *Inventory) OpenSerial() (*uart.Port, error) {
	base, irq := uint16(uart.COM1), uint32(uart.IRQ1)
	if v.Namespace != nil {
		for _, device := range v.Namespace.FindDevices(serialPort) {
			r, err := v.Namespace.Resources(device)
			if err == nil && len(r.Ports) > 0 && len(r.Interrupts) > 0 {
				base, irq = uint16(r.Ports[0].Base), r.Interrupts[0].GSI
				break
			}
		}
	}
	i, err := kernel.NewInterrupt()
	if err != nil {
		return nil, err
	}
	gsi, low := isaLine(irq)
	if err := i.Route(gsi, false, low); err != nil {
		return nil, fmt.Errorf("serial port at %#x: %w", base, err)
	}
	return uart.Open(Machine{}, base, i)
}

// isaLine returns where an ISA interrupt arrives.
func isaLine(irq uint32) (gsi uint32, low bool) {
	var m acpi.Machine
	if kernel.RSDP() != 0 && acpi.ReadMachine(kernel.Physical, kernel.RSDP(), &m) == acpi.OK {
		for _, o := range m.Override[:m.Overrides] {
			if uint32(o.IRQ) == irq {
				return o.GSI, o.Low
			}
		}
	}
	return irq, false
}
