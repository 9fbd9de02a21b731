package linux

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/net/flow"
)

var lockCalls = []call{
	{unix.SYS_FLOCK, (*System).flock},
}

// lockTable holds the advisory locks of all inodes: flock's and those on
// ranges of bytes (fcntl). The two kinds do not see each other. An owner is
// an open file (flock, F_OFD_SETLK) or the process, that is the System.
//
// mu guards all; whoever waits does so on changed without it.
type lockTable struct {
	mu      sync.Mutex
	inodes  map[lockKey][]lock
	changed chan struct{} // closed and replaced when locks go
	locked  atomic.Int32  // len(inodes), to be seen without mu
	tell    func()        // is called when locks come and go; must not block
}

type lockKey struct {
	device, inode uint64
	kind          lockKind
}

type lockKind uint8

const (
	wholeFile lockKind = iota
	byteRange
)

// lock is held by an owner on the bytes [start, end).
type lock struct {
	owner      any
	exclusive  bool
	start, end int64
	by         flow.Owner
}

const lockEnd = math.MaxInt64 // the end of a lock on all there may ever be

func (l *lock) conflicts(other *lock) bool {
	return l.owner != other.owner && (l.exclusive || other.exclusive) &&
		l.start < other.end && other.start < l.end
}

// conflict finds a lock that keeps the wanted one away; mu is held.
func (t *lockTable) conflict(k lockKey, wanted *lock) *lock {
	list := t.inodes[k]
	for i := range list {
		if list[i].conflicts(wanted) {
			return &list[i]
		}
	}
	return nil
}

// release takes the owner's locks out of [start, end), splitting those that
// reach beyond; mu is held.
func (t *lockTable) release(k lockKey, owner any, start, end int64) {
	var kept []lock
	for _, l := range t.inodes[k] {
		if l.owner != owner || l.end <= start || end <= l.start {
			kept = append(kept, l)
			continue
		}
		if l.start < start {
			kept = append(kept, lock{owner, l.exclusive, l.start, start, l.by})
		}
		if l.end > end {
			kept = append(kept, lock{owner, l.exclusive, end, l.end, l.by})
		}
	}
	t.inodes[k] = kept
	if len(kept) == 0 {
		delete(t.inodes, k)
	}
	t.locked.Store(int32(len(t.inodes)))
	t.tell()
	close(t.changed)
	t.changed = make(chan struct{})
}

// acquire sets the lock in place of the owner's others in its range, waiting
// for conflicting ones to go if told to; else EAGAIN.
func (t *lockTable) acquire(k lockKey, wanted lock, wait bool) error {
	t.mu.Lock()
	for t.conflict(k, &wanted) != nil {
		changed := t.changed
		t.mu.Unlock()
		if !wait {
			return syscall.EAGAIN
		}
		<-changed
		t.mu.Lock()
	}
	defer t.mu.Unlock()
	t.release(k, wanted.owner, wanted.start, wanted.end)
	t.inodes[k] = append(t.inodes[k], wanted)
	t.locked.Store(int32(len(t.inodes)))
	t.tell()
	return nil
}

// rows are the locks on files of the file service, as os.locks has them.
func (t *lockTable) rows() (rows []file.LockRow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	type place struct {
		inode uint64
		kind  string
		start int64
	}
	like := make(map[place]uint32)
	for k, list := range t.inodes {
		if k.device != deviceFiles {
			continue
		}
		for _, l := range list {
			p := place{k.inode, l.kind(k), l.start}
			rows = append(rows, file.LockRow{
				Inode: p.inode, Kind: p.kind, Start: p.start, Number: like[p],
				End: l.end, Exclusive: l.exclusive, Program: l.by.Program, Task: l.by.Task,
			})
			like[p]++
		}
	}
	return rows
}

func (l *lock) kind(k lockKey) string {
	_, ofProcess := l.owner.(*System)
	switch {
	case k.kind == wholeFile:
		return "flock"
	case ofProcess:
		return "posix"
	}
	return "ofd"
}

// drop releases whatever the owner holds on the inode.
func (t *lockTable) drop(k lockKey, owner any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.ContainsFunc(t.inodes[k], func(l lock) bool { return l.owner == owner }) {
		t.release(k, owner, 0, lockEnd)
	}
}

// lockKey names the inode of an open file for the table.
func (f *openFile) lockKey(kind lockKind) (lockKey, bool) {
	l, ok := f.description.(located)
	if !ok {
		return lockKey{}, false
	}
	n := l.node()
	return lockKey{n.device(), n.Attr().Number, kind}, true
}

// closed is called when a descriptor of the file was closed. As POSIX has it
// the process loses its record locks on the inode then, though other
// descriptors be open; the locks of the open file go with the last.
func (s *System) closed(f *openFile) {
	if s.locks.locked.Load() == 0 {
		return
	}
	k, ok := f.lockKey(byteRange)
	if !ok {
		return
	}
	s.locks.drop(k, s)
	if f.descriptors.Load() == 0 {
		s.locks.drop(k, f)
		k.kind = wholeFile
		s.locks.drop(k, f)
	}
}

