package linux

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/net/flow"
)

// socketCalls are the calls on sockets.
var socketCalls = []call{
	{unix.SYS_SOCKET, (*System).socket},
	{unix.SYS_SOCKETPAIR, (*System).socketpair},
	{unix.SYS_BIND, (*System).bind},
	{unix.SYS_LISTEN, (*System).listen},
	{unix.SYS_ACCEPT, (*System).accept},
	{unix.SYS_ACCEPT4, (*System).accept4},
	{unix.SYS_CONNECT, (*System).connect},
	{unix.SYS_SHUTDOWN, (*System).shutdown},
	{unix.SYS_GETSOCKNAME, (*System).getsockname},
	{unix.SYS_GETPEERNAME, (*System).getpeername},
	{unix.SYS_SETSOCKOPT, (*System).setsockopt},
	{unix.SYS_GETSOCKOPT, (*System).getsockopt},
	{unix.SYS_SENDTO, (*System).sendto},
	{unix.SYS_RECVFROM, (*System).recvfrom},
	{unix.SYS_SENDMSG, (*System).sendmsg},
	{unix.SYS_RECVMSG, (*System).recvmsg},
	{unix.SYS_SENDMMSG, (*System).sendmmsg},
	{unix.SYS_RECVMMSG, (*System).recvmmsg},
}

// maxBacklog is the longest accept queue (net.core.somaxconn).
const maxBacklog = 4096

// Network is the TCP/IP stack under the sockets; services/net satisfies it.
type Network interface {
	// Stack makes the endpoints.
	Stack() *stack.Stack
	// Ready is closed when the network is configured, or has failed to be.
	Ready() <-chan struct{}
	// WhenReady runs f once Ready is closed.
	WhenReady(f func())
	// Snapshot is what route sockets show.
	Snapshot() net.Snapshot
	// JoinedGroup notes a multicast group that a socket has joined, for the
	// snapshots.
	JoinedGroup(group netip.Addr)
	// Flows lists who listens and who is connected.
	Flows() *flow.Registry
	// Permit reports whether the firewall lets a program reach another host.
	Permit(p firewall.Protocol, peer netip.AddrPort, program string) bool
}

// socket is a description that the calls on sockets apply to. There are three
// kinds: of the internet families, Unix and netlink. None of the methods
// blocks: they return EAGAIN (or EINPROGRESS for connect), and the callers in
// this file wait where the descriptor is a blocking one.
type socket interface {
	Pollable

	bind(name []byte) error
	listen(backlog int) error
	accept() (socket, error)
	connect(name []byte) error
	shutdown(how int) error

	localName(name *socketName) error
	peerName(name *socketName) error

	// send sends what m's cursor has left and returns how much was taken.
	send(m *message) (int, error)
	// receive fills m, and returns how many bytes it got, or with MSG_TRUNC
	// how many there were.
	receive(m *message) (int, error)

	// setOption takes the raw value; getOption fills value and returns its
	// length. ENOPROTOOPT for what is not known.
	setOption(level, option int, value []byte) error
	getOption(level, option int, value []byte) (int, error)
}

// socketFile is the open file of a descriptor that must be a socket. The
// caller releases it.
func (s *System) socketFile(fd uintptr) (*openFile, socket, syscall.Errno) {
	f, e := s.file(fd)
	if e != 0 {
		return nil, nil, e
	}
	sock, ok := f.description.(socket)
	if !ok {
		f.release()
		return nil, nil, syscall.ENOTSOCK
	}
	return f, sock, 0
}

const socketFlags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

// socket is socket(2).
func (s *System) socket(a *[6]uintptr) (int, syscall.Errno) {
	family, kind, protocol := int(int32(a[0])), int(int32(a[1])), int(int32(a[2]))
	d, e := s.newSocket(family, kind&^socketFlags, protocol)
	if e != 0 {
		return 0, e
	}
	return s.installSocket(d, kind)
}

// maxSocketType is SOCK_MAX.
const maxSocketType = 11

func (s *System) newSocket(family, kind, protocol int) (socket, syscall.Errno) {
	if kind < 0 || kind >= maxSocketType {
		return nil, syscall.EINVAL
	}
	switch family {
	case unix.AF_INET, unix.AF_INET6:
		if s.network == nil {
			return nil, syscall.EAFNOSUPPORT
		}
		return newInetSocket(s.network, family, kind, protocol)
	case unix.AF_UNIX:
		return s.newUnixSocket(kind, protocol)
	case unix.AF_NETLINK:
		if s.network == nil {
			return nil, syscall.EAFNOSUPPORT
		}
		return newNetlinkSocket(s.network, kind, protocol)
	}
	return nil, syscall.EAFNOSUPPORT
}

// installSocket gives a socket a descriptor; kind carries SOCK_NONBLOCK and
// SOCK_CLOEXEC, which have the values of the O_ flags.
func (s *System) installSocket(d socket, kind int) (int, syscall.Errno) {
	flags := uint32(syscall.O_RDWR) | uint32(kind&socketFlags)
	fd, err := s.Install(d, flags, "socket:[0]")
	return result(fd, err)
}

// socketpair is socketpair(2), for Unix sockets.
func (s *System) socketpair(a *[6]uintptr) (int, syscall.Errno) {
	family, kind, protocol := int(int32(a[0])), int(int32(a[1])), int(int32(a[2]))
	if family != unix.AF_UNIX {
		return 0, syscall.EOPNOTSUPP
	}
	fds, e := object[[2]int32](&a[3])
	if e != 0 {
		return 0, e
	}
	first, second, e := s.newUnixPair(kind&^socketFlags, protocol)
	if e != 0 {
		return 0, e
	}
	fd0, e := s.installSocket(first, kind)
	if e != 0 {
		return 0, errno(closeAfter(second, e))
	}
	fd1, e := s.installSocket(second, kind)
	if e != 0 {
		_ = s.closeDescriptor(fd0) // e is the news
		return 0, e
	}
	fds[0], fds[1] = int32(fd0), int32(fd1)
	return 0, 0
}

