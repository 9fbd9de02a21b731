package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	tamagopci "github.com/usbarmory/tamago/soc/intel/pci"

	"github.com/tuplix/tuplix/drivers/acpi"
	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/drivers/pci"
	"github.com/tuplix/tuplix/kernel"
)

// identity is the vendor (low half) and device of each function on the bus.
type identity map[pci.Address]uint32

// ours walks the bus as drivers/metal does, with our driver. It only reads
// identities, because the system is using the devices meanwhile.
func ours() (identity, error) {
	tables, err := acpi.Load(metal.ReadMemory, kernel.RSDP())
	if err != nil {
		return nil, err
	}
	found := make(identity)
	for _, space := range tables.ConfigSpaces() {
		config, err := pci.NewECAM(metal.Machine{}, space.Base, space.First, space.Last)
		if err != nil {
			return nil, err
		}
		for _, f := range pci.Scan(config, metal.Machine{}, space.First) {
			found[f.Address] = uint32(f.Device)<<16 | uint32(f.Vendor)
		}
	}
	return found, nil
}

// theirs lists the bus with TamaGo's driver, which names a device by its function
// 0 and reads the others for whoever asks.
func theirs() identity {
	found := make(identity)
	for bus := range 256 {
		for _, d := range tamagopci.Devices(bus) {
			at := pci.Address{Bus: uint8(d.Bus), Device: uint8(d.Slot)}
			found[at] = uint32(d.Device)<<16 | uint32(d.Vendor)
			for at.Function = 1; at.Function < 8; at.Function++ {
				if id := d.Read(uint32(at.Function), tamagopci.VendorID); uint16(id) != 0xffff {
					found[at] = id
				}
			}
		}
	}
	return found
}

// compare prints the bus and what one of the drivers misses or sees otherwise.
func compare() error {
	a, err := ours()
	if err != nil {
		return err
	}
	b := theirs()
	differences := 0
	for _, at := range slices.SortedFunc(maps.Keys(a), order) {
		id := a[at]
		fmt.Printf("%v %04x:%04x\n", at, uint16(id), id>>16)
		if b[at] != id {
			fmt.Printf("%v: TamaGo has %#x\n", at, b[at])
			differences++
		}
	}
	for at, id := range b {
		if _, known := a[at]; !known {
			fmt.Printf("%v: only TamaGo has it, %#x\n", at, id)
			differences++
		}
	}
	if differences > 0 || len(a) == 0 {
		return fmt.Errorf("%d functions, %d differences", len(a), differences)
	}
	fmt.Printf("the same %d functions\n", len(a))
	return nil
}

// order is that of bus, device and function.
func order(x, y pci.Address) int {
	return cmp.Or(cmp.Compare(x.Bus, y.Bus), cmp.Compare(x.Device, y.Device), cmp.Compare(x.Function, y.Function))
}
