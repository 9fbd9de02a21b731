package file

import "github.com/tuplix/tuplix/dbms/lsm"

const (
	// BlockSize is the unit in which data is stored, in bytes; a file's last
	// block is as short as its data. Part of the format. A few bytes changed
	// cost a whole block in the log: against 16 KiB, this takes a third less
	// processor time for writes of 4 KiB, a fifth less for small appends, and
	// a tenth more for writes of 64 KiB and above (BenchmarkWrite).
	BlockSize = 4 << 10

	// MaxSize is the largest size of a file, in bytes.
	MaxSize = 1 << 62

	// MaxLinks is the greatest link count of an inode.
	MaxLinks = 1 << 30

	// maxBatch is how many bytes of a file one change writes at most.
	maxBatch = 64 * BlockSize

	// bulk is the size in bytes from which a read or write passes the blocks
	// cache by, which it would only flush.
	bulk = 32 << 10

	// pointDeletes is how many blocks are deleted one by one; where more may
	// lie one range deletion is cheaper, though each burdens all later reads
	// until it is compacted away.
	pointDeletes = 64

	rootNumber = 1
)

// A batch must stay a small part of the smallest memtable (lsm.MinMemTable).
const _ = uint(lsm.MinMemTable/2 - maxBatch)

// Blocks must fill a batch evenly, and their numbers and sizes fit.
const _ = uint(maxBatch/BlockSize - 1)
