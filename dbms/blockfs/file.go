package blockfs

import (
	"errors"
	"io"
	"math"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is an open file or directory: an inode, a position, and what is allowed.
// Reads may run concurrently with everything; writes and syncs come one at a
// time, as vfs.File has it.
type file struct {
	fs    *FS
	in    *inode
	name  string
	pos   int64
	write bool
	log   bool       // written from start to end, over content that may go
	done  bool       // guarded by fs.mu
	ahead *readAhead // of a handle opened for sequential reading
}

var _ vfs.File = (*file)(nil)

// newFile opens in; fs.mu is held.
func (fs *FS) newFile(in *inode, name string, write bool) *file {
	in.handles++
	if write {
		in.writers++
	}
	return &file{fs: fs, in: in, name: path.Base(path.Clean("/" + name)), write: write}
}

// Close implements vfs.File. What was written is handed to the device, but not
// made durable.
func (f *file) Close() error {
	f.in.writer.Lock()
	defer f.in.writer.Unlock()
	var err error
	if f.write {
		err = f.fs.drain(f.in, true, f.log)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.done {
		return os.ErrClosed
	}
	f.done = true
	f.in.handles--
	if f.write {
		f.in.writers--
		if f.in.writers == 0 {
			err = errors.Join(err, f.fs.lastWriterGone(f.in))
		}
	}
	if f.in.handles == 0 {
		f.fs.fetches.forgetFile(f.in)
	}
	if f.in.handles == 0 && f.in.links == 0 {
		f.fs.freeFile(f.in)
	}
	return pathError("close", f.name, err)
}

// lastWriterGone gives back blocks got ahead of need, or, of a log, records the
// length; fs.mu and in.writer are held. A buffer that could not be written stays:
// readers are served from it, and Sync tries again.
func (fs *FS) lastWriterGone(in *inode) error {
	in.view.Lock()
	var cut []extent
	if in.kind == kindFile {
		cut = in.trim(max(uint64(alignUp(in.size, blockSize)/blockSize), in.rec.blocks))
	}
	if in.buf.clean() {
		in.buf = buffer{}
	}
	clean := in.buf.clean()
	in.view.Unlock()
	fs.alloc.give(cut)
	if in.kind != kindLog || !clean || fs.usable() != nil {
		return nil
	}
	_, err := fs.recordFile(in)
	return err
}

// Read implements vfs.File.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt implements vfs.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if f.in.isDir() {
		return 0, pathError("read", f.name, syscall.EISDIR)
	}
	read := f.fs.readFetched
	if f.ahead != nil {
		read = f.readAhead
	}
	n, err := read(f.in, p, off)
	if err != nil && err != io.EOF {
		err = pathError("read", f.name, err)
	}
	return n, err
}

func (f *file) readAhead(in *inode, p []byte, off int64) (int, error) {
	return f.ahead.readAt(f.fs, in, p, off, math.MaxInt64)
}

// Write implements vfs.File. p is not changed.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

// WriteAt implements vfs.File. It returns ENOSPC before anything is written when
// the blocks cannot be had.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if !f.write {
		return 0, pathError("write", f.name, syscall.EBADF)
	}
	f.in.writer.Lock()
	defer f.in.writer.Unlock()
	n, err := f.fs.write(f.in, p, off, f.log)
	return n, pathError("write", f.name, err)
}

// Preallocate implements vfs.File: it takes blocks for bytes that will come.
func (f *file) Preallocate(off, length int64) error {
	if !f.write || off < 0 || length < 0 || off+length > maxFileSize {
		return pathError("preallocate", f.name, syscall.EINVAL)
	}
	f.in.writer.Lock()
	defer f.in.writer.Unlock()
	return pathError("preallocate", f.name, f.fs.reserve(f.in, off+length))
}

// Sync implements vfs.File: content, length and name are durable when it
// returns. Of a directory, all names of the volume are.
func (f *file) Sync() error {
	if f.in.isDir() {
		f.fs.mu.Lock()
		defer f.fs.mu.Unlock()
		return pathError("sync", f.name, f.fs.commitLocked(f.fs.op))
	}
	return pathError("sync", f.name, f.fs.sync(f.in, f.log))
}

// SyncData implements vfs.File. It is Sync: metadata is only written when the
// data could not be found without.
func (f *file) SyncData() error { return f.Sync() }

// SyncTo implements vfs.File: it hands what is buffered to the device and does
// not wait for it to be durable.
func (f *file) SyncTo(int64) (fullSync bool, err error) {
	if f.in.isDir() || !f.write {
		return false, nil
	}
	f.in.writer.Lock()
	defer f.in.writer.Unlock()
	return false, pathError("sync", f.name, f.fs.drain(f.in, false, f.log))
}

// Prefetch implements vfs.File: n bytes from off are about to be read, in this order.
// They are read from the device in large pieces when the first of them is asked for.
// Handles opened with vfs.SequentialReadsOption read ahead by themselves.
func (f *file) Prefetch(off, n int64) error {
	if f.ahead == nil && !f.in.isDir() && off >= 0 && n > 0 && n <= maxFetch {
		f.fs.fetches.announce(f.in, off, off+n)
	}
	return nil
}

// Fd implements vfs.File: there is no descriptor.
func (f *file) Fd() uintptr { return vfs.InvalidFd }

// Stat implements vfs.File.
func (f *file) Stat() (vfs.FileInfo, error) { return f.in.info(f.name), nil }

// info describes a file at this moment.
func (in *inode) info(name string) info {
	in.view.RLock()
	defer in.view.RUnlock()
	return info{name, in.size, time.Unix(0, in.mtime), in.isDir()}
}

// info implements vfs.FileInfo.
type info struct {
	name    string
	size    int64
	modTime time.Time
	dir     bool
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) ModTime() time.Time     { return i.modTime }
func (i info) IsDir() bool            { return i.dir }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

// Mode gives fixed permissions: the volume has one user.
func (i info) Mode() os.FileMode {
	if i.dir {
		return os.ModeDir | 0o755
	}
	return 0o644
}
