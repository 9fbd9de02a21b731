package net

import (
	"encoding/binary"
	"fmt"
	"syscall"
)

// Features (virtio 1.2, 5.1.3).
const (
	featureChecksum      = 1 << 0  // takes frames without checksum
	featureGuestChecksum = 1 << 1  // may deliver frames without checksum
	featureMTU           = 1 << 3  // says the MTU
	featureMAC           = 1 << 5  // has an address
	featureGuestTSO4     = 1 << 7  // may deliver joined TCP segments
	featureGuestTSO6     = 1 << 8  //
	featureHostTSO4      = 1 << 11 // cuts TCP segments
	featureHostTSO6      = 1 << 12 //
	featureMergeable     = 1 << 15 // joins receive buffers
	featureStatus        = 1 << 16 // says whether the link is up
)

// The configuration (virtio 1.2, 5.1.4).
const (
	configMAC    = 0  // 6 bytes
	configStatus = 6  // u16, bit 0: link is up
	configMTU    = 10 // u16

	linkUp = 1
)

// Flags of a Header.
const (
	FlagNeedsChecksum = 1 // the checksum from ChecksumStart on is to be put at ChecksumStart+ChecksumOffset
	FlagDataValid     = 2 // received: the checksum is known to be good
)

// GSO types of a Header.
const (
	GSONone  = 0
	GSOTCPv4 = 1
	GSOTCPv6 = 4
)

// Header goes before each frame (virtio 1.2, 5.1.6), little-endian:
//
//	0 flags u8   2 header length u16   6 checksum start u16    10 buffers u16
//	1 GSO   u8   4 GSO size u16        8 checksum offset u16
//
// The header length is the length of all headers of a frame to be cut, GSOSize
// the payload of each segment.
type Header struct {
	Flags, GSOType                                    uint8
	HeaderLen, GSOSize, ChecksumStart, ChecksumOffset uint16
}

const headerSize = 12

func (h Header) put(b []byte) {
	b[0], b[1] = h.Flags, h.GSOType
	binary.LittleEndian.PutUint16(b[2:], h.HeaderLen)
	binary.LittleEndian.PutUint16(b[4:], h.GSOSize)
	binary.LittleEndian.PutUint16(b[6:], h.ChecksumStart)
	binary.LittleEndian.PutUint16(b[8:], h.ChecksumOffset)
	binary.LittleEndian.PutUint16(b[10:], 0)
}

// parseHeader decodes the headerSize bytes at b, and the number of buffers.
func parseHeader(b []byte) (h Header, buffers int) {
	h = Header{
		Flags:          b[0],
		GSOType:        b[1],
		HeaderLen:      binary.LittleEndian.Uint16(b[2:]),
		GSOSize:        binary.LittleEndian.Uint16(b[4:]),
		ChecksumStart:  binary.LittleEndian.Uint16(b[6:]),
		ChecksumOffset: binary.LittleEndian.Uint16(b[8:]),
	}
	return h, int(binary.LittleEndian.Uint16(b[10:]))
}

// check reports what of h does not fit a frame of size bytes or the offloads
// that were agreed on.
func (h Header) check(size int, checksum, tso4, tso6 bool) error {
	if h.Flags&FlagNeedsChecksum != 0 {
		if !checksum {
			return fmt.Errorf("checksum offload is not agreed on: %w", syscall.EINVAL)
		}
		if int(h.ChecksumStart)+int(h.ChecksumOffset)+2 > size {
			return fmt.Errorf("checksum at %d+%d of a frame of %d: %w", h.ChecksumStart, h.ChecksumOffset, size, syscall.EINVAL)
		}
	}
	switch {
	case h.GSOType == GSONone:
		return nil
	case h.GSOType == GSOTCPv4 && tso4, h.GSOType == GSOTCPv6 && tso6:
		if h.GSOSize == 0 || h.Flags&FlagNeedsChecksum == 0 {
			return fmt.Errorf("GSO without size or checksum: %w", syscall.EINVAL)
		}
		return nil
	}
	return fmt.Errorf("GSO type %d is not agreed on: %w", h.GSOType, syscall.EINVAL)
}
