package virtio

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Slot is where an MMIO device sits, or where one may.
type Slot struct {
	Address uint64 // physical
	Size    int    // bytes of registers
	Line    Line
}

// maxSlot bounds the registers of a slot; QEMU has 512 bytes, Firecracker 4096.
const maxSlot = 1 << 20

// ParseSlot reads the value of the kernel parameter virtio_mmio.device, by which
// QEMU's microvm and Firecracker tell of their devices where there is no ACPI:
//
//	size@address:gsi[:id]    size with an optional suffix K, M or G
//
// The lines are edge-triggered and active high.
func ParseSlot(value string) (Slot, error) {
	size, rest, ok := strings.Cut(value, "@")
	fields := strings.Split(rest, ":")
	if !ok || len(fields) < 2 || len(fields) > 3 {
		return Slot{}, fmt.Errorf("virtio_mmio.device=%q is not of the form size@address:irq[:id]", value)
	}
	n, errSize := parseSize(size)
	address, errAddress := strconv.ParseUint(fields[0], 0, 64)
	gsi, errGSI := strconv.ParseUint(fields[1], 0, 32)
	if errSize != nil || errAddress != nil || errGSI != nil ||
		n < mmioConfig || n > maxSlot || address > math.MaxUint64-n {
		return Slot{}, fmt.Errorf("virtio_mmio.device=%q has a number out of range", value)
	}
	return Slot{Address: address, Size: int(n), Line: Line{GSI: uint32(gsi)}}, nil
}

func parseSize(s string) (uint64, error) {
	shift := 0
	if k := len(s) - 1; k >= 0 {
		if i := strings.IndexByte("KMG", s[k]&^0x20); i >= 0 && s[k] >= 'A' {
			s, shift = s[:k], 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(s, 0, 32)
	return n << shift, err
}

// MMIODevice returns the transport to the device in a slot; ErrNoDevice if the
// slot is empty.
func MMIODevice(m Machine, s Slot) (Transport, error) {
	r, err := m.MapDevice(s.Address, s.Size)
	if err != nil {
		return nil, fmt.Errorf("virtio: slot at %#x: %w", s.Address, err)
	}
	return NewMMIO(r, s.Line)
}
