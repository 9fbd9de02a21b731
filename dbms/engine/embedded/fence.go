package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble ends the program when its log or its manifest cannot be written. A
// machine must live on: its reads work, and somebody has to be told. So the first
// such failure does not reach Pebble. It raises a fence, behind which the volume
// is as it was at that moment, and Pebble, which is told that all is well, goes on
// in memory:
//
//	                   before                    behind the fence
//	log, manifest,     done; a failure raises    nothing is done, and it succeeds
//	directories        the fence and succeeds
//	removal, rename    done                      nothing is done, and it succeeds
//	links              done; a failure is        fail
//	                   told
//	tables of flushes  done; a failure is        written to memory: a transaction
//	                   Pebble's to try again     may be waiting for the flush
//	other tables       likewise, if there is     waits for Close, and fails
//	                   room (policy)
//	reading            done                      done
//
// It is there from the beginning: Pebble works in the background before it is
// open. Who opens a store behind the fence is told so at the end; until then no
// table waits, since Pebble waits for those that it is writing.
//
// Files of large values are made as tables are, but then must not fail: see blob.
//
// The engine takes no transaction behind the fence, and acknowledges none of which
// the flush came after it was raised: it looks at the failure after the flush.
// What the next opening finds is a log that ends somewhere after the last
// acknowledged transaction, and a manifest that fits the files, since none was
// removed.
type fence struct {
	vfs.FS
	e       *Engine
	open    atomic.Bool   // set when opening has ended
	closing chan struct{} // closed by Close
	memory  *vfs.MemFS    // tables of flushes behind the fence
	locks   fenceLocks
	longLog int64         // bytes
	looks   atomic.Uint64 // at what is free, or nearly so
}

// fenceLocks are those that Pebble holds, or has held.
type fenceLocks struct {
	mu   sync.Mutex
	held []*heldLock
}

// heldLock is given up once, by Pebble or by unlock.
type heldLock struct {
	io.Closer
	once sync.Once
}

func (l *heldLock) Close() (err error) {
	l.once.Do(func() { err = l.Closer.Close() })
	return err
}

// Lock locks a file.
func (f *fence) Lock(name string) (io.Closer, error) {
	c, err := f.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	l := &heldLock{Closer: c}
	f.locks.mu.Lock()
	defer f.locks.mu.Unlock()
	f.locks.held = append(f.locks.held, l)
	return l, nil
}

