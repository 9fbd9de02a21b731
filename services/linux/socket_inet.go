package linux

import (
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/tuplix/tuplix/services/net/flow"
)

// inetSocket is a socket of AF_INET or AF_INET6 over an endpoint of the
// stack. It keeps no goroutine: the stack runs NotifyEvent, with its own locks
// held, when readiness changes.
//
// Before the network is configured a connect to another host waits, as part
// of the attempt to connect, and datagrams to other hosts find the socket not
// writable. mu guards that waiting only and is not held across stack calls
// that may notify.
type inetSocket struct {
	network  Network
	family   int
	kind     int // SOCK_STREAM, SOCK_DGRAM or SOCK_RAW
	protocol int
	ep       tcpip.Endpoint
	queue    *waiter.Queue
	entry    waiter.Entry
	notify   func(events uint32)
	timeouts timeouts
	owner    flow.Owner
	flow     atomic.Pointer[flow.Connection] // nil while there is no peer

	mu      sync.Mutex
	waiting bool               // a connect or datagram waits for the network
	pending *tcpip.FullAddress // where the connect that waits goes
	failed  error              // of the connect that waited, for SO_ERROR
	closed  bool

	listener *flow.Listener // nil unless it listens
}

// endpointEvents are those that the stack notifies of. Their values are those
// of poll(2).
const endpointEvents = waiter.AllEvents &^ waiter.EventInternal

// newInetSocket makes an unconnected socket.
func newInetSocket(n Network, family, kind, protocol int) (*inetSocket, syscall.Errno) {
	netProto := tcpip.NetworkProtocolNumber(header.IPv4ProtocolNumber)
	if family == unix.AF_INET6 {
		netProto = header.IPv6ProtocolNumber
	}
	transport, e := transportOf(family, kind, protocol)
	if e != 0 {
		return nil, e
	}
	s := &inetSocket{network: n, family: family, kind: kind, protocol: int(transport), queue: new(waiter.Queue), owner: ownerHere()}
	var err tcpip.Error
	if kind == unix.SOCK_RAW {
		s.ep, err = n.Stack().NewRawEndpoint(transport, netProto, s.queue, true)
	} else {
		s.ep, err = n.Stack().NewEndpoint(transport, netProto, s.queue)
	}
	if err != nil {
		return nil, stackErrno(err)
	}
	return s, 0
}

// transportOf checks what socket(2) was asked for.
func transportOf(family, kind, protocol int) (tcpip.TransportProtocolNumber, syscall.Errno) {
	icmp := unix.IPPROTO_ICMP
	if family == unix.AF_INET6 {
		icmp = unix.IPPROTO_ICMPV6
	}
	if protocol < 0 || protocol > 255 {
		return 0, syscall.EINVAL
	}
	switch kind {
	case unix.SOCK_STREAM:
		if protocol == 0 || protocol == unix.IPPROTO_TCP {
			return header.TCPProtocolNumber, 0
		}
		return 0, syscall.EPROTONOSUPPORT
	case unix.SOCK_DGRAM:
		if protocol == 0 || protocol == unix.IPPROTO_UDP {
			return header.UDPProtocolNumber, 0
		}
		if protocol == icmp {
			return tcpip.TransportProtocolNumber(icmp), 0
		}
		return 0, syscall.EPROTONOSUPPORT
	case unix.SOCK_RAW:
		if protocol == 0 {
			return 0, syscall.EPROTONOSUPPORT
		}
		return tcpip.TransportProtocolNumber(protocol), 0
	}
	return 0, syscall.ESOCKTNOSUPPORT
}

func (s *inetSocket) stream() bool { return s.kind == unix.SOCK_STREAM }

// NotifyEvent implements waiter.EventListener.
func (s *inetSocket) NotifyEvent(mask waiter.EventMask) {
	s.notify(uint32(mask & endpointEvents))
}

// Notify implements Pollable. It is called once, before the socket is used.
func (s *inetSocket) Notify(ready func(events uint32)) {
	s.notify = ready
	s.entry.Init(s, endpointEvents)
	s.queue.EventRegister(&s.entry)
}

// Ready implements Description.
func (s *inetSocket) Ready() uint32 {
	s.mu.Lock()
	waiting, failed := s.waiting, s.failed
	s.mu.Unlock()
	if waiting {
		return 0
	}
	if failed != nil {
		return syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLERR | syscall.EPOLLHUP
	}
	events := uint32(s.ep.Readiness(endpointEvents))
	if s.stream() {
		return s.streamEvents(events)
	}
	return events
}

// streamEvents makes up for where the stack's view of a stream is not that of
// tcp_poll: an unconnected one is writable, and one that was closed in order
// has no error.
func (s *inetSocket) streamEvents(events uint32) uint32 {
	switch tcp.EndpointState(s.ep.State()) {
	case tcp.StateInitial, tcp.StateBound:
		return syscall.EPOLLOUT | syscall.EPOLLHUP
	case tcp.StateClose, tcp.StateTimeWait:
		return events &^ syscall.EPOLLERR
	}
	return events
}

// Read implements Description.
func (s *inetSocket) Read(p []byte) (int, error) {
	t := transfers.Get().(*transfer)
	t.set(p)
	n, err := s.readEndpoint(t, tcpip.ReadOptions{}, nil)
	t.one[0] = nil
	transfers.Put(t)
	return n, err
}

