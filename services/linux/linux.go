package linux

import (
	"errors"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
)

// Config says what a System stands on. Kernel and Files are required.
type Config struct {
	Kernel  Kernel
	Files   *file.FS // the root file system
	Console Description
	Machine Machine // what uname, sysinfo and /proc show
	Network Network // nil: sockets fail with EAFNOSUPPORT

	// Restart carries out reboot(2); nil: EPERM.
	Restart func(Restart) error
}

// System serves the Linux system calls that concern state. Make it with New.
type System struct {
	kernel  Kernel
	files   *file.FS
	machine Machine
	network Network
	restart func(Restart) error

	table table
	calls [callNumbers]handler
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

// New makes the system and installs the console, if there is one, as
// descriptors 0, 1 and 2.
func New(c Config) (*System, error) {
	if c.Kernel == nil || c.Files == nil {
		return nil, errors.New("linux: a system needs a kernel and files")
	}
	s := &System{
		kernel:  c.Kernel,
		files:   c.Files,
		machine: c.Machine,
		network: c.Network,
		restart: c.Restart,
	}
	for i := range s.calls {
		s.calls[i] = (*System).unknown
	}
	for _, list := range [][]call{descriptorCalls, socketCalls, oldCalls} {
		for _, c := range list {
			s.calls[c.number] = c.handler
		}
	}
	return s, s.openConsole(c.Console)
}

// openConsole makes descriptors 0, 1 and 2, which share one description.
func (s *System) openConsole(console Description) error {
	if console == nil {
		return nil
	}
	f := newOpenFile(s.kernel, console, syscall.O_RDWR, "/dev/console")
	for range 3 {
		if _, e := s.installAt(f, 0, false); e != 0 {
			return e
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
