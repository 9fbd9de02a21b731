package file

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Options says how a file system is mounted. The zero value is usable.
type Options struct {
	// Memory is the budget in bytes for all caches and buffers, Pebble's
	// included where Open opens it. 0 means DefaultMemory.
	Memory int

	// SyncInterval bounds how long a change may stay unsynced when nobody
	// asks; 0 means 5 seconds.
	SyncInterval time.Duration

	// Space tells the bytes of the device and those still free; nil means
	// that it is not known and space never runs out.
	Space func() (total, free uint64, err error)

	// Log receives messages about damage and storage failures; nil drops them.
	Log func(format string, args ...any)

	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// FS is a mounted file system. Its methods and those of its inodes may be
// called from any goroutine.
type FS struct {
	db      *pebble.DB
	options Options
	owned   io.Closer // what Close closes besides, nil if nothing
	root    *Inode

	tree       sync.Mutex // see the package comment
	nextNumber uint64     // under tree

	inodes [inodeTables]inodeTable
	names  *cache[nameKey, *Inode]  // nil: no such name
	blocks *cache[blockKey, []byte] // contents guarded by Inode.mu
	space  room

	sequence atomic.Uint64 // changes committed
	synced   atomic.Uint64 // all changes up to this one are durable
	failed   atomic.Bool   // the log could not be written: changes are EIO
	syncer   *time.Timer
	armed    atomic.Bool // syncer will run
	closing  sync.RWMutex
	closed   bool // under closing
}

const inodeTables = 64

// Mount makes the files in db usable, creating the root directory in a
// database that has none, and deletes the contents of files that had no name
// left when the system stopped. db stays the caller's.
func Mount(db *pebble.DB, o Options) (*FS, error) {
	o.fill()
	fs := &FS{
		db:      db,
		options: o,
		names:   newCache[nameKey, *Inode](o.Memory / memoryPerName),
		blocks:  newCache[blockKey, []byte](o.Memory / blockShare),
	}
	fs.syncer = time.AfterFunc(time.Hour, fs.backgroundSync)
	fs.syncer.Stop()
	if err := fs.recover(); err != nil {
		return nil, err
	}
	root, err := fs.inode(rootNumber)
	if err != nil {
		return nil, err
	}
	fs.root = root
	return fs, nil
}

func (o *Options) fill() {
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Root is the root directory.
func (fs *FS) Root() *Inode { return fs.root }

// Close syncs and ends the use of the file system; no call may be in
// progress or follow.
func (fs *FS) Close() error {
	fs.syncer.Stop()
	err := fs.Sync()
	fs.closing.Lock() // waits for a background sync
	fs.closed = true
	fs.closing.Unlock()
	if fs.owned != nil {
		err = firstError(err, storage(fs.owned.Close()))
	}
	return err
}

func (fs *FS) now() int64 { return fs.options.Now().UnixNano() }

// commit carries out one change. What it changed may be shown afterwards.
func (fs *FS) commit(b *pebble.Batch) error {
	if fs.failed.Load() {
		return syscall.EIO
	}
	err := fs.guard(func() error { return b.Commit(pebble.NoSync) })
	if err != nil {
		return err
	}
	fs.sequence.Add(1)
	if !fs.armed.Load() && fs.armed.CompareAndSwap(false, true) {
		fs.syncer.Reset(fs.options.SyncInterval)
	}
	return storage(b.Close())
}

// guard runs a write to Pebble. Where Pebble gives up because its log cannot
// be written, the file system is read-only from then on.
func (fs *FS) guard(write func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case storageFailure:
			fs.failed.Store(true)
			err = syscall.EIO
		default:
			panic(p)
		}
	}()
	return storage(write())
}

// Sync makes all changes durable that returned before it was called.
func (fs *FS) Sync() error { return fs.syncTo(fs.sequence.Load()) }

// Sync makes the inode's changes durable, its names among them.
func (n *Inode) Sync() error {
	n.mu.RLock()
	change := n.change
	n.mu.RUnlock()
	return n.fs.syncTo(change)
}

// syncTo makes at least the changes up to the given one durable.
func (fs *FS) syncTo(change uint64) error {
	if fs.failed.Load() {
		return syscall.EIO
	}
	if fs.synced.Load() >= change {
		return nil
	}
	upTo := fs.sequence.Load()
	err := fs.guard(func() error { return fs.db.LogData(nil, pebble.Sync) })
	if err != nil {
		return err
	}
	for {
		old := fs.synced.Load()
		if old >= upTo || fs.synced.CompareAndSwap(old, upTo) {
			return nil
		}
	}
}

func (fs *FS) backgroundSync() {
	fs.armed.Store(false)
	fs.closing.RLock()
	defer fs.closing.RUnlock()
	if fs.closed {
		return
	}
	if err := fs.Sync(); err != nil {
		fs.options.Log("file: background sync: %v", err)
	}
}

// damaged reports what the store should never hold.
func (fs *FS) damaged(format string, args ...any) error {
	fs.options.Log("file: damaged: "+format, args...)
	return syscall.EIO
}

// storage is the errno of a storage error.
func storage(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) {
		return syscall.ENOSPC
	}
	return syscall.EIO
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// recover prepares the store for use: the root, the next inode number, and
// the orphans of the last run.
func (fs *FS) recover() error {
	var k key
	value, closer, err := fs.db.Get(k.super())
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		err = fs.format()
	case err != nil:
		return fmt.Errorf("file: superblock: %w", err)
	default:
		err = firstError(checkSuper(value), closer.Close())
	}
	if err != nil {
		return err
	}
	if err := fs.findNextNumber(); err != nil {
		return err
	}
	return fs.collectOrphans()
}

// format writes the superblock and an empty root directory.
func (fs *FS) format() error {
	now := fs.now()
	root := record{Attr: Attr{
		Number: rootNumber, Mode: syscall.S_IFDIR | 0o755, Links: 2,
		Accessed: now, Modified: now, Changed: now, Born: now,
	}, parent: rootNumber}
	value := make([]byte, root.size())
	root.encode(value)
	b := fs.db.NewBatch()
	var super, inode key
	if err := firstError(
		b.Set(super.super(), encodeSuper(), nil),
		b.Set(inode.inode(rootNumber), value, nil),
	); err != nil {
		return storage(err)
	}
	return fs.commit(b)
}

// findNextNumber sets the next number behind the greatest in use.
func (fs *FS) findNextNumber() error {
	it, err := fs.db.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
	if err != nil {
		return storage(err)
	}
	fs.nextNumber = rootNumber + 1
	if it.Last() {
		if p, ok := parseKey(it.Key()); ok {
			fs.nextNumber = p.inode + 1
		}
	}
	return storage(it.Close())
}

// collectOrphans deletes what had no name left when the system stopped.
func (fs *FS) collectOrphans() error {
	var lower, upper key
	it, err := fs.db.NewIter(&pebble.IterOptions{
		LowerBound: lower.startKind(0, kindOrphan),
		UpperBound: upper.afterKind(0, kindOrphan),
	})
	if err != nil {
		return storage(err)
	}
	var numbers []uint64
	for it.First(); it.Valid(); it.Next() {
		if p, ok := parseKey(it.Key()); ok {
			numbers = append(numbers, p.value)
		}
	}
	if err := it.Close(); err != nil {
		return storage(err)
	}
	for _, number := range numbers {
		n, err := fs.inode(number)
		if err != nil {
			return err
		}
		if err := firstError(n.Open(), n.Close()); err != nil {
			return err
		}
	}
	return nil
}
