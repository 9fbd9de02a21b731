package linux

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// oldCalls are those that amd64 has and later architectures (arm64) left
// out, because a newer call with a directory descriptor or flags does the
// same. They are served by rearranging the arguments for that.
var oldCalls = []call{
	{unix.SYS_OPEN, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.openat(&[6]uintptr{atCWD, a[0], a[1], a[2]})
	}},
	{unix.SYS_CREAT, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.openat(&[6]uintptr{atCWD, a[0], unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC, a[1]})
	}},
	{unix.SYS_STAT, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return 0, s.statInto(atCWD, &a[0], &a[1], 0)
	}},
	{unix.SYS_LSTAT, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return 0, s.statInto(atCWD, &a[0], &a[1], unix.AT_SYMLINK_NOFOLLOW)
	}},
	{unix.SYS_NEWFSTATAT, (*System).newfstatat},
	{unix.SYS_ACCESS, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.accessAt(atCWD, &a[0], a[1], 0)
	}},
	{unix.SYS_MKDIR, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.mkdirat(&[6]uintptr{atCWD, a[0], a[1]})
	}},
	{unix.SYS_MKNOD, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.mknodat(&[6]uintptr{atCWD, a[0], a[1], a[2]})
	}},
	{unix.SYS_RMDIR, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.unlinkat(&[6]uintptr{atCWD, a[0], unix.AT_REMOVEDIR})
	}},
	{unix.SYS_UNLINK, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.unlinkat(&[6]uintptr{atCWD, a[0]})
	}},
	{unix.SYS_RENAME, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.rename(atCWD, &a[0], atCWD, &a[1], 0)
	}},
	{unix.SYS_LINK, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.linkat(&[6]uintptr{atCWD, a[0], atCWD, a[1]})
	}},
	{unix.SYS_SYMLINK, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.symlinkat(&[6]uintptr{a[0], atCWD, a[1]})
	}},
	{unix.SYS_READLINK, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.readlinkat(&[6]uintptr{atCWD, a[0], a[1], a[2]})
	}},
	{unix.SYS_CHMOD, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.fchmodat(&[6]uintptr{atCWD, a[0], a[1]})
	}},
	{unix.SYS_CHOWN, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.fchownat(&[6]uintptr{atCWD, a[0], a[1], a[2]})
	}},
	{unix.SYS_LCHOWN, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.fchownat(&[6]uintptr{atCWD, a[0], a[1], a[2], unix.AT_SYMLINK_NOFOLLOW})
	}},
	{unix.SYS_UTIMES, (*System).utimes},
	{unix.SYS_FUTIMESAT, (*System).futimesat},
	{unix.SYS_DUP2, (*System).dup2},
	{unix.SYS_PIPE, func(s *System, a *[6]uintptr) (int, syscall.Errno) {
		return s.pipe2(&[6]uintptr{a[0]})
	}},
	{unix.SYS_POLL, (*System).pollMilliseconds},
	{unix.SYS_SELECT, (*System).selectOld},
	{unix.SYS_GETPGRP, (*System).self},
}

func (s *System) dup2(a *[6]uintptr) (int, syscall.Errno) {
	if a[0] == a[1] {
		f, e := s.file(a[0])
		if e != 0 {
			return 0, e
		}
		return int(a[0]), errno(f.release())
	}
	return s.dupTo(a[0], int(int32(a[1])), false)
}

func (s *System) utimes(a *[6]uintptr) (int, syscall.Errno) {
	return s.futimesat(&[6]uintptr{atCWD, a[0], a[1]})
}

// futimesat has its times in microseconds.
func (s *System) futimesat(a *[6]uintptr) (int, syscall.Errno) {
	at := timesNow()
	if a[2] != 0 {
		times, e := array[unix.Timeval](&a[2], 2)
		if e != 0 {
			return 0, e
		}
		for i, t := range times {
			if t.Usec < 0 || t.Usec >= 1e6 {
				return 0, syscall.EINVAL
			}
			at[i] = unix.Timespec{Sec: t.Sec, Nsec: t.Usec * 1000}
		}
	}
	return s.setTimes(&[6]uintptr{a[0], a[1]}, at)
}

func (s *System) pollMilliseconds(a *[6]uintptr) (int, syscall.Errno) {
	timeout := forever
	if ms := int32(a[2]); ms >= 0 {
		timeout = time.Duration(ms) * time.Millisecond
	}
	return s.pollFor(a, timeout)
}

// selectOld has its timeout in microseconds and leaves there what remains.
func (s *System) selectOld(a *[6]uintptr) (int, syscall.Errno) {
	if a[4] == 0 {
		return s.selectFor(a, forever)
	}
	t, e := object[unix.Timeval](&a[4])
	if e != 0 {
		return 0, e
	}
	if t.Sec < 0 || t.Usec < 0 {
		return 0, syscall.EINVAL
	}
	timeout, start := time.Duration(unix.TimevalToNsec(*t)), time.Now()
	n, e := s.selectFor(a, timeout)
	*t = unix.NsecToTimeval(int64(max(timeout-time.Since(start), 0)))
	return n, e
}
