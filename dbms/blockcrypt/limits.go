package blockcrypt

// All limits on one page. What is "format" is fixed by version 1 of the layout.
const (
	// formatVersion is the layout that this package writes and reads.
	formatVersion = 1

	// unitBytes is what one tweak of XTS covers (format). It is the smallest
	// sector, so that the data can move to a disk with other sectors.
	unitBytes = 512
	// maxSector bounds the disk's sectors (format): a header is a whole number.
	maxSector = headerBytes

	// headerCopy is the byte offset of the second header, dataStart that of the
	// data (format).
	headerCopy = 512 << 10
	dataStart  = 1 << 20
	// probeBytes at the start and at the end must be zero for a device to count
	// as blank, as for blockfs.
	probeBytes = 1 << 20

	// minDeviceBytes is the smallest device that Format accepts.
	minDeviceBytes = dataStart + 4<<20
	// maxDeviceBytes keeps to IEEE 1619-2018: at most 2^44 blocks of 16 bytes
	// under one key.
	maxDeviceBytes = 1 << 48

	// MaxSlots is how many keys may open one device (format).
	MaxSlots = 8
	// MaxSecret bounds a passphrase or key file in bytes. It fits into a pipe.
	MaxSecret = 32 << 10

	// Bounds of what a header may ask for. A hostile one costs at most this for
	// each slot.
	maxPasses    = 16
	maxMemoryKiB = 1 << 20
	minMemoryKiB = 8 << 10
	maxLanes     = 8

	// transferBytes is how much is encrypted before it is handed on (policy):
	// blockfs writes a log's commit of up to this size at once.
	transferBytes = 128 << 10
)

// DefaultCost is what deriving a key costs unless told otherwise: RFC 9106's
// second recommendation, on one processor.
var DefaultCost = Cost{Passes: 3, MemoryKiB: 64 << 10, Lanes: 1}

// The relations the code relies on; a violation does not compile.
const (
	_ = uint(headerCopy - headerBytes)
	_ = uint(dataStart - headerCopy - headerBytes)
	_ = uint(headerBytes - 4 - slotsStart - MaxSlots*slotBytes)
	_ = uint(minDeviceBytes - 2*probeBytes)
	_ = uint(0 - transferBytes%maxSector)
	_ = uint(0 - maxSector%unitBytes)
)
