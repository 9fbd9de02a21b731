package metal

import (
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/drivers/acpi"
	"github.com/tuplix/tuplix/kernel"
)

// SetPower tells the kernel how to turn the machine off and how to restart it.
// What ACPI does not say stays as the kernel has it.
func (v *Inventory) SetPower() error {
	if v.Firmware == nil {
		return errors.New("power: there is no ACPI")
	}
	off, errOff := v.Firmware.PowerOff(v.Namespace)
	reset, errReset := v.Firmware.Reset()
	if errOff == nil {
		errOff = setPower(off, kernel.SetPowerOff)
	}
	if errReset == nil {
		errReset = setPower(reset, kernel.SetReset)
	}
	return errors.Join(errOff, errReset)
}

func setPower(a acpi.Action, set func(kernel.PowerRegister)) error {
	r, err := powerRegister(a)
	if err != nil {
		return err
	}
	if r.Memory {
		if r.Address, err = kernel.MapDevice(uint64(r.Address), int(r.Width)); err != nil {
			return fmt.Errorf("power: %w", err)
		}
	}
	set(r)
	return nil
}

// powerRegister puts an action into the form of the kernel, which writes one
// register, once or twice.
func powerRegister(a acpi.Action) (kernel.PowerRegister, error) {
	if len(a) < 1 || len(a) > 2 || a[0].Register != a[len(a)-1].Register {
		return kernel.PowerRegister{}, fmt.Errorf("power: %d writes to several registers are not supported", len(a))
	}
	first, last := a[0], a[len(a)-1]
	return kernel.PowerRegister{
		Memory:  first.Register.Space == acpi.Memory,
		Width:   first.Register.Width,
		Address: uintptr(first.Register.Address),
		Value:   first.Value,
		Value2:  last.Value,
		Twice:   len(a) == 2,
	}, nil
}
