package virtio

import (
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/pci"
)

// VendorPCI is the PCI vendor of virtio devices.
const VendorPCI = 0x1af4

// A virtio structure in a vendor-specific PCI capability (virtio 1.2, 4.1.4):
//
//	0 0x09   2 length of capability   4 BAR       8  offset in the BAR (u32)
//	1 next   3 type of structure      5 id        12 length (u32)
//	                                  6 reserved  16 notify multiplier (u32, type 2)
const (
	capCommon = 1
	capNotify = 2
	capISR    = 3
	capDevice = 4

	capType       = 3
	capBAR        = 4
	capOffset     = 8
	capLength     = 12
	capMultiplier = 16
)

// The common structure (virtio 1.2, 4.1.4.3).
const (
	commonFeaturesSelect = 0  // u32
	commonFeatures       = 4  // u32
	commonAcceptSelect   = 8  // u32
	commonAccept         = 12 // u32
	commonConfigVector   = 16 // u16
	commonQueues         = 18 // u16
	commonStatus         = 20 // u8
	commonGeneration     = 21 // u8
	commonQueueSelect    = 22 // u16
	commonQueueSize      = 24 // u16
	commonQueueVector    = 26 // u16
	commonQueueEnable    = 28 // u16
	commonNotifyOffset   = 30 // u16
	commonDesc           = 32 // u64
	commonAvail          = 40 // u64
	commonUsed           = 48 // u64
	commonSize           = 56
)

// maxConfig bounds the device-specific structure that is mapped; the largest
// one that a driver here reads has 60 bytes.
const maxConfig = 4096

type pciTransport struct {
	id         uint32
	common     mmio.Registers
	notify     mmio.Registers
	config     mmio.Registers
	multiplier uint32
	msix       *pci.MSIX
}

// PCIDevice returns the virtio device type of a PCI function, 0 if it is none.
func PCIDevice(f *pci.Function) uint32 {
	switch {
	case f.Vendor != VendorPCI || f.Device < 0x1000 || f.Device > 0x107f:
		return 0
	case f.Device >= 0x1040:
		return uint32(f.Device) - 0x1040
	default: // transitional: the type is the subsystem id
		return uint32(f.SubsystemID())
	}
}

// NewPCI returns the transport to the virtio device f, which is enabled for
// bus mastering. The error says what a device lacks.
func NewPCI(f *pci.Function) (Transport, error) {
	t, err := newPCI(f)
	if err != nil {
		return nil, fmt.Errorf("virtio: %v: %w", f, err)
	}
	return t, nil
}

func newPCI(f *pci.Function) (*pciTransport, error) {
	t := &pciTransport{id: PCIDevice(f), config: emptyConfig{}}
	if t.id == 0 {
		return nil, errors.New("not a virtio device")
	}
	if err := t.find(f); err != nil {
		return nil, err
	}
	msix, err := f.MSIX()
	if err != nil {
		return nil, err
	}
	t.msix = msix
	f.Enable()
	return t, msix.Enable()
}

// find maps the structures that the capabilities name; of each type the first
// that can be reached counts.
func (t *pciTransport) find(f *pci.Function) error {
	caps, err := f.Capabilities()
	if err != nil {
		return err
	}
	var last error
	for _, c := range caps {
		if c.ID == pci.CapVendor {
			if err := t.structure(f, c.Offset); err != nil {
				last = err
			}
		}
	}
	if t.common == nil || t.notify == nil {
		return errors.Join(errors.New("no modern virtio interface (QEMU: disable-modern=off)"), last)
	}
	return nil
}

func (t *pciTransport) structure(f *pci.Function, at int) error {
	switch f.Read8(at + capType) {
	case capCommon:
		return mapStructure(f, at, commonSize, commonSize, &t.common)
	case capNotify:
		t.multiplier = f.Read32(at + capMultiplier)
		return mapStructure(f, at, 2, 1<<24, &t.notify)
	case capDevice:
		if _, empty := t.config.(emptyConfig); empty {
			t.config = nil
		}
		err := mapStructure(f, at, 1, maxConfig, &t.config)
		if t.config == nil {
			t.config = emptyConfig{}
		}
		return err
	}
	return nil
}

