package blk

import "encoding/binary"

// Features (virtio 1.2, 5.2.3).
const (
	featureSizeMax     = 1 << 1
	featureSegMax      = 1 << 2
	featureReadOnly    = 1 << 5
	featureBlockSize   = 1 << 6
	featureFlush       = 1 << 9
	featureTopology    = 1 << 10
	featureDiscard     = 1 << 13
	featureWriteZeroes = 1 << 14

	wanted = featureSizeMax | featureSegMax | featureReadOnly | featureBlockSize |
		featureFlush | featureTopology | featureDiscard | featureWriteZeroes
)

// The configuration (virtio 1.2, 5.2.4), as far as it is used.
const (
	configCapacity     = 0  // u64, units of 512
	configSizeMax      = 8  // u32, bytes of a piece
	configSegMax       = 12 // u32, pieces of the data
	configBlockSize    = 20 // u32
	configPhysicalExp  = 24 // u8, blocks per physical block, as a power of two
	configDiscardMax   = 36 // u32, units of 512
	configWriteZeroMax = 48 // u32, units of 512
)

// Types and results of requests (virtio 1.2, 5.2.6).
const (
	typeIn          = 0
	typeOut         = 1
	typeFlush       = 4
	typeGetID       = 8
	typeDiscard     = 11
	typeWriteZeroes = 13

	statusOK          = 0
	statusIOError     = 1
	statusUnsupported = 2
	statusNone        = 0xff // not the device's: it has not answered
)

const (
	unit   = 512 // bytes that sector numbers count
	idSize = 20
)

// A request is a header, the data, and a byte of status that the device writes:
//
//	0 type u32   4 reserved u32   8 sector u64 | data | status u8
const headerSize = 16

func putHeader(b *[headerSize]byte, kind uint32, off int64) {
	binary.LittleEndian.PutUint32(b[0:], kind)
	binary.LittleEndian.PutUint32(b[4:], 0)
	binary.LittleEndian.PutUint64(b[8:], uint64(off)/unit)
}

// The data of a discard or write-zeroes request:
//
//	0 sector u64   8 count u32, units of 512   12 flags u32, bit 0: unmap
//
// The flag is left clear: zeroes keep their space on the host, and a later write
// to them cannot fail for want of it.
const rangeSize = 16

func newRange(off, n int64) []byte {
	b := make([]byte, rangeSize)
	binary.LittleEndian.PutUint64(b[0:], uint64(off)/unit)
	binary.LittleEndian.PutUint32(b[8:], uint32(n/unit))
	return b
}
