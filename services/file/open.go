package file

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/lsm"
)

// How the memory budget is divided. A quarter each goes to Pebble's cache of
// table blocks, to its memtables (two of an eighth), and to our cache of file
// blocks; the rest is for names, inodes and what Pebble needs while it
// compacts.
const (
	// DefaultMemory suits a machine of 256 MB or more.
	DefaultMemory = 64 << 20

	// MinMemory is the least budget that works; less is taken for this.
	MinMemory = 8 << 20

	cacheShare    = 4
	memTableShare = 8
	blockShare    = 4
	memoryPerName = 4 << 10 // one cached name for so many bytes of budget
)

// ErrDamaged says that the database fails its checks.
var ErrDamaged = errors.New("file: the stored files are damaged")

// Open opens or creates the database in dir of the volume, with options
// that keep within the memory budget, and mounts it. Close closes both.
//
// Errors: ErrFormat for files that another version stored, ErrDamaged for damaged
// ones, and those of the volume.
func Open(volume vfs.FS, dir string, o Options) (*FS, error) {
	o.fill()
	o.Memory = max(o.Memory, MinMemory)
	if o.Space == nil {
		o.Space = volumeSpace(volume, dir)
	}
	p := pebbleOptions(volume, o)
	if total, _, err := o.Space(); err == nil && total > 0 {
		lsm.Fit(p, total)
	}
	db, err := pebble.Open(dir, p)
	if err != nil && pebble.IsCorruptionError(err) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("file: open %s: %w", dir, err)
	}
	fs, err := Mount(db, o)
	if err != nil {
		return nil, firstError(err, db.Close())
	}
	fs.owned = db
	return fs, nil
}

// pebbleOptions are small: one compaction at a time, tables of moderate size,
// and no compression, since file data is often compressed already and the
// processor is dearer than the disk.
func pebbleOptions(volume vfs.FS, o Options) *pebble.Options {
	p := &pebble.Options{
		FS:                          volume,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   int64(o.Memory / cacheShare),
		MemTableSize:                uint64(min(max(o.Memory/memTableShare, lsm.MinMemTable), lsm.MaxMemTable)),
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       16,
		MaxOpenFiles:                256,
		// The volume writes in order by itself; a descriptor to sync ranges of
		// does not exist, so each would be a whole flush.
		BytesPerSync: 1 << 30,
		Logger:       logger{o.Log},
	}
	p.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
	for i := range p.Levels {
		p.Levels[i].BlockSize = 8 << 10
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		p.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	return p
}

// volumeSpace asks the volume; one that cannot tell (vfs.NewMem) is endless.
func volumeSpace(volume vfs.FS, dir string) func() (total, free uint64, err error) {
	return func() (total, free uint64, err error) {
		u, err := volume.GetDiskUsage(dir)
		return u.TotalBytes, u.AvailBytes, err
	}
}

// logger passes Pebble's errors on and drops its chatter.
type logger struct {
	log func(format string, args ...any)
}

func (logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) { l.log(format, args...) }

// storageFailure is the panic with which Pebble's fatal errors end, those of
// a commit in FS.guard, others with the program.
type storageFailure string

func (l logger) Fatalf(format string, args ...any) {
	l.log(format, args...)
	panic(storageFailure(fmt.Sprintf(format, args...)))
}
