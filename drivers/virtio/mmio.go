package virtio

import (
	"fmt"

	"github.com/tuplix/tuplix/drivers/mmio"
)

// Registers of the MMIO transport (virtio 1.2, 4.2.2), all 32 bits wide:
//
//	000 magic "virt"        030 queue select     070 status
//	004 version 2           034 queue size max   080 descriptors (64 bits)
//	008 device type         038 queue size       090 available   (64 bits)
//	010 device features     044 queue ready      0a0 used        (64 bits)
//	014   their select      050 queue notify     0fc config generation
//	020 driver features     060 interrupt status 100 configuration
//	024   their select      064 interrupt ack
const (
	mmioMagic          = 0x000
	mmioVersion        = 0x004
	mmioDeviceID       = 0x008
	mmioFeatures       = 0x010
	mmioFeaturesSelect = 0x014
	mmioAccept         = 0x020
	mmioAcceptSelect   = 0x024
	mmioQueueSelect    = 0x030
	mmioQueueMax       = 0x034
	mmioQueueSize      = 0x038
	mmioQueueReady     = 0x044
	mmioNotify         = 0x050
	mmioInterrupt      = 0x060
	mmioAck            = 0x064
	mmioStatus         = 0x070
	mmioDesc           = 0x080
	mmioAvail          = 0x090
	mmioUsed           = 0x0a0
	mmioGeneration     = 0x0fc
	mmioConfig         = 0x100

	mmioMagicValue = 0x74726976
)

// mmioTransport reaches a device by memory-mapped registers. It has one
// interrupt line, to the I/O APIC.
type mmioTransport struct {
	r      mmio.Registers
	config mmio.Registers
	line   Line
}

// Line is the input of the I/O APIC that a device raises.
type Line struct {
	GSI uint32
	Low bool // active low; else high
}

// ErrNoDevice says that an MMIO slot is empty.
var ErrNoDevice = fmt.Errorf("virtio: no device in this slot")

// NewMMIO returns the transport to the device with registers r and interrupt
// line l. The error is ErrNoDevice for an empty slot, as QEMU's microvm has.
func NewMMIO(r mmio.Registers, l Line) (Transport, error) {
	if r.Len() < mmioConfig {
		return nil, fmt.Errorf("virtio: %#x bytes of registers, at least %#x are needed", r.Len(), mmioConfig)
	}
	if magic := r.Read32(mmioMagic); magic != mmioMagicValue {
		return nil, fmt.Errorf("virtio: magic number %#x at an MMIO slot, not %#x", magic, mmioMagicValue)
	}
	version, id := r.Read32(mmioVersion), r.Read32(mmioDeviceID)
	switch {
	case id == 0:
		return nil, ErrNoDevice
	case version == 1:
		return nil, fmt.Errorf("virtio: device of type %d speaks legacy MMIO, not virtio 1 (QEMU: -global virtio-mmio.force-legacy=false)", id)
	case version != 2:
		return nil, fmt.Errorf("virtio: MMIO version %d is unknown", version)
	}
	config, err := mmio.Window(r, mmioConfig, r.Len()-mmioConfig)
	return &mmioTransport{r: r, config: config, line: l}, err
}

func (t *mmioTransport) ID() uint32 { return t.r.Read32(mmioDeviceID) }

func (t *mmioTransport) Features() uint64 {
	t.r.Write32(mmioFeaturesSelect, 0)
	low := t.r.Read32(mmioFeatures)
	t.r.Write32(mmioFeaturesSelect, 1)
	return uint64(t.r.Read32(mmioFeatures))<<32 | uint64(low)
}

func (t *mmioTransport) SetFeatures(f uint64) {
	t.r.Write32(mmioAcceptSelect, 0)
	t.r.Write32(mmioAccept, uint32(f))
	t.r.Write32(mmioAcceptSelect, 1)
	t.r.Write32(mmioAccept, uint32(f>>32))
}

func (t *mmioTransport) Status() uint8     { return uint8(t.r.Read32(mmioStatus)) }
func (t *mmioTransport) SetStatus(s uint8) { t.r.Write32(mmioStatus, uint32(s)) }

func (t *mmioTransport) QueueMax(index int) int {
	t.r.Write32(mmioQueueSelect, uint32(index))
	return int(min(t.r.Read32(mmioQueueMax), 1<<15))
}

func (t *mmioTransport) EnableQueue(index int, a QueueAddress, _ int) (func(), error) {
	t.r.Write32(mmioQueueSelect, uint32(index))
	if t.r.Read32(mmioQueueReady) != 0 {
		return nil, fmt.Errorf("is in use already")
	}
	t.r.Write32(mmioQueueSize, uint32(a.Size))
	t.write64(mmioDesc, a.Desc)
	t.write64(mmioAvail, a.Avail)
	t.write64(mmioUsed, a.Used)
	t.r.Write32(mmioQueueReady, 1)
	if t.r.Read32(mmioQueueReady) != 1 {
		return nil, fmt.Errorf("does not become ready")
	}
	return func() { t.r.Write32(mmioNotify, uint32(index)) }, nil
}

func (t *mmioTransport) write64(off int, v uint64) {
	t.r.Write32(off, uint32(v))
	t.r.Write32(off+4, uint32(v>>32))
}

func (t *mmioTransport) Vectors() int { return 1 }

// Bind routes the line as edge-triggered, whatever ACPI says (QEMU: level). The
// device drives the line by its interrupt status, so that each new reason after
// Ack is an edge; with a level the line would have to be masked until then.
func (t *mmioTransport) Bind(_ int, i Interrupt) error {
	return i.Route(t.line.GSI, false, t.line.Low)
}

func (t *mmioTransport) SetConfigVector(int) error { return nil }

// ackRounds bounds how often a device may come up with a new reason.
const ackRounds = 16

// Ack clears the reasons until there are none: only then is the line idle, and
// the next reason an edge.
func (t *mmioTransport) Ack() {
	for range ackRounds {
		s := t.r.Read32(mmioInterrupt)
		if s == 0 {
			return
		}
		t.r.Write32(mmioAck, s)
	}
}

func (t *mmioTransport) Config() mmio.Registers { return t.config }
func (t *mmioTransport) Generation() uint32     { return t.r.Read32(mmioGeneration) }
