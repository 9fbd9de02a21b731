package file

import "github.com/tuplix/tuplix/dbms/table"

// InodeRow is a row of os.inodes: a file, directory, symbolic link or device node.
type InodeRow struct {
	Number   uint64 `table:"key"` // the inode number
	Mode     uint32 // type and permission bits, as in stat(2)
	Links    uint32 // names that refer to it; 0: deleted, and still open somewhere
	UID      uint32 // owner
	GID      uint32 // group
	Size     int64  // bytes; of a directory the number of its entries
	Blocks   int64  // pages of 4096 bytes that are stored
	Device   uint64 // of a device node
	Parent   uint64 // of a directory, the inode of its ".."; of others the directory of the only name, 0: they have or had several
	Accessed int64  // time of the last access, nanoseconds since 1970; set by hand only
	Modified int64  // time of the last change of the contents, likewise
	Changed  int64  // time of the last change of anything, likewise
	Born     int64  // time of creation, likewise
	Target   string // of a symbolic link

	Attributes uint32 // number of its extended attributes
}

// EntryRow is a row of os.entries: a name in a directory.
type EntryRow struct {
	Dir   uint64 `table:"key"` // inode of the directory
	Hash  uint64 `table:"key"` // of the name: where a listing goes on
	Name  string `table:"key"` // without a slash
	Inode uint64 // what the name refers to
	Type  uint32 // its type, the S_IFMT bits of the mode
}

// ExtentRow is a row of os.extents: where 64 KiB of a file are. A chunk without a row
// reads as zeros.
type ExtentRow struct {
	Inode  uint64 `table:"key"` // the file
	Chunk  uint64 `table:"key"` // offset in the file, in units of 64 KiB
	Inline []byte // the chunk's data, if that is its first page only, and short
	Pieces []byte // which rows of os.data have its pages, see piece.go
}

// DataRow is a row of os.data: up to 64 KiB of a file's contents. It is never changed,
// and removed when neither the present nor any past that can be read refers to it.
type DataRow struct {
	ID    uint64 `table:"key"` // ascending, up to 2^63 and from there on
	Bytes []byte // the pages, each 4096 bytes but for the last
}

// LoadedRow is a row of os.loaded: data with ids of at least 2^63 is written before the
// transaction that refers to it.
type LoadedRow struct {
	ID   uint64 `table:"key"` // 1
	Next uint64 // of such data, what has this id or a greater one belongs to no file yet
}

// FreedRow is a row of os.freed: data to which nothing refers any longer since the
// transaction that wrote the row.
type FreedRow struct {
	ID   uint64 `table:"key"` // ascending
	Data []byte // ids and sizes of rows of os.data, see freed.go
}

// ShareRow is a row of os.shares: data to which several chunks refer, as copies by
// reference do.
type ShareRow struct {
	Data   uint64 `table:"key"` // the row of os.data
	Chunks uint32 // rows of os.extents that refer to it, at least 2
}

// OrphanRow is a row of os.orphans: an inode without a name, which goes when it is
// closed, or at the next boot.
type OrphanRow struct {
	Inode uint64 `table:"key"` // its number
}

// AttributeRow is a row of os.xattrs: an extended attribute of an inode.
type AttributeRow struct {
	Inode uint64 `table:"key"` // whose
	Name  string `table:"key"` // with its prefix, as in user.mime_type
	Value []byte // any bytes
}

// LockRow is a row of os.locks: an advisory lock that a program holds on a file, or held
// half a second ago.
type LockRow struct {
	Inode     uint64 `table:"key"` // the file
	Kind      string `table:"key"` // "flock"; "posix" of the process, and "ofd" of an open file, on some bytes
	Start     int64  `table:"key"` // its first byte
	Number    uint32 `table:"key"` // from 0 on, of those that are otherwise alike
	End       int64  // behind its last byte; 2^63-1: on all that there may ever be
	Exclusive bool   // for writing: nobody else has one on these bytes
	Program   string // that took it
	Task      string // likewise; "" if that was none
}

// CounterRow is a row of os.files: the numbers that were set aside.
type CounterRow struct {
	ID        uint64 `table:"key"` // 1
	Format    uint32 // version of the meaning of these tables
	NextInode uint64 // inodes from here on have never been used
	NextData  uint64 // ids of data from here on have never been used
	Undo      []byte // version to which the files go back, as a restore in several transactions is under way
}

var (
	inodes     = table.Declare[InodeRow]("os.inodes")
	entries    = table.Declare[EntryRow]("os.entries")
	extents    = table.Declare[ExtentRow]("os.extents")
	data       = table.Declare[DataRow]("os.data")
	loaded     = table.Declare[LoadedRow]("os.loaded")
	freed      = table.Declare[FreedRow]("os.freed")
	shares     = table.Declare[ShareRow]("os.shares")
	orphans    = table.Declare[OrphanRow]("os.orphans")
	attributes = table.Declare[AttributeRow]("os.xattrs")
	locks      = table.Declare[LockRow]("os.locks")
	counters   = table.Declare[CounterRow]("os.files")
)

// tree are the tables that make up the tree of files, which is restored as a whole.
// The counters are not of it: numbers are never used twice. os.loaded is, since what it
// says is up to where the other tables have judged; loaded data has ids by the clock.
var tree = []table.Declared{inodes, entries, extents, data, freed, shares, orphans, attributes, loaded}

// Tables returns the tables of the service.
func Tables() []table.Declared {
	return []table.Declared{inodes, entries, extents, data, freed, shares, orphans, attributes, counters, loaded, locks}
}