// mapStructure maps between least and most bytes of the structure that the
// capability at config offset at describes.
func mapStructure(f *pci.Function, at, least, most int, to *mmio.Registers) error {
	if *to != nil {
		return nil
	}
	bar, off, n := f.Read8(at+capBAR), f.Read32(at+capOffset), f.Read32(at+capLength)
	if off%4 != 0 || n < uint32(least) {
		return fmt.Errorf("capability at %#x: structure of %d bytes at %#x", at, n, off)
	}
	r, err := f.Map(int(bar), uint64(off), int(min(n, uint32(most))))
	if err != nil {
		return fmt.Errorf("capability at %#x: %w", at, err)
	}
	*to = r
	return nil
}

func (t *pciTransport) ID() uint32 { return t.id }

func (t *pciTransport) Features() uint64 {
	t.common.Write32(commonFeaturesSelect, 0)
	low := t.common.Read32(commonFeatures)
	t.common.Write32(commonFeaturesSelect, 1)
	return uint64(t.common.Read32(commonFeatures))<<32 | uint64(low)
}

func (t *pciTransport) SetFeatures(f uint64) {
	t.common.Write32(commonAcceptSelect, 0)
	t.common.Write32(commonAccept, uint32(f))
	t.common.Write32(commonAcceptSelect, 1)
	t.common.Write32(commonAccept, uint32(f>>32))
}

func (t *pciTransport) Status() uint8     { return t.common.Read8(commonStatus) }
func (t *pciTransport) SetStatus(s uint8) { t.common.Write8(commonStatus, s) }

func (t *pciTransport) QueueMax(index int) int {
	if index >= int(t.common.Read16(commonQueues)) {
		return 0
	}
	t.common.Write16(commonQueueSelect, uint16(index))
	return int(t.common.Read16(commonQueueSize))
}

func (t *pciTransport) EnableQueue(index int, a QueueAddress, vector int) (func(), error) {
	c := t.common
	c.Write16(commonQueueSelect, uint16(index))
	if c.Read16(commonQueueEnable) != 0 {
		return nil, errors.New("is in use already")
	}
	c.Write16(commonQueueSize, a.Size)
	c.Write16(commonQueueVector, uint16(vector))
	if c.Read16(commonQueueVector) != uint16(vector) {
		return nil, fmt.Errorf("does not take interrupt vector %d", vector)
	}
	t.write64(commonDesc, a.Desc)
	t.write64(commonAvail, a.Avail)
	t.write64(commonUsed, a.Used)
	notify, err := t.doorbell(index, c.Read16(commonNotifyOffset))
	if err != nil {
		return nil, err
	}
	c.Write16(commonQueueEnable, 1)
	return notify, nil
}

func (t *pciTransport) doorbell(index int, offset uint16) (func(), error) {
	off := uint64(offset) * uint64(t.multiplier)
	if off%2 != 0 || off+2 > uint64(t.notify.Len()) {
		return nil, fmt.Errorf("has its doorbell at %#x of %#x", off, t.notify.Len())
	}
	return func() { t.notify.Write16(int(off), uint16(index)) }, nil
}

func (t *pciTransport) write64(off int, v uint64) {
	t.common.Write32(off, uint32(v))
	t.common.Write32(off+4, uint32(v>>32))
}

func (t *pciTransport) Vectors() int { return t.msix.Vectors() }

func (t *pciTransport) Bind(vector int, i Interrupt) error {
	addr, data := i.Message()
	return t.msix.Set(vector, addr, data)
}

func (t *pciTransport) SetConfigVector(vector int) error {
	t.common.Write16(commonConfigVector, uint16(vector))
	if t.common.Read16(commonConfigVector) != uint16(vector) {
		return fmt.Errorf("configuration does not take interrupt vector %d", vector)
	}
	return nil
}

// Ack does nothing: a message needs no acknowledgement.
func (t *pciTransport) Ack() {}

func (t *pciTransport) Config() mmio.Registers { return t.config }
func (t *pciTransport) Generation() uint32     { return uint32(t.common.Read8(commonGeneration)) }

// emptyConfig is the configuration of a device that has none. Its zero length
// keeps everybody from reading it.
type emptyConfig struct{ mmio.Registers }

func (emptyConfig) Len() int { return 0 }
