package linux

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var pollCalls = []call{
	{unix.SYS_PPOLL, (*System).ppoll},
	{unix.SYS_PSELECT6, (*System).pselect},
}

// ppoll waits for descriptors of this package; those of the kernel (epoll,
// eventfd) are POLLNVAL here. Signal masks have no effect.
func (s *System) ppoll(a *[6]uintptr) (int, syscall.Errno) {
	timeout, e := timeoutArg(&a[2])
	if e != 0 {
		return 0, e
	}
	return s.pollFor(a, timeout)
}

// forever is the timeout that never runs out.
const forever = time.Duration(-1)

// timeoutArg reads a struct timespec; none means forever.
func timeoutArg(word *uintptr) (time.Duration, syscall.Errno) {
	if *word == 0 {
		return forever, 0
	}
	t, e := object[unix.Timespec](word)
	if e != 0 {
		return 0, e
	}
	if t.Sec < 0 || t.Nsec < 0 || t.Nsec >= 1e9 {
		return 0, syscall.EINVAL
	}
	if t.Sec > 1<<32 {
		return forever, 0
	}
	return time.Duration(unix.TimespecToNsec(*t)), 0
}

func (s *System) pollFor(a *[6]uintptr, timeout time.Duration) (int, syscall.Errno) {
	if a[1] > MaxDescriptors {
		return 0, syscall.EINVAL
	}
	list, e := array[unix.PollFd](&a[0], int(a[1]))
	if e != 0 {
		return 0, e
	}
	return s.poll(list, timeout), 0
}

// poll fills the revents and returns how many there are.
func (s *System) poll(list []unix.PollFd, timeout time.Duration) int {
	p := poller{wake: make(chan struct{}, 1)}
	defer p.leave()
	for i := range list {
		p.add(s, &list[i])
	}
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	for {
		if n := p.look(list); n > 0 || timeout == 0 {
			return n
		}
		select {
		case <-p.wake:
		case <-expired:
			return p.look(list)
		}
	}
}

// poller is one poll in progress: a sleeper at each open file.
type poller struct {
	wake    chan struct{}
	entries []pollEntry
}

type pollEntry struct {
	file    *openFile // nil: not open, or a negative number
	sleeper *sleeper
}

func (p *poller) add(s *System, fd *unix.PollFd) {
	var e pollEntry
	if fd.Fd >= 0 {
		e.file = s.table.get(int(fd.Fd))
	}
	if e.file != nil {
		e.sleeper = &sleeper{events: uint32(uint16(fd.Events)) | alwaysPolled, wake: p.wake}
		e.file.addWaiter(e.sleeper)
	}
	p.entries = append(p.entries, e)
}

// look fills in what holds now.
func (p *poller) look(list []unix.PollFd) (n int) {
	for i := range list {
		fd, e := &list[i], p.entries[i]
		fd.Revents = 0
		switch {
		case e.file != nil:
			fd.Revents = int16(e.file.description.Ready() & e.sleeper.events)
		case fd.Fd >= 0:
			fd.Revents = unix.POLLNVAL
		}
		if fd.Revents != 0 {
			n++
		}
	}
	return n
}

func (p *poller) leave() {
	for _, e := range p.entries {
		if e.file != nil {
			e.file.removeWaiter(e.sleeper)
			_ = e.file.release() // closed meanwhile: nobody is left to tell
		}
	}
}

// What select's three sets ask for.
const (
	selectRead   = syscall.EPOLLIN | syscall.EPOLLHUP | syscall.EPOLLERR | unix.EPOLLRDNORM
	selectWrite  = syscall.EPOLLOUT | syscall.EPOLLERR | unix.EPOLLWRNORM
	selectExcept = syscall.EPOLLPRI
)

func (s *System) pselect(a *[6]uintptr) (int, syscall.Errno) {
	timeout, e := timeoutArg(&a[4])
	if e != 0 {
		return 0, e
	}
	return s.selectFor(a, timeout)
}

// selectFor is select(2) by way of poll.
func (s *System) selectFor(a *[6]uintptr, timeout time.Duration) (int, syscall.Errno) {
	count := int(int32(a[0]))
	if count < 0 || count > MaxDescriptors {
		return 0, syscall.EINVAL
	}
	var sets [3][]uint64
	for i := range sets {
		if a[1+i] != 0 {
			var e syscall.Errno
			if sets[i], e = array[uint64](&a[1+i], (count+63)/64); e != 0 {
				return 0, e
			}
		}
	}
	list := selected(sets, count)
	for i := range list {
		if !s.Has(int(list[i].Fd)) {
			return 0, syscall.EBADF
		}
	}
	s.poll(list, timeout)
	return fillSets(sets, list), 0
}

var selectEvents = [3]uint32{selectRead, selectWrite, selectExcept}

// selected is what the sets ask for, in poll's terms.
func selected(sets [3][]uint64, count int) (list []unix.PollFd) {
	for fd := range count {
		events := uint32(0)
		for i, set := range sets {
			if set != nil && set[fd/64]>>(fd%64)&1 != 0 {
				events |= selectEvents[i]
			}
		}
		if events != 0 {
			list = append(list, unix.PollFd{Fd: int32(fd), Events: int16(events)})
		}
	}
	return list
}

// fillSets leaves in the sets what came, and counts the bits.
func fillSets(sets [3][]uint64, list []unix.PollFd) (n int) {
	for i, set := range sets {
		asked := make([]uint64, len(set))
		copy(asked, set)
		clear(set)
		for _, p := range list {
			word, bit := p.Fd/64, uint64(1)<<(p.Fd%64)
			if set != nil && asked[word]&bit != 0 && uint32(uint16(p.Revents))&selectEvents[i] != 0 {
				set[word] |= bit
				n++
			}
		}
	}
	return n
}
