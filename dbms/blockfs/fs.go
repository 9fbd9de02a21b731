package blockfs

import (
	"errors"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say how to use a volume.
type Options struct {
	// FormatBlank makes a volume where the device is blank. A device that holds
	// anything is never formatted by Open.
	FormatBlank bool
	// NoDiscard keeps from telling the device of blocks that are free.
	NoDiscard bool

	// inline discards on the goroutine that commits: tests replay the same
	// device operations from the same seed.
	inline bool
}

// FS is an open volume. It implements vfs.FS; all methods may be called
// concurrently. Only one FS may use a device at a time.
type FS struct {
	dev     Device
	opts    Options
	sb      superblock
	sector  int64 // of the device: the unit of writing data
	alloc   allocator
	barrier *barrier
	fetches fetches

	mu            sync.Mutex // see inode for the order of locks
	changed       sync.Cond  // committing, committed, reclaiming or discards changed
	closed        bool
	tree          *tree
	batch         []byte // records since the last commit
	dataPending   bool   // some of them tell of data that needs a flush first
	op            uint64 // number of the last change
	committed     uint64 // number of the last durable change
	committing    bool
	pos           journalPosition // of the committing goroutine
	journalLost   bool            // the next commit is a checkpoint
	frees         []pendingFree   // in order of op
	discards      []extent
	reclaiming    bool
	discardErrors uint64
}

var _ vfs.FS = (*FS)(nil)

// Open loads the volume on dev, verifies its metadata and makes a checkpoint, so
// that nothing is ever appended to a journal that a crash may have torn.
//
// Errors: ErrBlank and ErrForeign where there is no volume, ErrVersion for one of
// a newer format, ErrCorrupt for a damaged one, ErrDevice for a device that does not
// suit; none of these has changed the device. And those of the device.
func Open(dev Device, opts Options) (*FS, error) {
	v, err := loadVolume(dev)
	if errors.Is(err, ErrBlank) && opts.FormatBlank {
		if err = Format(dev, FormatOptions{}); err == nil {
			v, err = loadVolume(dev)
		}
	}
	if err != nil {
		return nil, err
	}
	fs := &FS{dev: dev, opts: opts, sb: v.sb, sector: int64(dev.SectorSize()), barrier: newBarrier(dev), tree: v.tree, pos: v.pos}
	fs.changed.L = &fs.mu
	fs.alloc.free = v.free
	for _, e := range v.free {
		fs.alloc.left += e.count
	}
	if err := fs.writeCheckpoint(fs.tree.image()); err != nil {
		return nil, err
	}
	return fs, nil
}

// Sync makes everything durable: all files, as they are now, and all names.
func (fs *FS) Sync() error {
	fs.mu.Lock()
	files := make([]*file, 0, len(fs.tree.inodes))
	for _, in := range fs.tree.inodes {
		if !in.isDir() {
			files = append(files, fs.newFile(in, "", false)) // not freed meanwhile
		}
	}
	fs.mu.Unlock()
	var errs []error
	for _, f := range files {
		_, err := fs.flushOut(f.in, false)
		errs = append(errs, err, f.Close())
	}
	fs.mu.Lock()
	op := fs.op
	fs.mu.Unlock()
	return errors.Join(append(errs, fs.commit(op), fs.barrier.flush())...)
}

// Close makes everything durable and ends the use of the volume; the device
// stays open. Files still open are of no more use.
func (fs *FS) Close() error {
	err := fs.Sync()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.closed = true
	for fs.reclaiming || fs.committing {
		fs.changed.Wait()
	}
	return err
}

// usable refuses the use of a closed or failed volume for changes; fs.mu is held.
func (fs *FS) usable() error {
	if fs.closed {
		return os.ErrClosed
	}
	return fs.barrier.failed()
}

// Statistics tells what a volume does besides serving files.
type Statistics struct {
	Generation    uint64 // of the current metadata area: checkpoints since Format
	MetadataBytes int64  // of the image, an upper bound
	MetadataLimit int64  // what the image may grow to
	FreeExtents   int    // holes between files
	DiscardErrors uint64 // discards that the device refused
}

// Statistics returns a consistent set of figures.
func (fs *FS) Statistics() Statistics {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for fs.committing {
		fs.changed.Wait()
	}
	fs.alloc.mu.Lock()
	defer fs.alloc.mu.Unlock()
	return Statistics{fs.pos.generation, fs.tree.imageBytes, fs.sb.imageCapacity(), len(fs.alloc.free), fs.discardErrors}
}

// GetDiskUsage implements vfs.FS. Blocks of deleted files count as available.
func (fs *FS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	fs.mu.Lock()
	free := fs.alloc.available()
	for _, e := range fs.discards {
		free += e.count
	}
	for _, f := range fs.frees {
		for _, e := range f.extents {
			free += e.count
		}
	}
	fs.mu.Unlock()
	total := fs.sb.dataBlocks * blockSize
	return vfs.DiskUsage{AvailBytes: free * blockSize, TotalBytes: total, UsedBytes: total - free*blockSize}, nil
}

// Unwrap implements vfs.FS: there is no file system below this one.
func (fs *FS) Unwrap() vfs.FS { return nil }
