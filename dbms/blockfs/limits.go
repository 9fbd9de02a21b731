package blockfs

// All limits of the format on one page. What is "format" is fixed by version 1
// of the layout; what is "policy" may change between two builds.
const (
	// formatVersion is the layout this package writes and reads.
	formatVersion = 1

	// blockSize is the unit of allocation in bytes (format).
	blockSize = 4096
	// minSector and maxSector bound a device's sector size in bytes (format):
	// headers fit into the smallest, blocks hold a whole number of the largest.
	minSector = 512
	maxSector = blockSize

	// superblockCopy is the byte offset of the second superblock (format).
	superblockCopy = 512 << 10
	// frontBytes is reserved at the start for superblocks and, on a device that
	// is not ours, for whatever else announces itself there (format).
	frontBytes = 1 << 20
	// probeBytes at the start and at the end must be zero for a device to count
	// as blank. Partition tables, ext4, XFS, btrfs, LUKS, LVM and RAID put their
	// marks in there, at one end or the other.
	probeBytes = 1 << 20

	// minDeviceBytes is the smallest device that Format accepts.
	minDeviceBytes = 4 << 20
	// maxDeviceBlocks keeps byte offsets well inside an int64.
	maxDeviceBlocks = 1 << 48

	// Metadata areas: each is deviceSize/areaShare, within these bounds (format
	// time policy; the result is in the superblock).
	areaShare    = 256
	minAreaBytes = 256 << 10
	maxAreaBytes = 64 << 20
	// The journal takes areaBytes/journalShare, at most maxJournalBytes.
	journalShare    = 4
	maxJournalBytes = 1 << 20

	// imageReserve bytes of the image are kept from creating files, so that a
	// volume full of metadata can still rename, and record a file's growth.
	imageReserve = 8 << 10

	// maxName is the longest file name in bytes (format).
	maxName = 255
	// maxExtents bounds the extents of one file (format): a record that claims
	// more is damaged.
	maxExtents = 1 << 24
	// maxFileSize bounds a file in bytes (format).
	maxFileSize = maxDeviceBlocks * blockSize

	// bufferBytes is how much of a file being written is gathered before it goes
	// to the device (policy). A group commit of Pebble's WAL up to this size is
	// one device write.
	bufferBytes = 128 << 10
	// directBytes is the length from which a write or read goes to the device
	// straight from the caller's memory (policy).
	directBytes = 64 << 10

	// aheadBytes is how much a handle opened for sequential reading reads at once
	// (policy).
	aheadBytes = 128 << 10
	// maxFetches is how many stretches may be announced at a time, each with memory of
	// aheadBytes, and maxFetch how long one may be in bytes (policy).
	maxFetches = 4
	maxFetch   = 1 << 20

	// A growing file takes as much again as it has, within these bounds (policy).
	maxGrowth = 1 << 20
	// A log takes at least this much at a time: it is zeroed before use.
	minLogGrowth = 256 << 10

	// maxBatchBytes of uncommitted records make the next change commit (policy):
	// it bounds memory when nobody syncs.
	maxBatchBytes = 256 << 10
)

// The relations the code relies on; a violation does not compile.
const (
	_ = uint(superblockCopy - blockSize)
	_ = uint(frontBytes - superblockCopy - blockSize)
	_ = uint(minDeviceBytes - frontBytes - 2*minAreaBytes - 256*blockSize)
	_ = uint(minAreaBytes/journalShare - 2*maxSector)
	_ = uint(bufferBytes - directBytes)
	_ = uint(0 - bufferBytes%maxSector)
	_ = uint(minSector - superblockBytes)
	_ = uint(minSector - areaHeaderBytes)
	_ = uint(minSector - commitHeaderBytes)
)
