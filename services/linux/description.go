package linux

import (
	"syscall"
	"time"
)

// Description is an open file description (open(2)): what one or more
// descriptors refer to. All methods may be called concurrently. Errors are
// of type syscall.Errno.
//
// What a description can do beyond this it shows by implementing the small
// interfaces below; a call on one that lacks the capability fails with the
// errno that Linux gives for such a file.
type Description interface {
	// Read and Write never block in a Pollable description: they return
	// EAGAIN, and the system waits where the descriptor is a blocking one.
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)

	// Stat fills st, which is zero on entry.
	Stat(st *syscall.Stat_t) error

	// Ready tells the events (EPOLLIN, EPOLLOUT, EPOLLHUP, ...) that hold now.
	// It must not block and is never called with a lock of this package held.
	Ready() uint32

	// Close is called once, when the last reference has gone and no call on
	// the description is in progress.
	Close() error
}

// Pollable is a description whose readiness changes by itself.
type Pollable interface {
	Description

	// Notify registers the one callback that is run on each rising edge of
	// readiness, on any goroutine, possibly with the description's own locks
	// held. The callback does not block and does not call the description.
	Notify(ready func(events uint32))
}

// PositionReader is a description with a file offset: read(2) and pread(2)
// come here and Read is not called.
type PositionReader interface {
	// ReadAt reads at off; 0, nil means end of file.
	ReadAt(p []byte, off int64) (int, error)
}

// PositionWriter is the writing side of PositionReader.
type PositionWriter interface {
	WriteAt(p []byte, off int64) (int, error)

	// Append writes at the end of the file, atomically with regard to other
	// writers, and returns the offset just behind what was written.
	Append(p []byte) (n int, end int64, err error)
}

// Seeker is a description that has a size to seek in.
type Seeker interface {
	// Size is the size in bytes, which SEEK_END counts from.
	Size() (int64, error)

	// SeekData and SeekHole find the next data or hole at or after off;
	// ENXIO where there is none.
	SeekData(off int64) (int64, error)
	SeekHole(off int64) (int64, error)
}

// Truncater is a description whose size can be set.
type Truncater interface {
	Truncate(size int64) error
}

// Allocater is a description with the space calls of fallocate(2).
type Allocater interface {
	Allocate(mode uint32, off, n int64) error
}

// Syncer is a description with contents that fsync(2) makes durable.
type Syncer interface {
	Sync() error
}

// Entry is one name in a directory.
type Entry struct {
	Name   string // valid only during the call that passes it
	Number uint64 // of the inode
	Type   uint8  // DT_REG, DT_DIR, ...
	Cookie int64  // seek position just behind this entry, > 0
}

// Directory is a description that lists names (getdents64(2)).
type Directory interface {
	// ReadDir calls emit for the entries behind the position, in the stable
	// order of their cookies, until there are no more or emit returns false
	// (the entry refused is not consumed).
	ReadDir(position int64, emit func(Entry) bool) error
}

// Ioctler is a description with controls of its own (ioctl(2)).
// Ioctl returns ENOTTY for a request that it does not know. arg is the raw
// third argument; helpers for pointers are in memory.go.
type Ioctler interface {
	Ioctl(request uint32, arg uintptr) (int, error)
}

// Timeouts is a pollable description that limits how long a blocking read or
// write may wait (SO_RCVTIMEO, SO_SNDTIMEO). Zero means for ever.
type Timeouts interface {
	ReadTimeout() time.Duration
	WriteTimeout() time.Duration
}

// FlagWatcher is a description that wants to know its status flags: called
// at installation and whenever fcntl(F_SETFL) or ioctl(FIONBIO) change them.
type FlagWatcher interface {
	FlagsChanged(flags uint32)
}