// unlock gives up what a Pebble holds that did not come to its end.
func (f *fence) unlock() error {
	f.locks.mu.Lock()
	defer f.locks.mu.Unlock()
	var errs []error
	for _, l := range f.locks.held {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

var errFenced = errors.New("the store has failed")

func newFence(fs vfs.FS, e *Engine) *fence {
	return &fence{FS: fs, e: e, closing: make(chan struct{}), memory: vfs.NewMem()}
}

// Unwrap gives what is behind.
func (f *fence) Unwrap() vfs.FS { return f.FS }

// up tells whether nothing may be changed any more.
func (f *fence) up() bool { return f.e.failure.Load() != nil }

// vital does what the store cannot live without.
func (f *fence) vital(do func() error) error {
	if f.up() {
		return nil
	}
	err := do()
	if err != nil {
		f.e.fail(err)
	}
	return nil
}

// table does what Pebble tries again if it fails.
func (f *fence) table(do func() error) error {
	if f.up() {
		if f.open.Load() {
			<-f.closing
		}
		return errFenced
	}
	if f.looks.Add(1)%looksEvery == 0 {
		if err := f.awaitWork(); err != nil {
			return err
		}
	}
	return f.retryLater(do())
}

// awaitWork holds a compaction up that would take what logs and flushes need, until
// there is room, or nothing has changed for a while: it may be waiting for itself.
func (f *fence) awaitWork() error {
	for f.open.Load() {
		changed := f.e.maker.changes()
		if free, p := f.e.room.free(); free >= p.work {
			return nil
		}
		t := time.NewTimer(retryPause)
		select {
		case <-changed:
			t.Stop()
			continue
		case <-f.closing:
			t.Stop()
		case <-t.C:
		}
		return syscall.ENOSPC
	}
	return nil
}

// looksEvery is how many writes of tables there are to a look at what is free. A
// write is about a block.
const looksEvery = 8

// flush is table for what must not wait.
func (f *fence) flush(do func() error) error {
	if f.up() {
		return errFenced
	}
	return f.retryLater(do())
}

// retryPause is how long a write for which there is no room waits before it fails.
const retryPause = 200 * time.Millisecond

// retryLater holds up an error for want of room until there may be more: Pebble
// tries again at once.
func (f *fence) retryLater(err error) error {
	if !errors.Is(err, syscall.ENOSPC) || !f.open.Load() {
		return err
	}
	t := time.NewTimer(retryPause)
	defer t.Stop()
	select {
	case <-f.e.maker.changes():
	case <-f.closing:
	case <-t.C:
	}
	return err
}

// blob does what must not fail once a file of separated values has been made: Pebble
// 2.1.7 closes such a file twice when closing it fails, which ends the program. For
// room it waits; any other failure, and no room for too long, raises the fence, behind
// which it does not matter what is in the file. Unless it is for a flush, it then
// waits for Close, so that nobody comes to read it.
func (f *fence) blob(flush bool) func(func() error) error {
	return func(do func() error) error {
		if !f.up() {
			err := do()
			for try := 0; try < blobTries && errors.Is(err, syscall.ENOSPC) && !f.up(); try++ {
				_ = f.retryLater(err)
				err = do()
			}
			if err == nil {
				return nil
			}
			f.e.fail(err)
		}
		if !flush && f.open.Load() {
			<-f.closing
		}
		return nil
	}
}

// blobTries times retryPause is for how long blob waits.
const blobTries = 50

// isBlob tells the files that Pebble keeps large values in.
func isBlob(name string) bool { return strings.HasSuffix(name, ".blob") }

// flushCategory is how Pebble marks the tables that it makes of memory.
const flushCategory = "pebble-memtable-flush"

// isTable tells the files that Pebble writes in the background.
func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// create makes a file by open.
func (f *fence) create(name string, c vfs.DiskWriteCategory, open func() (vfs.File, error)) (file vfs.File, err error) {
	do := func() error {
		var err error
		file, err = open()
		return err
	}
	run := f.vital
	switch {
	case isTable(name) && c == flushCategory && f.up():
		return f.inMemory(name, c)
	case isTable(name) && c == flushCategory:
		run = f.flush
	case isTable(name):
		run = f.table
	}
	if err := run(do); err != nil {
		return nil, err
	}
	if file == nil {
		return nothing{}, nil
	}
	if isBlob(name) {
		run = f.blob(c == flushCategory)
	}
	return &fencedFile{File: file, run: run, yields: isTable(name)}, nil
}

// Create makes a file.
func (f *fence) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.create(name, c, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *fence) inMemory(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.memory.MkdirAll(f.memory.PathDir(name), 0o755); err != nil {
		return nil, err
	}
	return f.memory.Create(name, c)
}

// Open opens a file to read it.
func (f *fence) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if f.up() && isTable(name) {
		if file, err := f.memory.Open(name, opts...); err == nil {
			return file, nil
		}
	}
	file, err := f.FS.Open(name, opts...)
	if err == nil && isTable(name) && slices.Contains(opts, vfs.SequentialReadsOption) {
		file = yieldingFile{file}
	}
	return file, err
}

// yieldingFile is a table that a compaction reads. It lets others go first at each
// block, as writing does (fencedFile): where all processors are busy, a commit that
// has become durable would else wait for one until the scheduler takes it away from
// the compaction, which is ten milliseconds.
type yieldingFile struct{ vfs.File }

func (f yieldingFile) ReadAt(p []byte, off int64) (int, error) {
	runtime.Gosched()
	return f.File.ReadAt(p, off)
}

// Stat describes a file.
func (f *fence) Stat(name string) (vfs.FileInfo, error) {
	if f.up() && isTable(name) {
		if info, err := f.memory.Stat(name); err == nil {
			return info, nil
		}
	}
	return f.FS.Stat(name)
}

// ReuseForWrite turns an old log into a new one. One that a large transaction has
// made much longer than others is not kept.
func (f *fence) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if info, err := f.FS.Stat(old); err == nil && info.Size() > f.longLog && f.open.Load() && !f.up() {
		if err := f.Remove(old); err != nil {
			return nil, err
		}
		return f.Create(name, c)
	}
	return f.create(name, c, func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, c) })
}

