package metal

import (
	"testing"

	"github.com/tuplix/tuplix/drivers/acpi"
	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/kernel"
)

func TestPowerRegister(t *testing.T) {
	pm1 := acpi.Register{Space: acpi.IO, Width: 2, Address: 0x604}
	sleep := acpi.Register{Space: acpi.Memory, Width: 1, Address: 0xfea00200}
	for _, c := range []struct {
		action acpi.Action
		want   kernel.PowerRegister
	}{
		{acpi.Action{{Register: pm1, Value: 0x1400}, {Register: pm1, Value: 0x3400}},
			kernel.PowerRegister{Width: 2, Address: 0x604, Value: 0x1400, Value2: 0x3400, Twice: true}},
		{acpi.Action{{Register: sleep, Value: 0x34}},
			kernel.PowerRegister{Memory: true, Width: 1, Address: 0xfea00200, Value: 0x34, Value2: 0x34}},
	} {
		if got, err := powerRegister(c.action); err != nil || got != c.want {
			t.Errorf("%v: %+v, %v", c.action, got, err)
		}
	}
	for _, bad := range []acpi.Action{nil, {{Register: pm1}, {Register: sleep}}, {{Register: pm1}, {Register: pm1}, {Register: pm1}}} {
		if got, err := powerRegister(bad); err == nil {
			t.Errorf("%v: %+v", bad, got)
		}
	}
}

func TestSlot(t *testing.T) {
	r := acpi.Resources{
		Memory:     []acpi.Range{{Base: 0xfeb00000, Size: 1 << 30}},
		Interrupts: []acpi.Interrupt{{GSI: 47, Level: true, Low: true}},
	}
	want := virtio.Slot{Address: 0xfeb00000, Size: pageSize, Line: virtio.Line{GSI: 47, Low: true}}
	if got := slot(r); got != want {
		t.Errorf("%+v", got)
	}
}

// TestHosted checks that nothing here works, or crashes, without the machine.
func TestHosted(t *testing.T) {
	if _, err := (Machine{}).MapDevice(0xfeb00000, 512); err == nil {
		t.Error("device mapped in a Linux process")
	}
	if err := (&Inventory{}).SetPower(); err == nil {
		t.Error("power without ACPI")
	}
	if b := ReadMemory(0, 16); b != nil {
		t.Errorf("% x", b)
	}
}
