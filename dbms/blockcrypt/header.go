package blockcrypt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A header, 4096 bytes, little endian:
//
//	offset size
//	   0    8   magic "TPXCRYPT"               ┐
//	   8    4   version                        │
//	  12    4   features that a reader must    │
//	            know; none are defined         │ fixed: each slot authenticates
//	  16   16   id, random                     │ these 64 bytes
//	  32    4   cipher: 1 is AES-256-XTS over  │
//	            units of 512 bytes             │
//	  36    4   number of slots, 8             │
//	  40    8   byte offset of the data        │
//	  48   16   zero                           ┘
//	  64    8   sequence: 1 at first, one more with each change of the keys; of
//	            two good copies the higher counts
//	  72   56   zero
//	 128 1536   eight slots of 192 bytes, see slot.go
//	1664 2428   zero
//	4092    4   CRC-32C of bytes 0 to 4091
//
// The checksum is against accidents. Against who changes a header on purpose each
// slot is for itself: see slot.go.
const (
	headerMagic = "TPXCRYPT"
	headerBytes = 4096
	fixedBytes  = 64
	slotsStart  = 128
	slotBytes   = 192

	cipherXTS = 1
)

var (
	// ErrPlain says that the device is not encrypted.
	ErrPlain = errors.New("blockcrypt: the device is not encrypted")
	// ErrCorrupt says that the device is encrypted and no copy of the header is
	// whole.
	ErrCorrupt = errors.New("blockcrypt: the header of the encrypted device is damaged")
	// ErrVersion says that the device needs a newer version of this package.
	ErrVersion = errors.New("blockcrypt: the format of the encrypted device is not supported")
	// ErrDevice says that the device's geometry does not suit.
	ErrDevice = errors.New("blockcrypt: device does not suit")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

var le = binary.LittleEndian

// header is the decoded form; see the map above.
type header struct {
	id       [16]byte
	sequence uint64
	slots    [MaxSlots]slot
}

// fixed encodes what never changes.
func (h *header) fixed() []byte {
	b := make([]byte, fixedBytes)
	copy(b, headerMagic)
	le.PutUint32(b[8:], formatVersion)
	copy(b[16:32], h.id[:])
	le.PutUint32(b[32:], cipherXTS)
	le.PutUint32(b[36:], MaxSlots)
	le.PutUint64(b[40:], dataStart)
	return b
}

func (h *header) encode() []byte {
	b := make([]byte, headerBytes)
	copy(b, h.fixed())
	le.PutUint64(b[64:], h.sequence)
	for i := range h.slots {
		h.slots[i].encode(b[slotsStart+i*slotBytes:])
	}
	le.PutUint32(b[headerBytes-4:], checksum(b[:headerBytes-4]))
	return b
}

// hasMagic tells whether b begins as a header does.
func hasMagic(b []byte) bool {
	return len(b) >= len(headerMagic) && string(b[:len(headerMagic)]) == headerMagic
}

// decodeHeader checks and decodes b.
func decodeHeader(b []byte) (*header, error) {
	if len(b) < headerBytes || !hasMagic(b) {
		return nil, ErrPlain
	}
	b = b[:headerBytes]
	if le.Uint32(b[headerBytes-4:]) != checksum(b[:headerBytes-4]) {
		return nil, fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	if v, f, c := le.Uint32(b[8:]), le.Uint32(b[12:]), le.Uint32(b[32:]); v != formatVersion || f != 0 || c != cipherXTS {
		return nil, fmt.Errorf("%w: version %d, features %#x, cipher %d; this build reads version %d", ErrVersion, v, f, c, formatVersion)
	}
	h := &header{sequence: le.Uint64(b[64:])}
	copy(h.id[:], b[16:32])
	if string(b[:fixedBytes]) != string(h.fixed()) || h.sequence == 0 {
		return nil, fmt.Errorf("%w: geometry", ErrCorrupt)
	}
	for i := range h.slots {
		if err := h.slots[i].decode(b[slotsStart+i*slotBytes:][:slotBytes]); err != nil {
			return nil, fmt.Errorf("%w: slot %d: %w", ErrCorrupt, i, err)
		}
	}
	return h, nil
}

// offsets are where the copies lie.
var offsets = [2]int64{0, headerCopy}

// copies is what a device holds in place of the two headers.
type copies struct {
	header *header // the one that counts
	at     int     // its index in offsets
	agree  bool    // the other one is the same
}

// readCopies finds the header that counts. It writes nothing.
func readCopies(dev BlockDevice) (*copies, error) {
	if err := checkDevice(dev); err != nil {
		return nil, err
	}
	var found [2]*header
	var errs [2]error
	var raw [2][headerBytes]byte
	for i, off := range offsets {
		if errs[i] = readFull(dev, raw[i][:], off); errs[i] == nil {
			found[i], errs[i] = decodeHeader(raw[i][:])
		}
	}
	c := &copies{agree: raw[0] == raw[1]}
	switch {
	case found[0] == nil && found[1] == nil:
		return nil, worse(errs[0], errs[1])
	case found[0] == nil, found[1] != nil && found[1].sequence > found[0].sequence:
		c.at = 1
	}
	c.header = found[c.at]
	return c, nil
}

// worse picks what to say when neither copy is good: that there is none only if
// both say so.
func worse(a, b error) error {
	if errors.Is(a, ErrPlain) {
		return b
	}
	return a
}

// store makes h the header. It writes the copy that does not count first, so that
// a whole one is there at any moment.
func (c *copies) store(dev BlockDevice, h *header) error {
	b := h.encode()
	for range 2 {
		i := 1 - c.at
		if err := writeFull(dev, b, offsets[i]); err != nil {
			return err
		}
		if err := dev.Flush(); err != nil {
			return fmt.Errorf("blockcrypt: header: %w", err)
		}
		c.header, c.at = h, i
	}
	c.agree = true
	return nil
}
