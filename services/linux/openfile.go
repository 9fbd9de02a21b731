package linux

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// openFile wraps a Description with what open(2) calls the open file
// description's state: offset, status flags, references. One openFile is
// shared by all descriptors that dup made of it.
//
// Life: install gives it one reference per descriptor; every call in
// progress holds one more; the last release closes the description.
//
// Locks: position guards offset and may be held across a description's
// ReadAt, WriteAt and ReadDir. poll.mu is a leaf: neither the description
// nor another lock of this package is entered with it held (the kernel's
// SetReady and ClearReady are), so a description may notify with its own
// locks held.
type openFile struct {
	description Description
	reader      PositionReader // description, where it is one
	writer      PositionWriter // likewise
	path        string         // as opened, for /proc/self/fd
	kernel      Kernel
	system      *System
	origin      atomic.Pointer[origin] // where it is, for who watches; nil: nobody asked

	flags      atomic.Uint32 // O_ACCMODE, O_APPEND, O_NONBLOCK, O_SYNC, ...
	references atomic.Int32

	descriptors atomic.Int32 // that refer to it now

	position sync.Mutex
	offset   int64

	pollable bool
	poll     struct {
		mu      sync.Mutex
		numbers []int      // the descriptors that refer to this file
		waiters []*sleeper // calls that wait for readiness
	}
}

// sleeper is one goroutine that waits for any of the events.
type sleeper struct {
	events uint32
	wake   chan struct{} // capacity 1
}

// Always reported by poll(2) and friends, whatever was asked for.
const alwaysPolled = syscall.EPOLLERR | syscall.EPOLLHUP

func (s *System) newOpenFile(d Description, flags uint32, path string) *openFile {
	f := &openFile{description: d, path: path, kernel: s.kernel, system: s}
	f.reader, _ = d.(PositionReader)
	f.writer, _ = d.(PositionWriter)
	f.setFlags(flags)
	if p, ok := d.(Pollable); ok {
		f.pollable = true
		p.Notify(f.notify)
	}
	return f
}

func (f *openFile) setFlags(flags uint32) {
	f.flags.Store(flags)
	if w, ok := f.description.(FlagWatcher); ok {
		w.FlagsChanged(flags)
	}
}

func (f *openFile) readable() bool {
	flags := f.flags.Load()
	return flags&syscall.O_ACCMODE != syscall.O_WRONLY && flags&oPath == 0
}

func (f *openFile) writable() bool {
	flags := f.flags.Load()
	return flags&syscall.O_ACCMODE != syscall.O_RDONLY && flags&oPath == 0
}

func (f *openFile) nonblocking() bool {
	return f.flags.Load()&syscall.O_NONBLOCK != 0
}

// acquire takes a reference unless the last one has already gone.
func (f *openFile) acquire() bool {
	for {
		n := f.references.Load()
		if n == 0 {
			return false
		}
		if f.references.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a reference back and closes the description with the last.
func (f *openFile) release() error {
	if f.references.Add(-1) > 0 {
		return nil
	}
	f.ended()
	return f.description.Close()
}

// ended tells who watches that the file is about to be closed.
func (f *openFile) ended() {
	switch flags := f.flags.Load(); {
	case flags&oPath != 0:
	case flags&syscall.O_ACCMODE == syscall.O_RDONLY:
		f.system.happened(f, unix.IN_CLOSE_NOWRITE)
	default:
		f.system.happened(f, unix.IN_CLOSE_WRITE)
	}
}

// attach makes the descriptor number follow the readiness of the file.
func (f *openFile) attach(fd int) {
	f.descriptors.Add(1)
	if !f.pollable {
		return
	}
	f.poll.mu.Lock()
	f.poll.numbers = append(f.poll.numbers, fd)
	f.poll.mu.Unlock()
	f.mark(f.description.Ready())
}

func (f *openFile) detach(fd int) {
	f.descriptors.Add(-1)
	if !f.pollable {
		return
	}
	f.poll.mu.Lock()
	defer f.poll.mu.Unlock()
	for i, n := range f.poll.numbers {
		if n == fd {
			f.poll.numbers = append(f.poll.numbers[:i], f.poll.numbers[i+1:]...)
			return
		}
	}
}

// notify is the callback of Pollable.Notify.
func (f *openFile) notify(events uint32) {
	f.poll.mu.Lock()
	defer f.poll.mu.Unlock()
	for _, fd := range f.poll.numbers {
		f.kernel.SetReady(fd, events)
	}
	for _, w := range f.poll.waiters {
		if w.events&events != 0 {
			select {
			case w.wake <- struct{}{}:
			default: // already woken
			}
		}
	}
}

// mark tells the kernel about events that were found to hold.
func (f *openFile) mark(events uint32) {
	if events == 0 {
		return
	}
	f.poll.mu.Lock()
	defer f.poll.mu.Unlock()
	for _, fd := range f.poll.numbers {
		f.kernel.SetReady(fd, events)
	}
}

// exhausted is called when the description said EAGAIN: it takes the marks
// back, so that the next edge wakes epoll again, and then looks once more.
// A hang-up or error goes with them, since one that no longer holds (a FIFO
// that got a new writer) would swallow the edge of the next.
func (f *openFile) exhausted(events uint32) {
	if !f.pollable {
		return
	}
	events |= alwaysPolled | syscall.EPOLLRDHUP
	f.poll.mu.Lock()
	for _, fd := range f.poll.numbers {
		f.kernel.ClearReady(fd, events)
	}
	f.poll.mu.Unlock()
	f.mark(f.description.Ready() & events)
}

func (f *openFile) addWaiter(w *sleeper) {
	f.poll.mu.Lock()
	f.poll.waiters = append(f.poll.waiters, w)
	f.poll.mu.Unlock()
}

func (f *openFile) removeWaiter(w *sleeper) {
	f.poll.mu.Lock()
	defer f.poll.mu.Unlock()
	for i, other := range f.poll.waiters {
		if other == w {
			f.poll.waiters = append(f.poll.waiters[:i], f.poll.waiters[i+1:]...)
			return
		}
	}
}

// wait parks the goroutine until one of the events holds. A timeout of zero
// means for ever; when it runs out the answer is false.
func (f *openFile) wait(events uint32, timeout time.Duration) bool {
	w := &sleeper{events: events | alwaysPolled, wake: make(chan struct{}, 1)}
	f.addWaiter(w)
	defer f.removeWaiter(w)
	if f.description.Ready()&w.events != 0 {
		return true
	}
	if timeout == 0 {
		<-w.wake
		return true
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-w.wake:
		return true
	case <-timer.C:
		return false
	}
}

// again goes on with a call that said EAGAIN: on a non-blocking descriptor
// it returns that, on a blocking one it waits for the events and tries until
// the answer is another. A timeout of zero means for ever.
//
// All blocking of the system calls on descriptions happens here.
func (f *openFile) again(events uint32, timeout time.Duration, try func() (int, error)) (int, error) {
	f.exhausted(events)
	if !f.pollable || f.nonblocking() {
		return 0, syscall.EAGAIN
	}
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	for {
		remaining := time.Duration(0)
		if timeout > 0 {
			if remaining = time.Until(deadline); remaining <= 0 {
				return 0, syscall.EAGAIN
			}
		}
		if !f.wait(events, remaining) {
			return 0, syscall.EAGAIN
		}
		n, err := try()
		if err != syscall.EAGAIN {
			return n, err
		}
		f.exhausted(events)
	}
}
