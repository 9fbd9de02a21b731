package linux

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// limitDescriptors is the present RLIMIT_NOFILE.
func (s *System) limitDescriptors() int { return int(s.maxDescriptors.Load()) }

// limit is the value of a resource limit. Only the number of descriptors is
// limited; the others are what Linux has where nobody sets them.
func (s *System) limit(resource uintptr) (unix.Rlimit, syscall.Errno) {
	const infinity = ^uint64(0)
	switch {
	case resource >= resources:
		return unix.Rlimit{}, syscall.EINVAL
	case resource == unix.RLIMIT_NOFILE:
		return unix.Rlimit{Cur: uint64(s.limitDescriptors()), Max: MaxDescriptors}, 0
	case resource == unix.RLIMIT_CORE:
		return unix.Rlimit{Cur: 0, Max: infinity}, 0
	}
	return unix.Rlimit{Cur: infinity, Max: infinity}, 0
}

// resources is RLIM_NLIMITS.
const resources = 16

// setLimit sets a limit; of those that limit nothing the wish is taken and
// has no effect.
func (s *System) setLimit(resource uintptr, l *unix.Rlimit) syscall.Errno {
	switch {
	case resource >= resources || l.Cur > l.Max:
		return syscall.EINVAL
	case resource != unix.RLIMIT_NOFILE:
		return 0
	case l.Max > MaxDescriptors:
		return syscall.EPERM
	}
	s.maxDescriptors.Store(int64(l.Cur))
	return 0
}

func (s *System) prlimit(a *[6]uintptr) (int, syscall.Errno) {
	if pid := int32(a[0]); pid != 0 && pid != processID {
		return 0, syscall.ESRCH
	}
	old, e := s.limit(a[1])
	if e != 0 {
		return 0, e
	}
	if a[2] != 0 {
		l, e := object[unix.Rlimit](&a[2])
		if e != 0 {
			return 0, e
		}
		if e := s.setLimit(a[1], l); e != 0 {
			return 0, e
		}
	}
	if a[3] == 0 {
		return 0, 0
	}
	out, e := object[unix.Rlimit](&a[3])
	if e == 0 {
		*out = old
	}
	return 0, e
}

func (s *System) getrlimit(a *[6]uintptr) (int, syscall.Errno) {
	out, e := object[unix.Rlimit](&a[1])
	if e != 0 {
		return 0, e
	}
	*out, e = s.limit(a[0])
	return 0, e
}

func (s *System) setrlimit(a *[6]uintptr) (int, syscall.Errno) {
	l, e := object[unix.Rlimit](&a[1])
	if e != 0 {
		return 0, e
	}
	return 0, s.setLimit(a[0], l)
}