// transfers serve read and write, which have no message.
var transfers = sync.Pool{New: func() any { return new(transfer) }}

// readEndpoint reads once. What it tells beyond the count goes to res.
func (s *inetSocket) readEndpoint(t *transfer, opts tcpip.ReadOptions, res *tcpip.ReadResult) (int, error) {
	r, err := s.ep.Read(t, opts)
	if err != nil {
		return s.readError(err, t)
	}
	if r.Count > 0 && !opts.Peek {
		s.ep.ModerateRecvBuf(r.Count)
		if c := s.flow.Load(); c != nil {
			c.Received.Add(uint64(r.Count))
		}
	}
	if res != nil {
		*res = r
	}
	return r.Count, nil
}

// readError tells the end of the stream from errors.
func (s *inetSocket) readError(err tcpip.Error, t *transfer) (int, error) {
	switch err.(type) {
	case *tcpip.ErrClosedForReceive:
		return 0, nil
	case *tcpip.ErrBadBuffer:
		if t.Len() == 0 { // a read of no bytes
			return 0, nil
		}
	}
	return 0, stackErrno(err)
}

// Write implements Description.
func (s *inetSocket) Write(p []byte) (int, error) {
	t := transfers.Get().(*transfer)
	t.set(p)
	n, err := s.writeEndpoint(t, tcpip.WriteOptions{})
	t.one[0] = nil
	transfers.Put(t)
	return n, err
}

func (s *inetSocket) writeEndpoint(t *transfer, opts tcpip.WriteOptions) (int, error) {
	if s.stream() && t.Len() == 0 {
		return 0, nil
	}
	n, err := s.ep.Write(t, opts)
	if err == nil {
		if c := s.flow.Load(); c != nil {
			c.Sent.Add(uint64(n))
		}
		return int(n), nil
	}
	if s.stream() {
		return 0, s.streamWriteError(err)
	}
	return 0, s.datagramWriteError(err, opts.To)
}

// streamWriteError gives the errnos of tcp_sendmsg.
func (s *inetSocket) streamWriteError(err tcpip.Error) error {
	switch err.(type) {
	case *tcpip.ErrInvalidEndpointState:
		return syscall.EPIPE // never connected
	case *tcpip.ErrConnectStarted:
		return syscall.EAGAIN
	case *tcpip.ErrNotConnected:
		return syscall.EPIPE
	}
	return stackErrno(err)
}

// datagramWriteError turns "no route" into "not yet" while the network is
// being configured.
func (s *inetSocket) datagramWriteError(err tcpip.Error, to *tcpip.FullAddress) error {
	switch err.(type) {
	case *tcpip.ErrNetworkUnreachable, *tcpip.ErrHostUnreachable, *tcpip.ErrBadLocalAddress:
		if to != nil && s.waitForNetwork() {
			return syscall.EAGAIN
		}
	}
	return stackErrno(err)
}

// waitForNetwork tells whether the network is still being configured, and if
// so makes the socket writable when it is.
func (s *inetSocket) waitForNetwork() bool {
	select {
	case <-s.network.Ready():
		return false
	default:
	}
	s.mu.Lock()
	already := s.waiting
	s.waiting = true
	s.mu.Unlock()
	if !already {
		s.network.WhenReady(s.networkReady)
	}
	return true
}

// networkReady goes on with what waited.
func (s *inetSocket) networkReady() {
	s.mu.Lock()
	address, closed := s.pending, s.closed
	s.pending = nil
	s.mu.Unlock()
	var err error
	if address != nil && !closed {
		err = s.connectNow(*address)
	}
	s.mu.Lock()
	s.waiting = false
	if err != syscall.EINPROGRESS {
		s.failed = err
	}
	s.mu.Unlock()
	if events := s.Ready(); events != 0 && !closed {
		s.notify(events)
	}
}

// Stat implements Description.
func (s *inetSocket) Stat(st *syscall.Stat_t) error { return statSocket(st) }

func statSocket(st *syscall.Stat_t) error {
	st.Mode = syscall.S_IFSOCK | 0o777
	st.Nlink = 1
	st.Blksize = pageSize
	return nil
}

// Ioctl implements Ioctler.
func (s *inetSocket) Ioctl(request uint32, arg uintptr) (int, error) {
	return socketIoctl(request, arg, func() int {
		n, err := s.ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption)
		if err != nil {
			return 0 // nothing is received there, such as by a listener
		}
		return n
	})
}

// socketIoctl serves FIONREAD (TIOCINQ): how many bytes can be read.
func socketIoctl(request uint32, arg uintptr, unread func() int) (int, error) {
	if request != unix.TIOCINQ {
		return 0, syscall.ENOTTY
	}
	n, e := object[int32](&arg)
	if e != 0 {
		return 0, e
	}
	*n = int32(unread())
	return 0, nil
}

// Close implements Description. The stack sends what is left, and the FIN or
// RST, on its own time, also with SO_LINGER set.
func (s *inetSocket) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if s.notify != nil {
		s.queue.EventUnregister(&s.entry)
	}
	s.leave()
	s.ep.Close()
	return nil
}
