package linux

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// netlinkSocket is a route socket (rtnetlink(7)) that answers dumps: enough
// for net.Interfaces and its kin. Changes of the configuration are refused,
// and none are announced.
//
// A message lies on a boundary of 4 bytes:
//
//	0 length u32   4 type u16   6 flags u16   8 sequence u32   12 port u32
//	16 body
type netlinkSocket struct {
	network Network
	kind    int
	notify  func(events uint32)

	mu      sync.Mutex
	port    uint32
	replies [][]byte // datagrams not read yet
}

const (
	netlinkHeader = 16
	// netlinkBatch is how much goes into one datagram, at least one message:
	// what fits the page that readers offer.
	netlinkBatch = 4000
	// maxNetlinkReplies bounds what a socket that is not read holds.
	maxNetlinkReplies = 64
)

// netlinkPorts numbers the sockets, in place of process ids.
var netlinkPorts atomic.Uint32

func newNetlinkSocket(n Network, kind, protocol int) (*netlinkSocket, syscall.Errno) {
	if kind != unix.SOCK_RAW && kind != unix.SOCK_DGRAM {
		return nil, syscall.ESOCKTNOSUPPORT
	}
	if protocol != unix.NETLINK_ROUTE {
		return nil, syscall.EPROTONOSUPPORT
	}
	return &netlinkSocket{network: n, kind: kind}, 0
}

// Notify implements Pollable.
func (s *netlinkSocket) Notify(ready func(events uint32)) { s.notify = ready }

// Ready implements Description.
func (s *netlinkSocket) Ready() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replies) > 0 {
		return syscall.EPOLLIN | syscall.EPOLLOUT
	}
	return syscall.EPOLLOUT
}

// Read implements Description.
func (s *netlinkSocket) Read(p []byte) (int, error) {
	n, _, err := s.next(p, false)
	return n, err
}

// next copies the next datagram and returns the copied and the true size.
func (s *netlinkSocket) next(p []byte, peek bool) (n, size int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replies) == 0 {
		return 0, 0, syscall.EAGAIN
	}
	reply := s.replies[0]
	if !peek {
		s.replies = s.replies[1:]
	}
	return copy(p, reply), len(reply), nil
}

// Write implements Description: requests.
func (s *netlinkSocket) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) >= netlinkHeader {
		size := binary.LittleEndian.Uint32(p)
		if size < netlinkHeader || uint64(size) > uint64(len(p)) {
			break // Linux drops the rest, too
		}
		if err := s.request(p[:size]); err != nil {
			return 0, err
		}
		p = p[min(int(size+3)&^3, len(p)):]
	}
	return total, nil
}

// request queues the answer to one request.
func (s *netlinkSocket) request(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replies) >= maxNetlinkReplies {
		return syscall.ENOBUFS
	}
	s.autobind()
	d := dump{
		sequence: binary.LittleEndian.Uint32(p[8:]),
		port:     s.port,
	}
	kind, flags := binary.LittleEndian.Uint16(p[4:]), binary.LittleEndian.Uint16(p[6:])
	family := 0
	if len(p) > netlinkHeader {
		family = int(p[netlinkHeader])
	}
	switch {
	case kind < unix.NLMSG_MIN_TYPE:
		return nil // control messages want no answer
	case kind == unix.RTM_GETLINK && flags&unix.NLM_F_DUMP != 0:
		d.links(s.network.Snapshot())
	case kind == unix.RTM_GETADDR && flags&unix.NLM_F_DUMP != 0:
		d.addresses(s.network.Snapshot(), family)
	case kind == unix.RTM_GETROUTE && flags&unix.NLM_F_DUMP != 0:
		d.routes(s.network.Snapshot(), family)
	default:
		d.refuse(p, syscall.EOPNOTSUPP)
	}
	s.replies = append(s.replies, d.datagrams()...)
	s.notify(syscall.EPOLLIN)
	return nil
}

// autobind is called with mu held.
func (s *netlinkSocket) autobind() {
	if s.port == 0 {
		s.port = netlinkPorts.Add(1)
	}
}

// Stat implements Description.
func (s *netlinkSocket) Stat(st *syscall.Stat_t) error { return statSocket(st) }

// Close implements Description.
func (s *netlinkSocket) Close() error { return nil }

func (s *netlinkSocket) bind(name []byte) error {
	if len(name) < sizeNetlink {
		return syscall.EINVAL
	}
	if binary.LittleEndian.Uint16(name) != unix.AF_NETLINK {
		return syscall.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if port := binary.LittleEndian.Uint32(name[4:]); port != 0 && s.port == 0 {
		s.port = port
	}
	s.autobind()
	return nil
}

func (s *netlinkSocket) listen(int) error        { return syscall.EOPNOTSUPP }
func (s *netlinkSocket) accept() (socket, error) { return nil, syscall.EOPNOTSUPP }
func (s *netlinkSocket) shutdown(int) error      { return syscall.EOPNOTSUPP }

// connect can only go to the kernel, port 0, where everything goes anyway.
func (s *netlinkSocket) connect(name []byte) error {
	if len(name) < sizeNetlink {
		return syscall.EINVAL
	}
	if binary.LittleEndian.Uint32(name[4:]) != 0 {
		return syscall.ECONNREFUSED
	}
	return nil
}

func (s *netlinkSocket) localName(name *socketName) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name.setNetlink(s.port)
	return nil
}

func (s *netlinkSocket) peerName(name *socketName) error {
	name.setNetlink(0)
	return nil
}

func (s *netlinkSocket) send(m *message) (int, error) {
	p := make([]byte, m.Len())
	if len(p) == 0 {
		return 0, nil
	}
	if _, err := m.Read(p); err != nil {
		return 0, err
	}
	return s.Write(p)
}

func (s *netlinkSocket) receive(m *message) (int, error) {
	p := make([]byte, m.Len())
	n, size, err := s.next(p, m.flags&unix.MSG_PEEK != 0)
	if err != nil {
		return 0, err
	}
	if _, err := m.Write(p[:n]); err != nil {
		return 0, err
	}
	m.from.setNetlink(0)
	if size > n {
		m.outFlags |= unix.MSG_TRUNC
		if m.flags&unix.MSG_TRUNC != 0 {
			return size, nil
		}
	}
	return n, nil
}

func (s *netlinkSocket) setOption(level, _ int, _ []byte) error {
	if level != unix.SOL_SOCKET && level != unix.SOL_NETLINK {
		return syscall.ENOPROTOOPT
	}
	return nil // buffers and strictness change nothing here
}

func (s *netlinkSocket) getOption(level, option int, value []byte) (int, error) {
	if level != unix.SOL_SOCKET {
		return 0, syscall.ENOPROTOOPT
	}
	switch option {
	case unix.SO_TYPE:
		return putInt(value, s.kind), nil
	case unix.SO_DOMAIN:
		return putInt(value, unix.AF_NETLINK), nil
	case unix.SO_ERROR, unix.SO_PROTOCOL, unix.SO_ACCEPTCONN:
		return putInt(value, 0), nil
	}
	return 0, syscall.ENOPROTOOPT
}
