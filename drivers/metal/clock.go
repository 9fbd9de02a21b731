package metal

import (
	"github.com/tuplix/tuplix/drivers/rtc"
	"github.com/tuplix/tuplix/kernel"
)

// SetWallClock tells the kernel the time that the real-time clock shows, unless
// it knows better from the hypervisor.
func (v *Inventory) SetWallClock() error {
	if kernel.WallClockKnown() {
		return nil
	}
	var century uint8
	if v.Firmware != nil {
		if f, err := v.Firmware.FADT(); err == nil {
			century = f.Century
		}
	}
	t, err := rtc.Read(Machine{}, century)
	if err != nil {
		return err
	}
	kernel.SetWallClock(t.UnixNano())
	return nil
}