// OpenDir opens a directory, to sync it.
func (f *fence) OpenDir(name string) (vfs.File, error) {
	return f.create(name, vfs.WriteCategoryUnspecified, func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

// Rename changes a name.
func (f *fence) Rename(old, name string) error {
	return f.vital(func() error { return f.FS.Rename(old, name) })
}

// Link gives a file another name, as is done to a table that is taken in. Who does that is
// told of a failure: Pebble, which would copy the file then, unless it may not have it.
func (f *fence) Link(old, name string) error {
	err := errFenced
	if !f.up() {
		if err = f.FS.Link(old, name); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: %w", os.ErrPermission, err)
}

// Remove removes a file. A failure is only a waste of room.
func (f *fence) Remove(name string) error {
	if f.up() {
		return nil
	}
	err := f.FS.Remove(name)
	f.e.maker.freed()
	return err
}

// RemoveAll removes a directory with its files.
func (f *fence) RemoveAll(name string) error {
	if f.up() {
		return nil
	}
	return f.FS.RemoveAll(name)
}

// fencedFile is a file that is written.
type fencedFile struct {
	vfs.File
	run    func(func() error) error
	yields bool // to others, at each block
}

func (f *fencedFile) Write(p []byte) (int, error) {
	if f.yields {
		runtime.Gosched()
	}
	rest := p
	err := f.run(func() error {
		n, err := f.File.Write(rest)
		rest = rest[n:]
		return err
	})
	return written(p, err)
}

func (f *fencedFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.run(func() error { _, err := f.File.WriteAt(p, off); return err })
	return written(p, err)
}

func written(p []byte, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *fencedFile) Preallocate(off, n int64) error {
	return f.run(func() error { return f.File.Preallocate(off, n) })
}

func (f *fencedFile) Sync() error { return f.run(f.File.Sync) }

func (f *fencedFile) SyncData() error { return f.run(f.File.SyncData) }

func (f *fencedFile) SyncTo(n int64) (full bool, err error) {
	err = f.run(func() error { full, err = f.File.SyncTo(n); return err })
	return full, err
}

// Stat is asked for a log that is used again.
func (f *fencedFile) Stat() (info vfs.FileInfo, err error) {
	if err := f.run(func() error { info, err = f.File.Stat(); return err }); err != nil {
		return nil, err
	}
	if info == nil {
		return emptyInfo{}, nil
	}
	return info, nil
}

// Close lets go of the file in any case.
func (f *fencedFile) Close() (err error) {
	closed := false
	err = f.run(func() error { closed = true; return f.File.Close() })
	if !closed {
		_ = f.File.Close() // behind the fence nobody is told
	}
	return err
}

// emptyInfo is all there is to know of a file behind the fence.
type emptyInfo struct{}

func (emptyInfo) Name() string           { return "" }
func (emptyInfo) Size() int64            { return 0 }
func (emptyInfo) Mode() os.FileMode      { return 0 }
func (emptyInfo) ModTime() time.Time     { return time.Time{} }
func (emptyInfo) IsDir() bool            { return false }
func (emptyInfo) Sys() any               { return nil }
func (emptyInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

// nothing is a file behind the fence.
type nothing struct{}

func (nothing) Close() error                           { return nil }
func (nothing) Read([]byte) (int, error)               { return 0, errFenced }
func (nothing) ReadAt([]byte, int64) (int, error)      { return 0, errFenced }
func (nothing) Write(p []byte) (int, error)            { return len(p), nil }
func (nothing) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (nothing) Preallocate(int64, int64) error         { return nil }
func (nothing) Stat() (vfs.FileInfo, error)            { return emptyInfo{}, nil }
func (nothing) Sync() error                            { return nil }
func (nothing) SyncTo(int64) (bool, error)             { return true, nil }
func (nothing) SyncData() error                        { return nil }
func (nothing) Prefetch(int64, int64) error            { return nil }
func (nothing) Fd() uintptr                            { return vfs.InvalidFd }
