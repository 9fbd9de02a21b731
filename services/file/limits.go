package file

import "github.com/tuplix/tuplix/dbms/engine"

const (
	// BlockSize is the unit in which data is cached, changed and counted, in bytes: a
	// page. A file's last page is as short as its data. Part of the format.
	BlockSize = 4 << 10

	// chunkPages is how many pages one row of os.extents speaks of, and one row of
	// os.data holds at most. Part of the format.
	chunkPages = 16
	chunkSize  = chunkPages * BlockSize

	// MaxName is the longest name of a directory entry, in bytes.
	MaxName = 255

	// MaxTarget is the longest target of a symbolic link, in bytes.
	MaxTarget = 4095

	// MaxSize is the largest size of a file, in bytes.
	MaxSize = 1 << 62

	// MaxLinks is the greatest link count of an inode.
	MaxLinks = 1 << 30

	// maxStep is how many bytes of a file one change writes at most.
	maxStep = 256 << 10

	// bulk is the size in bytes from which a read or write passes the pages
	// cache by, which it would only flush.
	bulk = 32 << 10

	// maxCut is how many chunks one change removes at most, so that a transaction
	// has room for them.
	maxCut = engine.MaxWrites / 8

	rootNumber = 1
)

// A chunk must fit in a value with its row's header, and changes begin in chunks.
const (
	_ = uint(engine.DefaultMaxValue - 2*chunkSize)
	_ = uint(maxStep/chunkSize - 1)
)
