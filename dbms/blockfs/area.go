package blockfs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A metadata area holds the whole metadata of the volume: an image as of some
// moment and the journal of changes since.
//
//	┌────────┬──────────────────┬───────────────────────────────┬────────┐
//	│ header │ journal          │ image                         │ header │
//	│ 1 block│ journalBytes     │ the rest                      │ 1 block│
//	└────────┴──────────────────┴───────────────────────────────┴────────┘
//
// There are two areas and one is current. A checkpoint writes a new image into
// the other one, flushes, writes that area's headers with the next generation,
// flushes, and marks the old area's headers as retired:
//
//	area 0             area 1
//	active  g          retired g-1     journal of g grows
//	active  g          (new image)     crash here: g and its journal count
//	active  g          active  g+1     crash here: g+1 counts, the higher one
//	retired g          active  g+1     journal of g+1 grows
//
// The mark is what keeps bad luck from turning into time travel: were both
// headers of g+1 to rot, the volume is refused instead of served as of g.
//
// Header, little endian, one sector, in two copies:
//
//	offset size
//	   0    8   magic "TPXAREA1"
//	   8   16   volume id
//	  24    8   generation
//	  32    4   state: 1 active, 2 retired
//	  36    4   CRC-32C of the image
//	  40    8   image length in bytes
//	  48   12   zero
//	  60    4   CRC-32C of bytes 0 to 59
const (
	areaMagic       = "TPXAREA1"
	areaHeaderBytes = 64

	areaActive  = 1
	areaRetired = 2
)

// areaHeader is the decoded form; see the map above.
type areaHeader struct {
	generation uint64
	state      uint32
	imageSum   uint32
	imageBytes int64
}

func (sb *superblock) encodeAreaHeader(h areaHeader) []byte {
	b := make([]byte, sb.sector)
	le := binary.LittleEndian
	copy(b, areaMagic)
	copy(b[8:24], sb.id[:])
	le.PutUint64(b[24:], h.generation)
	le.PutUint32(b[32:], h.state)
	le.PutUint32(b[36:], h.imageSum)
	le.PutUint64(b[40:], uint64(h.imageBytes))
	le.PutUint32(b[60:], checksum(b[:60]))
	return b
}

func (sb *superblock) decodeAreaHeader(b []byte) (areaHeader, error) {
	le := binary.LittleEndian
	if len(b) < areaHeaderBytes || string(b[:8]) != areaMagic || [16]byte(b[8:24]) != sb.id ||
		le.Uint32(b[60:]) != checksum(b[:60]) {
		return areaHeader{}, fmt.Errorf("%w: area header", ErrCorrupt)
	}
	h := areaHeader{
		generation: le.Uint64(b[24:]),
		state:      le.Uint32(b[32:]),
		imageSum:   le.Uint32(b[36:]),
		imageBytes: int64(le.Uint64(b[40:])),
	}
	if h.state != areaActive && h.state != areaRetired || h.imageBytes < 0 || h.imageBytes > sb.imageCapacity() {
		return areaHeader{}, fmt.Errorf("%w: area header fields", ErrCorrupt)
	}
	return h, nil
}

// Byte offsets of the parts of area i.

func (sb *superblock) areaOffset(i int) int64 {
	return int64(sb.areaStart+uint64(i)*sb.areaBlocks) * blockSize
}

func (sb *superblock) journalOffset(i int) int64 { return sb.areaOffset(i) + blockSize }

func (sb *superblock) imageOffset(i int) int64 { return sb.journalOffset(i) + sb.journalBytes }

func (sb *superblock) imageCapacity() int64 {
	return int64(sb.areaBlocks)*blockSize - 2*blockSize - sb.journalBytes
}

func (sb *superblock) headerOffsets(i int) [2]int64 {
	return [2]int64{sb.areaOffset(i), sb.areaOffset(i+1) - blockSize}
}

// writeAreaHeader writes both copies. The caller flushes.
func (sb *superblock) writeAreaHeader(dev Device, i int, h areaHeader) error {
	b := sb.encodeAreaHeader(h)
	var errs [2]error
	for c, off := range sb.headerOffsets(i) {
		errs[c] = writeDevice(dev, b, off)
	}
	return errors.Join(errs[:]...)
}

// readAreaHeader returns the newest good copy, and whether both agree.
func (sb *superblock) readAreaHeader(dev Device, i int) (h areaHeader, agree bool, err error) {
	var copies [2]areaHeader
	var errs [2]error
	for c, off := range sb.headerOffsets(i) {
		b := make([]byte, sb.sector)
		if errs[c] = readDevice(dev, b, off); errs[c] == nil {
			copies[c], errs[c] = sb.decodeAreaHeader(b)
		}
	}
	switch {
	case errs[0] != nil && errs[1] != nil:
		return areaHeader{}, false, errors.Join(errs[:]...)
	case errs[0] != nil:
		return copies[1], false, nil
	case errs[1] != nil:
		return copies[0], false, nil
	}
	if copies[1].newer(copies[0]) {
		return copies[1], false, nil
	}
	return copies[0], copies[0] == copies[1], nil
}

// newer orders two headers of one area: by generation, and retired after active.
func (h areaHeader) newer(than areaHeader) bool {
	if h.generation != than.generation {
		return h.generation > than.generation
	}
	return h.state > than.state
}

// currentArea picks the area that counts: the active one of highest generation.
func (sb *superblock) currentArea(dev Device) (int, areaHeader, error) {
	best, found := -1, areaHeader{}
	var errs []error
	for i := range 2 {
		h, _, err := sb.readAreaHeader(dev, i)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return 0, areaHeader{}, err // unreadable may be the newer one
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("area %d: %w", i, err))
			continue
		}
		if h.state == areaActive && (best < 0 || h.generation > found.generation) {
			best, found = i, h
		}
	}
	if best < 0 {
		return 0, areaHeader{}, errors.Join(append(errs, fmt.Errorf("%w: no current metadata area", ErrCorrupt))...)
	}
	return best, found, nil
}

// readImage reads and verifies the image of area i.
func (sb *superblock) readImage(dev Device, i int, h areaHeader) ([]byte, error) {
	b := make([]byte, alignUp(h.imageBytes, sb.sector))
	if err := readDevice(dev, b, sb.imageOffset(i)); err != nil {
		return nil, err
	}
	if b = b[:h.imageBytes]; checksum(b) != h.imageSum {
		return nil, fmt.Errorf("%w: image checksum in area %d", ErrCorrupt, i)
	}
	return b, nil
}
