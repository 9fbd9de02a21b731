package blockfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A device, from its first byte to its last:
//
//	0          superblock
//	512 KiB    superblock, the same again
//	1 MiB      metadata area 0  ┐ see area.go
//	           metadata area 1  ┘
//	           data blocks, 4 KiB each, owned by files or free
//	end
//
// The superblock says who the volume is and where things are. It is written by
// Format and never again, so no crash can tear it. Little endian, one sector:
//
//	offset size
//	   0    8   magic "TPXBLKFS"
//	   8    4   version
//	  12    4   features that a reader must know; none are defined
//	  16   16   volume id, random
//	  32    4   sector size when formatted: the unit of journal commits
//	  36    4   block size
//	  40    8   blocks of the device
//	  48    8   first block of area 0
//	  56    8   blocks of an area; area 1 follows area 0
//	  64    8   bytes of an area's journal
//	  72    8   first data block
//	  80    8   data blocks
//	  88   36   zero
//	 124    4   CRC-32C of bytes 0 to 123
const (
	superblockMagic = "TPXBLKFS"
	superblockBytes = 128
)

var (
	// ErrBlank says that the device holds nothing: it may be formatted.
	ErrBlank = errors.New("blockfs: device is blank")
	// ErrForeign says that the device holds something that is not a blockfs
	// volume. It is never formatted unless forced.
	ErrForeign = errors.New("blockfs: device holds foreign data")
	// ErrCorrupt says that metadata of a volume fails its checks.
	ErrCorrupt = errors.New("blockfs: volume is damaged")
	// ErrVersion says that the volume needs a newer version of this package.
	ErrVersion = errors.New("blockfs: volume format is not supported")
	// ErrDevice says that the device's geometry does not suit: it is too small
	// or too large for a volume, or not the one that the volume was made on.
	ErrDevice = errors.New("blockfs: device does not suit")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// superblock is the decoded form; see the map above.
type superblock struct {
	id           [16]byte
	sector       int64
	blocks       uint64
	areaStart    uint64
	areaBlocks   uint64
	journalBytes int64
	dataStart    uint64
	dataBlocks   uint64
}

// layout computes the geometry of a new volume.
func layout(dev Device, id [16]byte) superblock {
	area := min(max(dev.Size()/areaShare, minAreaBytes), maxAreaBytes)
	area = alignDown(area, blockSize)
	journal := alignDown(min(area/journalShare, maxJournalBytes), blockSize)
	sb := superblock{
		id:           id,
		sector:       int64(dev.SectorSize()),
		blocks:       uint64(dev.Size() / blockSize),
		areaStart:    frontBytes / blockSize,
		areaBlocks:   uint64(area / blockSize),
		journalBytes: journal,
	}
	sb.dataStart = sb.areaStart + 2*sb.areaBlocks
	sb.dataBlocks = sb.blocks - sb.dataStart
	return sb
}

// encode gives the superblock padded to one sector of the device.
func (sb *superblock) encode() []byte {
	b := make([]byte, sb.sector)
	le := binary.LittleEndian
	copy(b, superblockMagic)
	le.PutUint32(b[8:], formatVersion)
	copy(b[16:32], sb.id[:])
	le.PutUint32(b[32:], uint32(sb.sector))
	le.PutUint32(b[36:], blockSize)
	le.PutUint64(b[40:], sb.blocks)
	le.PutUint64(b[48:], sb.areaStart)
	le.PutUint64(b[56:], sb.areaBlocks)
	le.PutUint64(b[64:], uint64(sb.journalBytes))
	le.PutUint64(b[72:], sb.dataStart)
	le.PutUint64(b[80:], sb.dataBlocks)
	le.PutUint32(b[124:], checksum(b[:124]))
	return b
}

// decodeSuperblock checks and decodes b, of at least superblockBytes.
func decodeSuperblock(b []byte) (superblock, error) {
	le := binary.LittleEndian
	if len(b) < superblockBytes || string(b[:8]) != superblockMagic {
		return superblock{}, ErrForeign
	}
	if le.Uint32(b[124:]) != checksum(b[:124]) {
		return superblock{}, fmt.Errorf("%w: superblock checksum", ErrCorrupt)
	}
	if v, f := le.Uint32(b[8:]), le.Uint32(b[12:]); v != formatVersion || f != 0 {
		return superblock{}, fmt.Errorf("%w: version %d, features %#x; this build reads version %d", ErrVersion, v, f, formatVersion)
	}
	sb := superblock{
		sector:       int64(le.Uint32(b[32:])),
		blocks:       le.Uint64(b[40:]),
		areaStart:    le.Uint64(b[48:]),
		areaBlocks:   le.Uint64(b[56:]),
		journalBytes: int64(le.Uint64(b[64:])),
		dataStart:    le.Uint64(b[72:]),
		dataBlocks:   le.Uint64(b[80:]),
	}
	copy(sb.id[:], b[16:32])
	if le.Uint32(b[36:]) != blockSize || !sb.sane() {
		return superblock{}, fmt.Errorf("%w: superblock geometry", ErrCorrupt)
	}
	return sb, nil
}

// sane tells whether the parts lie within the device, in order and large enough.
func (sb *superblock) sane() bool {
	area := int64(sb.areaBlocks) * blockSize
	return sb.sector >= minSector && sb.sector <= maxSector && sb.sector&(sb.sector-1) == 0 &&
		sb.blocks <= maxDeviceBlocks && sb.areaStart == frontBytes/blockSize &&
		sb.areaBlocks >= minAreaBytes/blockSize && sb.areaBlocks <= maxAreaBytes/blockSize &&
		sb.journalBytes >= 2*sb.sector && sb.journalBytes <= area/2 && sb.journalBytes%blockSize == 0 &&
		sb.dataStart == sb.areaStart+2*sb.areaBlocks &&
		sb.dataStart < sb.blocks && sb.dataBlocks == sb.blocks-sb.dataStart
}

// fits checks the volume against the device it was found on.
func (sb *superblock) fits(dev Device) error {
	if have := uint64(dev.Size() / blockSize); have < sb.blocks {
		return fmt.Errorf("%w: the volume has %d bytes, the device %d: it has shrunk", ErrDevice, sb.blocks*blockSize, dev.Size())
	}
	if int64(dev.SectorSize()) > sb.sector {
		return fmt.Errorf("%w: the volume was made for sectors of %d bytes, the device has %d", ErrDevice, sb.sector, dev.SectorSize())
	}
	return nil
}

// readSuperblock finds a good copy. Where there is none it tells apart blank,
// foreign, damaged and unreadable.
func readSuperblock(dev Device) (superblock, error) {
	if err := checkDevice(dev); err != nil {
		return superblock{}, err
	}
	var errs [2]error
	for i, off := range []int64{0, superblockCopy} {
		b := make([]byte, dev.SectorSize())
		if errs[i] = readDevice(dev, b, off); errs[i] != nil {
			continue
		}
		sb, err := decodeSuperblock(b)
		if err == nil {
			return sb, sb.fits(dev)
		}
		errs[i] = err
	}
	for _, err := range errs {
		if !errors.Is(err, ErrForeign) {
			return superblock{}, err
		}
	}
	return superblock{}, probe(dev)
}

// probe returns ErrBlank or ErrForeign for a device without a superblock.
func probe(dev Device) error {
	for _, off := range []int64{0, alignDown(dev.Size()-probeBytes, int64(dev.SectorSize()))} {
		at, err := firstNonZero(dev, off, probeBytes)
		if err != nil {
			return err
		}
		if at >= 0 {
			return fmt.Errorf("%w (first at byte %d)", ErrForeign, at)
		}
	}
	return ErrBlank
}

// firstNonZero gives the offset of the first byte that is not zero, or -1.
func firstNonZero(dev Device, off, n int64) (int64, error) {
	buf := make([]byte, directBytes)
	for end := off + n; off < end; off += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), end-off)]
		if err := readDevice(dev, buf, off); err != nil {
			return 0, err
		}
		for i, c := range buf {
			if c != 0 {
				return off + int64(i), nil
			}
		}
	}
	return -1, nil
}
