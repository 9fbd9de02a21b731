package acpi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Space is an address space of registers.
type Space uint8

// Address spaces (ACPI 6.5, 5.2.3.2).
const (
	Memory Space = 0
	IO     Space = 1
)

// Register is a register of the machine; the zero value is none.
type Register struct {
	Space   Space
	Width   uint8 // bytes: 1, 2, 4 or 8
	Address uint64
}

// FADT is the fixed description of the machine, as far as it is used.
type FADT struct {
	DSDT            uint64 // physical address
	HardwareReduced bool   // no PM1 registers, but SleepControl
	PM1a, PM1b      Register
	Timer           Register // 3.579545 MHz
	Timer32         bool     // it has 32 bits, else 24
	SleepControl    Register
	SleepStatus     Register
	Reset           Register
	ResetValue      uint8
	Century         uint8 // index of the century in the RTC, 0: none
}

// The FADT (ACPI 6.5, 5.2.9), as far as it is used. 0 means absent; older
// revisions end earlier.
const (
	fadtDSDT         = 40  // u32
	fadtPM1a         = 64  // u32
	fadtPM1b         = 68  // u32
	fadtTimer        = 76  // u32
	fadtCentury      = 108 // u8
	fadtFlags        = 112 // u32
	fadtReset        = 116 // register
	fadtResetValue   = 128 // u8
	fadtXDSDT        = 140 // u64
	fadtXPM1a        = 172 // register
	fadtXPM1b        = 184 // register
	fadtXTimer       = 208 // register
	fadtSleepControl = 244 // register
	fadtSleepStatus  = 256 // register

	flagTimer32  = 1 << 8
	flagReset    = 1 << 10
	flagHardware = 1 << 20
)

var errNoFADT = errors.New("acpi: there is no FADT")

// FADT returns the fixed description.
func (t *Tables) FADT() (FADT, error) {
	b := t.Find("FACP")
	if b == nil {
		return FADT{}, errNoFADT
	}
	if len(b) < fadtFlags+4 {
		return FADT{}, fmt.Errorf("acpi: FADT has only %d bytes", len(b))
	}
	table := fields(b)
	flags := table.u32(fadtFlags)
	f := FADT{
		DSDT:            table.u64(fadtXDSDT),
		HardwareReduced: flags&flagHardware != 0,
		PM1a:            table.port(fadtXPM1a, fadtPM1a, 2),
		PM1b:            table.port(fadtXPM1b, fadtPM1b, 2),
		Timer:           table.port(fadtXTimer, fadtTimer, 4),
		Timer32:         flags&flagTimer32 != 0,
		SleepControl:    table.register(fadtSleepControl, 1),
		SleepStatus:     table.register(fadtSleepStatus, 1),
		ResetValue:      table.u8(fadtResetValue),
		Century:         table.u8(fadtCentury),
	}
	if f.DSDT == 0 {
		f.DSDT = uint64(table.u32(fadtDSDT))
	}
	if flags&flagReset != 0 {
		f.Reset = table.register(fadtReset, 1)
	}
	return f, nil
}

// fields reads fields of a table; those behind its end are 0.
type fields []byte

func (f fields) at(off, n int) []byte {
	if off+n > len(f) {
		return make([]byte, n)
	}
	return f[off : off+n]
}

func (f fields) u8(off int) uint8   { return f.at(off, 1)[0] }
func (f fields) u32(off int) uint32 { return binary.LittleEndian.Uint32(f.at(off, 4)) }
func (f fields) u64(off int) uint64 { return binary.LittleEndian.Uint64(f.at(off, 8)) }

// register reads a generic address (ACPI 6.5, 5.2.3.2):
//
//	0 space u8   1 width u8, bits   2 offset u8, bits   3 access u8   4 address u64
//
// The registers read here have a width of their own; what firmware writes into
// the fields of width is often wrong. Spaces other than memory and I/O are not
// reachable and count as absent.
func (f fields) register(off int, width uint8) Register {
	space, address := Space(f.u8(off)), f.u64(off+4)
	if address == 0 || space > IO || space == IO && address > 0xffff {
		return Register{}
	}
	return Register{Space: space, Width: width, Address: address}
}

// port reads the extended form of a register, or else the old one, a port.
func (f fields) port(extended, old int, width uint8) Register {
	if r := f.register(extended, width); r != (Register{}) {
		return r
	}
	if p := f.u32(old); p != 0 && p <= 0xffff {
		return Register{Space: IO, Width: width, Address: uint64(p)}
	}
	return Register{}
}
