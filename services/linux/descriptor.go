package linux

import (
	"syscall"

	"golang.org/x/sys/unix"
)

var dupCalls = []call{
	{unix.SYS_DUP, (*System).dup},
	{unix.SYS_DUP3, (*System).dup3},
	{unix.SYS_FCNTL, (*System).fcntl},
	{unix.SYS_IOCTL, (*System).ioctl},
	{unix.SYS_CLOSE_RANGE, (*System).closeRange},
}

func (s *System) dup(a *[6]uintptr) (int, syscall.Errno) {
	return s.dupAbove(a[0], 0, false)
}

// dupAbove duplicates to the lowest free descriptor at or above min.
func (s *System) dupAbove(fd uintptr, min int, closeOnExec bool) (int, syscall.Errno) {
	f, e := s.file(fd)
	if e != 0 {
		return 0, e
	}
	defer f.release()
	return s.installAt(f, min, closeOnExec)
}

func (s *System) dup3(a *[6]uintptr) (int, syscall.Errno) {
	if a[2]&^unix.O_CLOEXEC != 0 || a[0] == a[1] {
		return 0, syscall.EINVAL
	}
	return s.dupTo(a[0], int(int32(a[1])), a[2]&unix.O_CLOEXEC != 0)
}

// dupTo makes the descriptor to refer to fd's file, closing what it was.
// EBUSY if its number belongs to the kernel (epoll, eventfd).
func (s *System) dupTo(fd uintptr, to int, closeOnExec bool) (int, syscall.Errno) {
	if to < 0 || to >= s.limitDescriptors() {
		return 0, syscall.EBADF
	}
	f, e := s.file(fd)
	if e != 0 {
		return 0, e
	}
	defer f.release()
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	if old := s.take(to); old != nil {
		s.kernel.FreeFD(to)
		s.closed(old)
		_ = old.release() // dup2 reports no error of the closing
	}
	got, ok := s.kernel.AllocFD(to, f.pollable)
	if !ok {
		return 0, syscall.EMFILE
	}
	if got != to {
		s.kernel.FreeFD(got)
		return 0, syscall.EBUSY
	}
	s.put(to, f, closeOnExec)
	return to, 0
}

// The status flags that fcntl(F_SETFL) may change.
const settableFlags = unix.O_APPEND | unix.O_NONBLOCK | unix.O_NOATIME | unix.O_DIRECT | unix.O_ASYNC

func (s *System) fcntl(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	slot := s.table.slot(int(int32(a[0])))
	switch int(int32(a[1])) {
	case unix.F_DUPFD, unix.F_DUPFD_CLOEXEC:
		min := int(int32(a[2]))
		if min < 0 || min >= s.limitDescriptors() {
			return 0, syscall.EINVAL
		}
		return s.dupAbove(a[0], min, a[1] == unix.F_DUPFD_CLOEXEC)
	case unix.F_GETFD:
		if slot.closeOnExec.Load() {
			return unix.FD_CLOEXEC, 0
		}
		return 0, 0
	case unix.F_SETFD:
		slot.closeOnExec.Store(a[2]&unix.FD_CLOEXEC != 0)
		return 0, 0
	case unix.F_GETFL:
		return int(f.flags.Load() | unix.O_LARGEFILE), 0
	case unix.F_SETFL:
		return 0, f.changeFlags(uint32(a[2])&settableFlags, settableFlags)
	}
	if f.flags.Load()&oPath != 0 {
		return 0, syscall.EBADF
	}
	return s.fcntlOther(f, a)
}

func (s *System) fcntlOther(f *openFile, a *[6]uintptr) (int, syscall.Errno) {
	switch int(int32(a[1])) {
	case unix.F_GETLK, unix.F_SETLK, unix.F_SETLKW,
		unix.F_OFD_GETLK, unix.F_OFD_SETLK, unix.F_OFD_SETLKW:
		return s.recordLock(f, int(int32(a[1])), &a[2])
	case unix.F_GETPIPE_SZ, unix.F_SETPIPE_SZ:
		if p, ok := f.description.(interface{ pipeSize() int }); ok {
			return p.pipeSize(), 0
		}
		return 0, syscall.EBADF
	}
	return 0, syscall.EINVAL
}

// changeFlags sets the status flags under the mask.
func (f *openFile) changeFlags(flags, mask uint32) syscall.Errno {
	for {
		old := f.flags.Load()
		if f.flags.CompareAndSwap(old, old&^mask|flags) {
			break
		}
	}
	if w, ok := f.description.(FlagWatcher); ok {
		w.FlagsChanged(f.flags.Load())
	}
	return 0
}

// Requests of ioctl that x/sys/unix does not name.
const (
	fionclex = 0x5450
	fioclex  = 0x5451
	fionbio  = 0x5421
)

// ioctl serves the requests that mean the same for all files and passes the
// others to the description.
func (s *System) ioctl(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.usableFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	slot := s.table.slot(int(int32(a[0])))
	switch uint32(a[1]) {
	case fioclex:
		slot.closeOnExec.Store(true)
		return 0, 0
	case fionclex:
		slot.closeOnExec.Store(false)
		return 0, 0
	case fionbio:
		on, e := object[int32](&a[2])
		if e != 0 {
			return 0, e
		}
		flags := uint32(0)
		if *on != 0 {
			flags = unix.O_NONBLOCK
		}
		return 0, f.changeFlags(flags, unix.O_NONBLOCK)
	case unix.FICLONE:
		return 0, s.cloneWhole(f, a[2])
	case unix.FICLONERANGE:
		r, e := object[fileCloneRange](&a[2])
		if e != 0 {
			return 0, e
		}
		return 0, s.clone(f, *r)
	}
	if d, ok := f.description.(Ioctler); ok {
		return result(d.Ioctl(uint32(a[1]), a[2]))
	}
	return 0, syscall.ENOTTY
}

// closeRange closes the descriptors from a[0] to a[1], or with
// CLOSE_RANGE_CLOEXEC marks them.
func (s *System) closeRange(a *[6]uintptr) (int, syscall.Errno) {
	first, last := uint(uint32(a[0])), uint(uint32(a[1]))
	if first > last || a[2]&^(unix.CLOSE_RANGE_CLOEXEC|unix.CLOSE_RANGE_UNSHARE) != 0 {
		return 0, syscall.EINVAL
	}
	for fd := first; fd <= last && fd < MaxDescriptors; fd++ {
		slot := s.table.slot(int(fd))
		if slot == nil { // none in this chunk
			fd |= tableChunk - 1
			continue
		}
		if a[2]&unix.CLOSE_RANGE_CLOEXEC != 0 {
			slot.closeOnExec.Store(true)
		} else if slot.file.Load() != nil {
			s.closeDescriptor(int(fd))
		}
	}
	return 0, 0
}
