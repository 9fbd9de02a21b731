package file

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// Options says how a file system is opened. The zero value is usable.
type Options struct {
	// Memory is the budget in bytes for caches and for what is not yet stored. 0
	// means DefaultMemory, less than MinMemory is taken for this.
	Memory int

	// SyncInterval bounds how long a change may stay unsynced when nobody
	// asks; 0 means 5 seconds.
	SyncInterval time.Duration

	// Space tells how much room there is on the device; nil, or a total of 0, means
	// that it is not known and space never runs out.
	Space func() engine.Space

	// MakeRoom returns when transactions may take n bytes more, or an error when
	// they may not; nil: they may not.
	MakeRoom func(ctx context.Context, n int64) error

	// Past is how many bytes data of files may have that is kept for the past only.
	// 0 means a quarter of the device.
	Past int64

	// Op is on whose behalf changes are stored that calls have made: one
	// transaction has those of many.
	Op engine.Op

	// Log receives messages about damage and storage failures; nil drops them.
	Log func(format string, args ...any)

	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// How the memory is divided: a half is for pages of files, a quarter at most for what
// is not yet stored, the rest for names, inodes and where pages lie.
const (
	// DefaultMemory suits a machine of 256 MB or more.
	DefaultMemory = 16 << 20

	// MinMemory is the least budget that works.
	MinMemory = 2 << 20

	pageShare     = 2
	groupShare    = 16 // one group; there may be four times that
	maxGroup      = 4 << 20
	groupOfDevice = 128
	extentShare   = 8
	memoryPerName = 1 << 10 // one cached name for so many bytes of budget
)

// Two groups of twice the limit each, and what a single call adds, fit a transaction.
const _ = uint(engine.MaxTxBytes/2 - 2*maxGroup)

// FS is the files of a store. Its methods and those of its inodes may be
// called from any goroutine.
type FS struct {
	db         *table.DB
	options    Options
	root       *Inode
	groupLimit int64

	tree       sync.Mutex // see the package comment
	nextNumber uint64     // of a new inode; under tree

	nextData uint64     // id of new data; under journal.commit
	reserved CounterRow // as stored; under journal.commit

	journal    journal
	loads      loads
	inodes     [inodeTables]inodeTable
	era        atomic.Uint64             // counts how often somebody else has changed what is stored
	names      *cache[nameKey, *Inode]   // nil: no such name
	pages      *cache[blockKey, []byte]  // as stored
	extents    *cache[blockKey, *extent] // by inode and chunk, as stored
	space      room
	freedBytes atomic.Int64 // of data that is kept for the past only, about

	collecting sync.Mutex // before journal.commit
	purged     time.Time  // when it was looked for; under collecting

	images images // of files that are mapped

	restoreHow restoreHow   // tests set it
	stepBytes  int          // stepBytes; tests have other steps
	stepped    func() error // after each step of a restore; for tests
	progress   progress

	listener  atomic.Pointer[func(*Notice)]
	running   atomic.Pointer[Tx] // a transaction of Update
	restoring atomic.Bool        // by this package, which knows what to do

	syncer *time.Timer
	armed  atomic.Bool // syncer will run
	kicked atomic.Bool // a group is about to be stored
	locks  lockRows

	closing sync.RWMutex
	closed  bool // under closing
}

const inodeTables = 64

// ErrFormat says that files were stored by a version that does it otherwise.
var ErrFormat = errors.New("the files of this store have a format that this version does not know")

// ErrDamaged says that what is stored of the files makes no sense.
var ErrDamaged = errors.New("the stored files are damaged")

// Open opens the files of a store that has the tables of Tables, makes the root
// directory in one that has none, and deletes the contents of files that had no name
// left when the system stopped. The store stays the caller's, who must not use it for
// changes of these tables other than by this package, and closes it after FS.Close.
//
// Errors: ErrFormat for files that another version stored, ErrDamaged, and those of
// the store.
func Open(db *table.DB, o Options) (*FS, error) {
	o.fill()
	fs := &FS{
		db:         db,
		options:    o,
		groupLimit: int64(min(o.Memory/groupShare, maxGroup)),
		names:      newCache[nameKey, *Inode](o.Memory / memoryPerName),
		pages:      newCache[blockKey, []byte](o.Memory / pageShare),
		extents:    newCache[blockKey, *extent](o.Memory / extentShare),
	}
	if o.Space != nil {
		if total := o.Space().Total; total > 0 {
			fs.groupLimit = min(fs.groupLimit, total/groupOfDevice)
		}
	}
	fs.stepBytes, fs.stepped = stepBytes, func() error { return nil }
	fs.journal.init()
	fs.loads.from = loadFrom
	fs.syncer = time.AfterFunc(time.Hour, fs.backgroundSync)
	fs.syncer.Stop()
	if err := fs.load(); err != nil {
		return nil, err
	}
	root, err := fs.inode(rootNumber)
	if err != nil {
		return nil, fmt.Errorf("%w: the root directory cannot be read", ErrDamaged)
	}
	fs.root = root
	db.OnRestore(fs.restored)
	return fs, firstError(fs.collectOrphans(), fs.forgetLocks())
}

func (o *Options) fill() {
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	o.Memory = max(o.Memory, MinMemory)
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
	fs.closing.Lock() // waits for what goes on in the background
	fs.closed = true
	fs.closing.Unlock()
	return err
}

func (fs *FS) now() int64 { return fs.options.Now().UnixNano() }

// op is for a transaction of the service's own. As on Linux, who wants others to hear
// only of what is durable calls fsync.
func (fs *FS) op(name string) engine.Op {
	op := fs.options.Op
	op.Untold = true
	if op.Name == "" {
		op.Name = name
	}
	return op
}

// view reads the store as it is. It begins anew if the past ends before which it has
// begun.
func (fs *FS) view(fn func(tx *table.Tx) error) (err error) {
	for range 10 {
		if err = fs.db.View(context.Background(), fn); !errors.Is(err, engine.ErrTooOld) {
			break
		}
	}
	return err
}

// arm sees that changes are stored after a while, or soon if there are many.
func (fs *FS) arm(soon bool) {
	if soon && fs.kicked.CompareAndSwap(false, true) {
		go fs.background(func() error {
			fs.kicked.Store(false)
			return fs.flush()
		})
	}
	if !fs.armed.Load() && fs.armed.CompareAndSwap(false, true) {
		fs.syncer.Reset(fs.options.SyncInterval)
	}
}

func (fs *FS) backgroundSync() {
	fs.armed.Store(false)
	fs.background(func() error { return firstError(fs.Sync(), fs.tidy()) })
	if fs.storing() {
		fs.arm(false) // what is stored into mappings tells nobody
	}
}

// background does something for which nobody waits, unless the files are closed.
func (fs *FS) background(do func() error) {
	fs.closing.RLock()
	defer fs.closing.RUnlock()
	if fs.closed || fs.journal.failed.Load() {
		return
	}
	if err := do(); err != nil {
		fs.options.Log("file: in the background: %v", err)
	}
}

// damaged reports what the store should never hold, or cannot read.
func (fs *FS) damaged(format string, args ...any) error {
	fs.options.Log("file: damaged: "+format, args...)
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
