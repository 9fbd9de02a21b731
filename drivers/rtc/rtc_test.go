package rtc

import (
	"errors"
	"testing"
	"time"
)

// chip is a clock in software.
type chip struct {
	ram   [256]uint8
	index uint8
	polls int
	hook  func(c *chip) // before each read of a register
}

func (c *chip) Out8(_ uint16, v uint8) { c.index = v }

func (c *chip) In8(uint16) uint8 {
	c.polls++
	if c.hook != nil {
		c.hook(c)
	}
	return c.ram[c.index]
}

func newChip(format uint8, fields ...uint8) *chip {
	c := &chip{}
	for i, r := range []uint8{0x32, 0x09, 0x08, 0x07, 0x04, 0x02, 0x00} {
		c.ram[r] = fields[i]
	}
	c.ram[regStatusB] = format
	return c
}

func TestFormats(t *testing.T) {
	afternoon := time.Date(2026, 11, 21, 23, 59, 58, 0, time.UTC)
	midnight := time.Date(2026, 11, 21, 0, 59, 58, 0, time.UTC)
	for name, c := range map[string]struct {
		chip    *chip
		century uint8
		want    time.Time
	}{
		"BCD 24":           {newChip(statusB24, 0x20, 0x26, 0x11, 0x21, 0x23, 0x59, 0x58), 0x32, afternoon},
		"binary 24":        {newChip(statusB24|statusBBin, 20, 26, 11, 21, 23, 59, 58), 0x32, afternoon},
		"BCD 12":           {newChip(0, 0x20, 0x26, 0x11, 0x21, 0x11|0x80, 0x59, 0x58), 0x32, afternoon},
		"binary 12":        {newChip(statusBBin, 20, 26, 11, 21, 11|0x80, 59, 58), 0x32, afternoon},
		"12 at midnight":   {newChip(0, 0x20, 0x26, 0x11, 0x21, 0x12, 0x59, 0x58), 0x32, midnight},
		"no century":       {newChip(statusB24, 0, 0x26, 0x11, 0x21, 0x23, 0x59, 0x58), 0, afternoon},
		"last century":     {newChip(statusB24, 0, 0x70, 0x01, 0x01, 0, 0, 0), 0, time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)},
		"a wrong register": {newChip(statusB24, 0, 0x26, 0x11, 0x21, 0x23, 0x59, 0x58), 0xf0, afternoon},
	} {
		got, err := Read(c.chip, c.century)
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestNoTime(t *testing.T) {
	for name, c := range map[string]*chip{
		"month 13":    newChip(statusB24, 0x20, 0x26, 0x13, 0x21, 0x23, 0x59, 0x58),
		"no BCD":      newChip(statusB24, 0x20, 0x26, 0x11, 0x1a, 0x23, 0x59, 0x58),
		"February 30": newChip(statusB24, 0x20, 0x26, 0x02, 0x30, 0x23, 0x59, 0x58),
		"all ones":    newChip(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
	} {
		if got, err := Read(c, 0x32); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestTorn lets an update happen in the middle of a reading.
func TestTorn(t *testing.T) {
	c := newChip(statusB24, 0x20, 0x26, 0x12, 0x31, 0x23, 0x59, 0x59)
	c.hook = func(c *chip) {
		if c.polls == 5 {
			next := newChip(statusB24, 0x20, 0x27, 0x01, 0x01, 0, 0, 0)
			c.ram = next.ram
		}
	}
	got, err := Read(c, 0x32)
	if want := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); err != nil || !got.Equal(want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNeverSettles(t *testing.T) {
	c := newChip(statusB24, 0x20, 0x26, 0x11, 0x21, 0x23, 0x59, 0x58)
	c.ram[0x0a] = updating
	if _, err := Read(c, 0); !errors.Is(err, errUnsettled) {
		t.Error(err)
	}
	// A clock that says something else each time.
	c = newChip(statusB24, 0x20, 0x26, 0x11, 0x21, 0x23, 0x59, 0x58)
	c.hook = func(c *chip) { c.ram[0x00] = uint8(c.polls) }
	if _, err := Read(c, 0); !errors.Is(err, errUnsettled) {
		t.Error(err)
	}
}

// FuzzDecode checks that any content of the registers is an error or the time
// that it says.
func FuzzDecode(f *testing.F) {
	f.Add(uint8(2), []byte{0x58, 0x59, 0x23, 0x21, 0x11, 0x26, 0x20})
	f.Fuzz(func(t *testing.T, format uint8, b []byte) {
		if len(b) < 7 {
			return
		}
		s := sample{b[0], b[1], b[2], b[3], b[4], b[5], b[6]}
		for _, century := range []bool{true, false} {
			got, err := s.decode(format, century)
			if err == nil && (got.Year() < 0 || got.Year() > 25755) {
				t.Errorf("%+v is %v", s, got)
			}
		}
	})
}
