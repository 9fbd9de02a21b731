package file

const (
	// BlockSize is the unit in which data is stored, in bytes; a file's last
	// block is as short as its data. Part of the format. 16 KiB was the best
	// compromise measured between long sequential transfers and the cost of
	// rewriting a block for a few bytes; BenchmarkWrite shows it.
	BlockSize = 16 << 10

	// MaxSize is the largest size of a file, in bytes.
	MaxSize = 1 << 62

	// MaxLinks is the greatest link count of an inode.
	MaxLinks = 1 << 30

	// maxBatch is how many bytes of a file one change writes at most.
	maxBatch = 16 * BlockSize

	// pointDeletes is how many blocks are deleted one by one; where more may
	// lie one range deletion is cheaper, though each burdens all later reads
	// until it is compacted away.
	pointDeletes = 64

	rootNumber = 1
)

// A batch must stay a small part of the smallest memtable (minMemTable).
const _ = uint(minMemTable/2 - maxBatch)

// Blocks must fill a batch evenly, and their numbers and sizes fit.
const _ = uint(maxBatch/BlockSize - 1)
