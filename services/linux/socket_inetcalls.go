package linux

import (
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func (s *inetSocket) bind(name []byte) error {
	a, e := parseInet(s.family, name)
	if e != 0 {
		return e
	}
	err := s.ep.Bind(a)
	if _, ok := err.(*tcpip.ErrHostUnreachable); ok {
		return syscall.EINVAL // an IPv4 address, and IPV6_V6ONLY is set
	}
	if err == nil && !s.stream() {
		s.enterListener()
	}
	return stackError(err)
}

func (s *inetSocket) listen(backlog int) error {
	if !s.stream() {
		return syscall.EOPNOTSUPP
	}
	// Linux lets one more wait than it was asked for.
	err := s.ep.Listen(backlog + 1)
	if err == nil {
		s.enterListener()
	}
	return stackError(err)
}

func (s *inetSocket) accept() (socket, error) {
	if !s.stream() {
		return nil, syscall.EOPNOTSUPP
	}
	ep, queue, err := s.ep.Accept(nil)
	if err != nil {
		return nil, stackErrno(err)
	}
	c := &inetSocket{
		network:  s.network,
		family:   s.family,
		kind:     s.kind,
		protocol: s.protocol,
		ep:       ep,
		queue:    queue,
		owner:    s.owner,
	}
	if peer, err := ep.GetRemoteAddress(); err == nil {
		c.enterConnection(true, peer)
	}
	return c, nil
}

func (s *inetSocket) connect(name []byte) error {
	if unspecifiedFamily(name) {
		return s.disconnect()
	}
	a, e := parseInet(s.family, name)
	if e != 0 {
		return e
	}
	s.mu.Lock()
	waiting, failed := s.pending != nil, s.failed
	s.failed = nil
	s.mu.Unlock()
	if waiting {
		return syscall.EALREADY
	}
	if failed != nil {
		return failed
	}
	if !s.local(a.Addr) && s.connectLater(a) {
		return syscall.EINPROGRESS
	}
	return s.connectNow(a)
}

// connectNow connects, or begins to.
func (s *inetSocket) connectNow(a tcpip.FullAddress) error {
	if !s.permitted(a) {
		return syscall.EPERM
	}
	err := s.ep.Connect(a)
	_, begun := err.(*tcpip.ErrConnectStarted)
	if (err == nil || begun) && !(s.stream() && s.flow.Load() != nil) { // it may ask again how it went
		s.enterConnection(false, a)
	}
	switch err.(type) {
	case *tcpip.ErrNoPortAvailable:
		return syscall.EADDRNOTAVAIL
	case *tcpip.ErrInvalidEndpointState:
		if s.stream() {
			return syscall.EISCONN // listening
		}
		return syscall.EINVAL
	default:
		return stackError(err)
	}
}

func (s *inetSocket) disconnect() error {
	if s.stream() {
		return syscall.EOPNOTSUPP
	}
	s.leave()
	return stackError(s.ep.Disconnect())
}

// local tells whether an address is reached without a network: it is the
// unspecified, a loopback or an own one.
func (s *inetSocket) local(a tcpip.Address) bool {
	proto := tcpip.NetworkProtocolNumber(header.IPv6ProtocolNumber)
	if v4 := a.To4(); v4.Len() != 0 {
		a, proto = v4, header.IPv4ProtocolNumber
	}
	return a.Unspecified() || header.IsV4LoopbackAddress(a) || a == header.IPv6Loopback ||
		s.network.Stack().CheckLocalAddress(0, proto, a) != 0
}

// connectLater puts a connect off until the network is configured, if it is
// not yet.
func (s *inetSocket) connectLater(a tcpip.FullAddress) bool {
	select {
	case <-s.network.Ready():
		return false
	default:
	}
	s.mu.Lock()
	s.pending = &a
	s.mu.Unlock()
	if s.waitForNetwork() {
		return true
	}
	s.mu.Lock() // it became ready meanwhile
	s.pending = nil
	s.mu.Unlock()
	return false
}

func (s *inetSocket) shutdown(how int) error {
	flags := [...]tcpip.ShutdownFlags{
		unix.SHUT_RD:   tcpip.ShutdownRead,
		unix.SHUT_WR:   tcpip.ShutdownWrite,
		unix.SHUT_RDWR: tcpip.ShutdownRead | tcpip.ShutdownWrite,
	}[how]
	return stackError(s.ep.Shutdown(flags))
}

func (s *inetSocket) localName(name *socketName) error {
	a, err := s.ep.GetLocalAddress()
	if err != nil {
		return stackErrno(err)
	}
	name.setInet(s.family, a)
	return nil
}

func (s *inetSocket) peerName(name *socketName) error {
	a, err := s.ep.GetRemoteAddress()
	if err != nil {
		return stackErrno(err)
	}
	name.setInet(s.family, a)
	return nil
}

func (s *inetSocket) send(m *message) (int, error) {
	if m.flags&unix.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	opts := tcpip.WriteOptions{More: m.flags&unix.MSG_MORE != 0}
	if err := parseInetControl(m.control, &opts.ControlMessages); err != nil {
		return 0, err
	}
	if len(m.to) == 0 || s.stream() {
		return s.writeEndpoint(&m.transfer, opts)
	}
	return s.sendTo(m, opts)
}

// sendTo is apart so that only it pays for an address that escapes.
func (s *inetSocket) sendTo(m *message, opts tcpip.WriteOptions) (int, error) {
	to, e := parseInet(s.family, m.to)
	if e != 0 {
		return 0, e
	}
	if !s.permitted(to) {
		return 0, syscall.EPERM
	}
	opts.To = &to
	return s.writeEndpoint(&m.transfer, opts)
}

func (s *inetSocket) receive(m *message) (int, error) {
	if m.flags&unix.MSG_OOB != 0 {
		return 0, syscall.EINVAL
	}
	if m.flags&unix.MSG_ERRQUEUE != 0 {
		return 0, syscall.EAGAIN // IP_RECVERR queues nothing here
	}
	opts := tcpip.ReadOptions{
		Peek:           m.flags&unix.MSG_PEEK != 0,
		NeedRemoteAddr: m.wantName && !s.stream(),
	}
	var res tcpip.ReadResult
	n, err := s.readEndpoint(&m.transfer, opts, &res)
	if err != nil || s.stream() {
		return n, err
	}
	if opts.NeedRemoteAddr {
		m.from.setInet(s.family, res.RemoteAddr)
	}
	m.putInetControl(&res.ControlMessages)
	if res.Total > n {
		m.outFlags |= unix.MSG_TRUNC
		if m.flags&unix.MSG_TRUNC != 0 {
			return res.Total, nil
		}
	}
	return n, nil
}