func (s *System) flock(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	k, ok := f.lockKey(wholeFile)
	if !ok || f.flags.Load()&oPath != 0 {
		return 0, syscall.EBADF
	}
	wanted := lock{owner: f, end: lockEnd, by: ownerHere()}
	switch int(a[1]) &^ unix.LOCK_NB {
	case unix.LOCK_UN:
		s.locks.drop(k, f)
		return 0, 0
	case unix.LOCK_SH:
	case unix.LOCK_EX:
		wanted.exclusive = true
	default:
		return 0, syscall.EINVAL
	}
	if s.locks.acquire(k, wanted, false) == nil {
		return 0, 0
	}
	if a[1]&unix.LOCK_NB != 0 {
		return 0, syscall.EAGAIN
	}
	s.locks.drop(k, f) // a conversion gives the old lock up while it waits
	return 0, errno(s.locks.acquire(k, wanted, true))
}

// recordLock is fcntl with F_GETLK, F_SETLK, F_SETLKW or their OFD kin.
func (s *System) recordLock(f *openFile, command int, word *uintptr) (int, syscall.Errno) {
	arg, e := object[unix.Flock_t](word)
	if e != 0 {
		return 0, e
	}
	k, ok := f.lockKey(byteRange)
	if !ok {
		return 0, syscall.EBADF
	}
	wanted := lock{owner: s, exclusive: arg.Type == unix.F_WRLCK, by: ownerHere()}
	if command == unix.F_OFD_GETLK || command == unix.F_OFD_SETLK || command == unix.F_OFD_SETLKW {
		if arg.Pid != 0 {
			return 0, syscall.EINVAL
		}
		wanted.owner = f
	}
	if e := f.lockRange(arg, &wanted); e != 0 {
		return 0, e
	}
	switch command {
	case unix.F_GETLK, unix.F_OFD_GETLK:
		return 0, s.tellLock(k, &wanted, arg)
	}
	return 0, s.setLock(f, k, wanted, arg.Type, command == unix.F_SETLKW || command == unix.F_OFD_SETLKW)
}

func (s *System) setLock(f *openFile, k lockKey, wanted lock, kind int16, wait bool) syscall.Errno {
	switch {
	case kind == unix.F_UNLCK:
		s.locks.mu.Lock()
		s.locks.release(k, wanted.owner, wanted.start, wanted.end)
		s.locks.mu.Unlock()
		return 0
	case kind == unix.F_RDLCK && !f.readable(), kind == unix.F_WRLCK && !f.writable():
		return syscall.EBADF
	}
	return errno(s.locks.acquire(k, wanted, wait))
}

// tellLock fills arg with a lock that is in the way.
func (s *System) tellLock(k lockKey, wanted *lock, arg *unix.Flock_t) syscall.Errno {
	if arg.Type == unix.F_UNLCK {
		return syscall.EINVAL
	}
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	l := s.locks.conflict(k, wanted)
	if l == nil {
		arg.Type = unix.F_UNLCK
		return 0
	}
	*arg = unix.Flock_t{Type: unix.F_RDLCK, Whence: unix.SEEK_SET, Start: l.start, Pid: processID}
	if l.exclusive {
		arg.Type = unix.F_WRLCK
	}
	if l.end != lockEnd {
		arg.Len = l.end - l.start
	}
	if l.owner != s {
		arg.Pid = -1
	}
	return 0
}

// lockRange checks struct flock and converts its range.
func (f *openFile) lockRange(arg *unix.Flock_t, l *lock) syscall.Errno {
	if arg.Type != unix.F_RDLCK && arg.Type != unix.F_WRLCK && arg.Type != unix.F_UNLCK {
		return syscall.EINVAL
	}
	base := int64(0)
	switch arg.Whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		f.position.Lock()
		base = f.offset
		f.position.Unlock()
	case unix.SEEK_END:
		sized, ok := f.description.(Seeker)
		if !ok {
			return syscall.EINVAL
		}
		var err error
		if base, err = sized.Size(); err != nil {
			return errno(err)
		}
	default:
		return syscall.EINVAL
	}
	start, err := plus(base, arg.Start)
	if err != nil {
		return errno(err)
	}
	return l.setRange(start, arg.Len)
}

// setRange takes a length as struct flock has it: 0 to the very end, less
// than 0 before start.
func (l *lock) setRange(start, length int64) syscall.Errno {
	l.start, l.end = start, lockEnd
	switch {
	case length > 0:
		if start > math.MaxInt64-length {
			return syscall.EOVERFLOW
		}
		l.end = start + length
	case length < 0:
		l.start, l.end = start+length, start
	}
	if l.start < 0 {
		return syscall.EINVAL
	}
	return 0
}
