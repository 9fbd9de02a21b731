package linux

import (
	"encoding/binary"
	"sync"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

var inotifyCalls = []call{
	{unix.SYS_INOTIFY_INIT, func(s *System, _ *[6]uintptr) (int, syscall.Errno) { return s.inotifyInit(&[6]uintptr{}) }},
	{unix.SYS_INOTIFY_INIT1, (*System).inotifyInit},
	{unix.SYS_INOTIFY_ADD_WATCH, (*System).inotifyAdd},
	{unix.SYS_INOTIFY_RM_WATCH, (*System).inotifyRemove},
}

// The bounds of inotify, which are Linux's; /proc/sys/fs/inotify shows them.
const (
	maxInotifyEvents  = 16384 // that one instance keeps; then IN_Q_OVERFLOW
	maxInotify        = 128   // instances
	maxInotifyWatches = 65536 // of all instances
)

// inotify is an instance: a queue of events, and watches that fill it.
//
//	0  watch (4)   8  cookie (4)
//	4  mask (4)   12  length of the name with zeros behind it (4)
//	16 name, zero-terminated, up to a multiple of 16
type inotify struct {
	s      *System
	number uint64
	born   time.Time

	mu     sync.Mutex // after watches.mu
	events []inotifyEvent
	ready  func(uint32)

	// Guarded by System.watches.mu:
	numbers map[int32]*watch
	inodes  map[*file.Inode]*watch
	last    int32 // number of a watch
}

type inotifyEvent struct {
	watch        int32
	mask, cookie uint32
	name         string
}

// watch is what an instance wants to know of an inode.
type watch struct {
	of     *inotify
	number int32
	inode  *file.Inode
	mask   uint32
}

func (s *System) inotifyInit(a *[6]uintptr) (int, syscall.Errno) {
	if a[0]&^(unix.IN_NONBLOCK|unix.IN_CLOEXEC) != 0 {
		return 0, syscall.EINVAL
	}
	if s.watches.instances.Add(1) > maxInotify {
		s.watches.instances.Add(-1)
		return 0, syscall.EMFILE
	}
	i := &inotify{
		s: s, number: s.anonymous.Add(1), born: s.now(),
		numbers: map[int32]*watch{}, inodes: map[*file.Inode]*watch{},
	}
	return result(s.Install(i, uint32(a[0]), "anon_inode:inotify"))
}

// instance is the inotify behind a descriptor: EINVAL for any other.
func (s *System) instance(fd uintptr) (*inotify, *openFile, syscall.Errno) {
	f, e := s.file(fd)
	if e != 0 {
		return nil, nil, e
	}
	i, ok := f.description.(*inotify)
	if !ok {
		f.release()
		return nil, nil, syscall.EINVAL
	}
	return i, f, 0
}

// inotifyAdd has the arguments descriptor, path, mask.
func (s *System) inotifyAdd(a *[6]uintptr) (int, syscall.Errno) {
	const options = unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW | unix.IN_EXCL_UNLINK | unix.IN_MASK_CREATE |
		unix.IN_MASK_ADD | unix.IN_ONESHOT
	mask := uint32(a[2])
	if mask&(unix.IN_ALL_EVENTS|options|unix.IN_ISDIR|unix.IN_UNMOUNT|unix.IN_Q_OVERFLOW|unix.IN_IGNORED) == 0 ||
		mask&unix.IN_MASK_ADD != 0 && mask&unix.IN_MASK_CREATE != 0 {
		return 0, syscall.EINVAL
	}
	i, f, e := s.instance(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	path, e := cString(&a[1])
	if e != 0 {
		return 0, e
	}
	n, err := s.resolve(atCWD, path, mask&unix.IN_DONT_FOLLOW == 0, toRead)
	if err != nil {
		return 0, errno(err)
	}
	if mask&unix.IN_ONLYDIR != 0 && !isDirectory(n) {
		return 0, syscall.ENOTDIR
	}
	d, ok := n.(diskNode)
	if !ok { // nothing is told of what is made up
		return 0, syscall.EOPNOTSUPP
	}
	number, e := s.watches.add(i, d.Inode, mask)
	return int(number), e
}

func (s *System) inotifyRemove(a *[6]uintptr) (int, syscall.Errno) {
	i, f, e := s.instance(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	return 0, s.watches.remove(i, int32(a[1]))
}

// inotifyOverflow says that there were other events.
var inotifyOverflow = inotifyEvent{watch: -1, mask: unix.IN_Q_OVERFLOW}

// push adds an event, unless it repeats the last or there are too many.
func (i *inotify) push(e inotifyEvent) {
	i.mu.Lock()
	defer i.mu.Unlock()
	count := len(i.events)
	if count >= maxInotifyEvents {
		e = inotifyOverflow
	}
	if count > 0 && i.events[count-1] == e {
		return
	}
	i.events = append(i.events, e)
	if i.ready != nil {
		i.ready(syscall.EPOLLIN | unix.EPOLLRDNORM)
	}
}

// Read fills p with whole events: EINVAL if it has no room for the first.
func (i *inotify) Read(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.events) == 0 {
		return 0, syscall.EAGAIN
	}
	used := 0
	for len(i.events) > 0 {
		n := i.events[0].encode(p[used:])
		if n == 0 {
			break
		}
		used += n
		i.events = i.events[1:]
	}
	if used == 0 {
		return 0, syscall.EINVAL
	}
	if len(i.events) == 0 {
		i.events = nil // the array would grow for ever
	}
	return used, nil
}

const inotifyHeader = unix.SizeofInotifyEvent

func (e *inotifyEvent) size() int {
	if e.name == "" {
		return inotifyHeader
	}
	return inotifyHeader + (len(e.name)+1+inotifyHeader-1)/inotifyHeader*inotifyHeader
}

// encode returns how many bytes the event has taken, 0 if there is no room.
func (e *inotifyEvent) encode(p []byte) int {
	n := e.size()
	if n > len(p) {
		return 0
	}
	binary.NativeEndian.PutUint32(p, uint32(e.watch))
	binary.NativeEndian.PutUint32(p[4:], e.mask)
	binary.NativeEndian.PutUint32(p[8:], e.cookie)
	binary.NativeEndian.PutUint32(p[12:], uint32(n-inotifyHeader))
	clear(p[inotifyHeader+copy(p[inotifyHeader:n], e.name) : n])
	return n
}

func (i *inotify) Write([]byte) (int, error) { return 0, syscall.EBADF }

func (i *inotify) Ready() uint32 {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.events) > 0 {
		return syscall.EPOLLIN | unix.EPOLLRDNORM
	}
	return 0
}

// Notify is Pollable's.
func (i *inotify) Notify(ready func(uint32)) {
	i.mu.Lock()
	i.ready = ready
	i.mu.Unlock()
}

// Ioctl knows FIONREAD, which is TIOCINQ: how many bytes all events take.
func (i *inotify) Ioctl(request uint32, arg uintptr) (int, error) {
	if request != unix.TIOCINQ {
		return 0, syscall.ENOTTY
	}
	out, e := object[int32](&arg)
	if e != 0 {
		return 0, e
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	*out = 0
	for k := range i.events {
		*out += int32(i.events[k].size())
	}
	return 0, nil
}

// Stat is that of an anonymous inode.
func (i *inotify) Stat(st *syscall.Stat_t) error {
	at := i.born.UnixNano()
	a := file.Attr{Number: i.number, Mode: 0o600, Links: 1, Accessed: at, Modified: at, Changed: at, Born: at}
	fillStat(st, deviceAnonymous, &a)
	return nil
}

// Close ends the watches.
func (i *inotify) Close() error {
	i.s.watches.removeAll(i)
	i.s.watches.instances.Add(-1)
	return nil
}