// bind is bind(2).
func (s *System) bind(a *[6]uintptr) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	name, e := nameArgument(&a[1], a[2])
	if e != 0 {
		return 0, e
	}
	return 0, errno(sock.bind(name))
}

// listen is listen(2).
func (s *System) listen(a *[6]uintptr) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	backlog := int(int32(a[1]))
	if backlog < 0 || backlog > maxBacklog {
		backlog = maxBacklog
	}
	err := sock.listen(backlog)
	if err == nil {
		f.exhausted(syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLHUP)
	}
	return 0, errno(err)
}

// accept is accept(2).
func (s *System) accept(a *[6]uintptr) (int, syscall.Errno) {
	b := *a
	b[3] = 0
	return s.accept4(&b)
}

// accept4 is accept4(2).
func (s *System) accept4(a *[6]uintptr) (int, syscall.Errno) {
	flags := int(int32(a[3]))
	if flags&^socketFlags != 0 {
		return 0, syscall.EINVAL
	}
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	conn, err := sock.accept()
	if err == syscall.EAGAIN {
		_, err = f.again(syscall.EPOLLIN, f.readTimeout(), func() (int, error) {
			var err error
			conn, err = sock.accept()
			return 0, err
		})
	}
	if err != nil {
		return 0, errno(err)
	}
	if a[1] != 0 {
		if e := storePeer(conn, &a[1], &a[2]); e != 0 {
			return 0, errno(closeAfter(conn, e))
		}
	}
	return s.installSocket(conn, flags)
}

// storePeer writes the peer's name. A connection that has already ended has
// none any more, and is accepted all the same.
func storePeer(conn socket, addr, size *uintptr) syscall.Errno {
	var name socketName
	if err := conn.peerName(&name); err != nil {
		name.n = 0
	}
	return name.store(addr, size)
}

// connect is connect(2).
func (s *System) connect(a *[6]uintptr) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	name, e := nameArgument(&a[1], a[2])
	if e != 0 {
		return 0, e
	}
	err := sock.connect(name)
	switch {
	case err == syscall.EAGAIN: // a Unix listener's queue is full
		_, err = f.again(syscall.EPOLLOUT, f.writeTimeout(), func() (int, error) { return 0, sock.connect(name) })
	case err == syscall.EINPROGRESS:
		f.exhausted(syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLHUP | syscall.EPOLLERR)
		if !f.nonblocking() {
			err = f.awaitConnection(sock, name)
		}
	case err == nil:
		f.exhausted(syscall.EPOLLIN | syscall.EPOLLHUP)
		f.mark(f.description.Ready())
	}
	return 0, errno(err)
}

// awaitConnection waits until an attempt to connect to the name has ended.
func (f *openFile) awaitConnection(sock socket, name []byte) error {
	var peer socketName
	for {
		if !f.wait(syscall.EPOLLOUT, f.writeTimeout()) {
			return syscall.EINPROGRESS
		}
		if err := pendingError(sock); err != nil {
			return err
		}
		if err := sock.peerName(&peer); err == nil {
			// Connecting again takes note of the success.
			if err := sock.connect(name); err != syscall.EISCONN {
				return err
			}
			return nil
		}
		f.exhausted(syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLHUP | syscall.EPOLLERR)
	}
}

// pendingError takes SO_ERROR.
func pendingError(sock socket) error {
	var value [4]byte
	if _, err := sock.getOption(unix.SOL_SOCKET, unix.SO_ERROR, value[:]); err != nil {
		return err
	}
	if n := getInt(value[:]); n != 0 {
		return syscall.Errno(n)
	}
	return nil
}

// shutdown is shutdown(2).
func (s *System) shutdown(a *[6]uintptr) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	how := int(int32(a[1]))
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return 0, syscall.EINVAL
	}
	err := sock.shutdown(how)
	if err == nil {
		f.notify(f.description.Ready())
	}
	return 0, errno(err)
}

// getsockname is getsockname(2).
func (s *System) getsockname(a *[6]uintptr) (int, syscall.Errno) {
	return s.name(a, socket.localName)
}

// getpeername is getpeername(2).
func (s *System) getpeername(a *[6]uintptr) (int, syscall.Errno) {
	return s.name(a, socket.peerName)
}

func (s *System) name(a *[6]uintptr, read func(socket, *socketName) error) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	var name socketName
	if err := read(sock, &name); err != nil {
		return 0, errno(err)
	}
	return 0, name.store(&a[1], &a[2])
}

// setsockopt is setsockopt(2).
func (s *System) setsockopt(a *[6]uintptr) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	size := int(int32(a[4]))
	if size < 0 || size > maxOptionSize {
		return 0, syscall.EINVAL
	}
	value, e := buffer(&a[3], uintptr(size))
	if e != 0 {
		return 0, e
	}
	return 0, errno(sock.setOption(int(int32(a[1])), int(int32(a[2])), value))
}

// getsockopt is getsockopt(2).
func (s *System) getsockopt(a *[6]uintptr) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	size, e := object[int32](&a[4])
	if e != 0 {
		return 0, e
	}
	if *size < 0 {
		return 0, syscall.EINVAL
	}
	value, e := buffer(&a[3], uintptr(min(*size, maxOptionSize)))
	if e != 0 {
		return 0, e
	}
	n, err := sock.getOption(int(int32(a[1])), int(int32(a[2])), value)
	if err != nil {
		return 0, errno(err)
	}
	*size = int32(n)
	return 0, 0
}
