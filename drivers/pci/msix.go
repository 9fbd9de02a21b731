package pci

import (
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/drivers/mmio"
)

// The MSI-X capability and the table that it names:
//
//	0  0x11, next, control u16     entry: 0  address u64
//	4  table offset | BAR (3 bits)        8  data u32
//	8  pending bits, likewise             12 control u32, bit 0: masked
const (
	msixTable = 4

	msixEnable     = 1 << 31 // in the word of the control
	msixMaskAll    = 1 << 30
	msixSizeShift  = 16
	msixSizeMask   = 0x7ff
	msixEntry      = 16
	msixEntryMask  = 1
	msixEntryData  = 8
	msixEntryCtl   = 12
	msixBARMask    = 7
	msixOffsetMask = ^uint32(msixBARMask)
)

// MSIX is the table of message-signalled interrupts of a function.
type MSIX struct {
	f     *Function
	at    int
	size  int
	table mmio.Registers
}

// ErrNoMSIX says that a function has no MSI-X capability.
var ErrNoMSIX = errors.New("no MSI-X capability (INTx is not supported)")

// MSIX finds and maps the function's table.
func (f *Function) MSIX() (*MSIX, error) {
	caps, err := f.Capabilities()
	if err != nil {
		return nil, err
	}
	for _, c := range caps {
		if c.ID == CapMSIX {
			return f.msix(c.Offset)
		}
	}
	return nil, fmt.Errorf("%v: %w", f.Address, ErrNoMSIX)
}

func (f *Function) msix(at int) (*MSIX, error) {
	size := int(f.Read32(at)>>msixSizeShift&msixSizeMask) + 1
	where := f.Read32(at + msixTable)
	table, err := f.Map(int(where&msixBARMask), uint64(where&msixOffsetMask), size*msixEntry)
	if err != nil {
		return nil, fmt.Errorf("MSI-X table: %w", err)
	}
	return &MSIX{f: f, at: at, size: size, table: table}, nil
}

// Vectors returns the size of the table.
func (m *MSIX) Vectors() int { return m.size }

// Enable turns MSI-X on, with all vectors masked until Set.
func (m *MSIX) Enable() error {
	m.control(msixEnable|msixMaskAll, 0)
	for v := range m.size {
		m.table.Write32(v*msixEntry+msixEntryCtl, msixEntryMask)
	}
	m.control(0, msixMaskAll)
	if m.f.Read32(m.at)&(msixEnable|msixMaskAll) != msixEnable {
		return fmt.Errorf("%v: MSI-X cannot be enabled", m.f.Address)
	}
	return nil
}

func (m *MSIX) control(set, clear uint32) {
	m.f.Write32(m.at, m.f.Read32(m.at)&^clear|set)
}

// Set makes vector v write data to addr, and unmasks it.
func (m *MSIX) Set(v int, addr uint64, data uint32) error {
	if v < 0 || v >= m.size {
		return fmt.Errorf("%v: MSI-X vector %d of %d", m.f.Address, v, m.size)
	}
	m.Mask(v, true)
	e := v * msixEntry
	m.table.Write32(e, uint32(addr))
	m.table.Write32(e+4, uint32(addr>>32))
	m.table.Write32(e+msixEntryData, data)
	m.Mask(v, false)
	return nil
}

// Mask holds back the messages of vector v, which must be below Vectors; one
// that comes meanwhile is sent when the mask is lifted.
func (m *MSIX) Mask(v int, masked bool) {
	at := v*msixEntry + msixEntryCtl
	ctl := m.table.Read32(at) &^ msixEntryMask
	if masked {
		ctl |= msixEntryMask
	}
	m.table.Write32(at, ctl)
}
