package metal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tuplix/tuplix/drivers/acpi"
	"github.com/tuplix/tuplix/drivers/pci"
	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/kernel/cmdline"
)

// Inventory is what the machine turned out to have.
type Inventory struct {
	Firmware  *acpi.Tables       // nil without ACPI
	Namespace *acpi.Namespace    // nil without ACPI
	PCI       []*pci.Function    // in the order of the buses
	Virtio    []virtio.Transport // PCI devices, then MMIO devices in ascending order
	Problems  []error            // what could not be used, and why
}

// Discover looks for all devices. It touches none but by asking what it is.
func Discover() *Inventory {
	v := &Inventory{}
	v.readFirmware()
	v.scanPCI()
	v.addMMIO(v.slots())
	return v
}

func (v *Inventory) problem(err error) {
	if err != nil {
		v.Problems = append(v.Problems, err)
	}
}

func (v *Inventory) readFirmware() {
	if kernel.RSDP() == 0 {
		return
	}
	t, err := acpi.Load(ReadMemory, kernel.RSDP())
	v.problem(err)
	if t != nil {
		v.Firmware, v.Namespace = t, t.Namespace()
	}
}

// scanPCI walks over the buses that MCFG names, or, where there is no MCFG, over
// what the ports show.
func (v *Inventory) scanPCI() {
	var m Machine
	var spaces []acpi.ConfigSpace
	if v.Firmware != nil {
		spaces = v.Firmware.ConfigSpaces()
	}
	for _, s := range spaces {
		c, err := pci.NewECAM(m, s.Base, s.First, s.Last)
		if err != nil {
			v.problem(err)
			continue
		}
		v.addPCI(pci.Scan(c, m, s.First))
	}
	if len(spaces) == 0 && pci.PortsPresent(m) {
		v.addPCI(pci.Scan(pci.NewPorts(m), m, 0))
	}
}

func (v *Inventory) addPCI(functions []*pci.Function) {
	v.PCI = append(v.PCI, functions...)
	for _, f := range functions {
		if virtio.PCIDevice(f) == 0 {
			continue
		}
		t, err := virtio.NewPCI(f)
		if err != nil {
			v.problem(err)
			continue
		}
		v.Virtio = append(v.Virtio, t)
	}
}

// slots returns where virtio devices with registers in memory may be.
func (v *Inventory) slots() []virtio.Slot {
	slots := v.commandLineSlots()
	if v.Namespace == nil {
		return slots
	}
	for _, device := range v.Namespace.FindDevices(acpi.VirtioMMIO) {
		r, err := v.Namespace.Resources(device)
		if err == nil && (len(r.Memory) == 0 || len(r.Interrupts) == 0) {
			err = errors.New("no memory or no interrupt")
		}
		if err != nil {
			v.problem(fmt.Errorf("%s: %w", device, err))
			continue
		}
		slots = append(slots, slot(r))
	}
	return slots
}

func slot(r acpi.Resources) virtio.Slot {
	i := r.Interrupts[0]
	return virtio.Slot{
		Address: r.Memory[0].Base,
		Size:    int(min(r.Memory[0].Size, pageSize)),
		Line:    virtio.Line{GSI: i.GSI, Low: i.Low},
	}
}

const pageSize = 4096

func (v *Inventory) commandLineSlots() []virtio.Slot {
	line, err := cmdline.Parse(kernel.CommandLine())
	v.problem(err)
	var slots []virtio.Slot
	for _, value := range line.All("virtio_mmio.device") {
		s, err := virtio.ParseSlot(value)
		if err != nil {
			v.problem(err)
			continue
		}
		slots = append(slots, s)
	}
	return slots
}

// addMMIO looks what is in the slots, each once.
func (v *Inventory) addMMIO(slots []virtio.Slot) {
	seen := map[uint64]bool{}
	slices.SortFunc(slots, func(a, b virtio.Slot) int { return cmp.Compare(a.Address, b.Address) })
	for _, s := range slots {
		if seen[s.Address] {
			continue
		}
		seen[s.Address] = true
		t, err := virtio.MMIODevice(Machine{}, s)
		switch {
		case errors.Is(err, virtio.ErrNoDevice):
		case err != nil:
			v.problem(err)
		default:
			v.Virtio = append(v.Virtio, t)
		}
	}
}
