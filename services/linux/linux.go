package linux

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/services/file"
)

// Config says what a System stands on. Kernel, Files and Machine are
// required.
type Config struct {
	Kernel  Kernel
	Files   *file.FS // the root file system
	Machine Machine
	Memory  Memory  // nil: no file can be mapped, ENODEV
	Network Network // nil: sockets fail with EAFNOSUPPORT

	// Console opens another description of the console; nil: there is none
	// and descriptors 0, 1 and 2 are /dev/null.
	Console func() Description

	// Restart carries out reboot(2); nil: EPERM.
	Restart func(Restart) error

	// Executable is the path that /proc/self/exe shows; "" means /bin/main.
	Executable string

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// Rights is asked for callers that are not root; nil: they may do everything.
	Rights Rights
}

// System serves the Linux system calls that concern state. Make it with New.
type System struct {
	kernel     Kernel
	files      *file.FS
	machine    Machine
	memory     Memory
	network    Network
	console    func() Description
	restart    func(Restart) error
	executable string
	now        func() time.Time
	rights     Rights

	table          table
	maxDescriptors atomic.Int64
	calls          [callNumbers]handler

	root   node // of the files
	mounts []mount
	cwd    atomic.Pointer[workingDirectory]
	umask  atomic.Uint32

	locks     lockTable
	fifos     fifos
	pasts     pasts
	anonymous atomic.Uint64 // counts what has no name: pipes and the like
	hostname  atomic.Pointer[string]
	unixNames unixNames
	mappings  mappings
	watches   watches
}

// handler serves one system call. It returns the result, or an errno other
// than 0.
type handler func(s *System, a *[6]uintptr) (int, syscall.Errno)

// call gives a number its handler.
type call struct {
	number  uintptr
	handler handler
}

// callNumbers is above every number that is served.
const callNumbers = 512

// New makes the system, and on the files what every program expects there.
// The console, if there is one, becomes descriptors 0, 1 and 2.
func New(c Config) (*System, error) {
	if c.Kernel == nil || c.Files == nil || c.Machine == nil {
		return nil, errors.New("linux: a system needs a kernel, files and a machine")
	}
	s := &System{
		kernel:     c.Kernel,
		files:      c.Files,
		machine:    c.Machine,
		memory:     c.Memory,
		network:    c.Network,
		console:    c.Console,
		restart:    c.Restart,
		executable: cmp.Or(c.Executable, "/bin/main"),
		now:        c.Now,
		rights:     c.Rights,
		root:       diskNode{c.Files.Root()},
		locks:      lockTable{inodes: map[lockKey][]lock{}, changed: make(chan struct{}), tell: c.Files.LocksChanged},
		fifos:      fifos{open: map[uint64]*fifo{}},
	}
	s.files.FollowLocks(s.locks.rows)
	if s.now == nil {
		s.now = time.Now
	}
	s.fifos.changed.L = &s.fifos.mu
	s.maxDescriptors.Store(MaxDescriptors)
	s.umask.Store(0o022)
	s.cwd.Store(&workingDirectory{s.root, "/"})
	s.fillCalls()
	s.files.Listen(func(n *file.Notice) {
		s.follow(n)
		s.watches.noticed(n)
	})
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, nil
}

// start brings a new system to where programs can run.
func (s *System) start() error {
	if err := s.files.Root().Open(); err != nil { // for the working directory
		return err
	}
	if err := s.prepareFiles(); err != nil {
		return err
	}
	for _, m := range []mount{
		{path: "/proc", kind: "proc", root: s.newProc()},
		{path: "/sys", kind: "sysfs", root: s.newSys()},
		{path: "/.at", kind: "past", root: s.newAt()},
	} {
		over, err := s.files.Root().Lookup(m.path[1:])
		if err != nil {
			return fmt.Errorf("linux: mount %s: %w", m.path, err)
		}
		m.on, m.over = over.Number(), over
		s.mounts = append(s.mounts, m)
	}
	s.SetHostname(cmp.Or(strings.TrimSpace(s.readSmallFile("/etc/hostname")), "tuplix"))
	return s.openStandard()
}

func (s *System) fillCalls() {
	for i := range s.calls {
		s.calls[i] = (*System).unknown
	}
	for _, list := range [][]call{
		ioCalls, positionCalls, vectorCalls, openCalls, directoryCalls, statCalls,
		nameCalls, attributeCalls, xattrCalls, mapCalls, inotifyCalls, dupCalls, lockCalls, pipeCalls, copyCalls,
		pollCalls, processCalls, socketCalls, oldCalls, refusedCalls,
	} {
		for _, c := range list {
			s.calls[c.number] = c.handler
		}
	}
}

// openStandard makes descriptors 0, 1 and 2, which share one description.
func (s *System) openStandard() error {
	path := "/dev/null"
	if s.console != nil {
		path = "/dev/console"
	}
	d, err := s.describe(atCWD, path, syscall.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("linux: open %s: %w", path, err)
	}
	f := s.newOpenFile(d, syscall.O_RDWR, path)
	for range 3 {
		if _, e := s.installAt(f, 0, false); e != 0 {
			return fmt.Errorf("linux: descriptor of %s: %w", path, e)
		}
	}
	return nil
}

// Call serves system call number nr and returns its result, or -errno as
// Linux does. It may be called from any goroutine, also from many at once,
// and runs the call on that goroutine, parking it where the call blocks.
//
// Pointers among the arguments must stay valid and must not move until Call
// returns: memory of the heap, or of a stack that cannot grow meanwhile.
func (s *System) Call(nr uintptr, a *[6]uintptr) uintptr {
	if nr >= callNumbers {
		return failure(syscall.ENOSYS)
	}
	n, e := s.calls[nr](s, a)
	if e != 0 {
		return failure(e)
	}
	return uintptr(n)
}

// failure is -errno in a result register.
func failure(e syscall.Errno) uintptr { return -uintptr(e) }

func (s *System) unknown(*[6]uintptr) (int, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// errno is the number of an error that a service returned. The services
// promise syscall.Errno; anything else (a storage failure) is EIO.
func errno(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	if e := syscall.Errno(0); errors.As(err, &e) {
		return e
	}
	return syscall.EIO
}

// result packs what a description returned.
func result(n int, err error) (int, syscall.Errno) {
	if err != nil {
		return 0, errno(err)
	}
	return n, 0
}
