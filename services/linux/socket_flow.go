package linux

import (
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/net/flow"
	"github.com/tuplix/tuplix/services/user"
)

// image is the name of the program that was linked in: what no task did, it did.
var image = sync.OnceValue(func() string { return filepath.Base(os.Args[0]) })

// ownerHere is who makes a socket or takes a lock on this goroutine.
func ownerHere() flow.Owner {
	if c, ok := user.OfGoroutine(); ok {
		return flow.Owner{Program: c.Program, Task: c.Task}
	}
	return flow.Owner{Program: image()}
}

// transportName is the socket's protocol in rules and tables, "" for raw ones of
// others.
func (s *inetSocket) transportName() firewall.Protocol {
	switch tcpip.TransportProtocolNumber(s.protocol) {
	case header.TCPProtocolNumber:
		return firewall.TCP
	case header.UDPProtocolNumber:
		return firewall.UDP
	case header.ICMPv4ProtocolNumber, header.ICMPv6ProtocolNumber:
		return firewall.ICMP
	}
	return firewall.Any
}

// permitted reports whether the firewall lets the socket's owner reach a peer.
func (s *inetSocket) permitted(a tcpip.FullAddress) bool {
	return s.network.Permit(s.transportName(), addrPort(a), s.owner.Program) || s.local(a.Addr)
}

// enterListener has the socket listed as one that listens.
func (s *inetSocket) enterListener() {
	name := s.transportName()
	a, err := s.ep.GetLocalAddress()
	if err != nil || a.Port == 0 || (name != firewall.TCP && name != firewall.UDP) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil && !s.closed {
		s.listener = s.network.Flows().Listen(string(name), addrPort(a), s.owner)
	}
}

// enterConnection has the socket listed as connected, in place of what it was.
func (s *inetSocket) enterConnection(inbound bool, peer tcpip.FullAddress) {
	name := s.transportName()
	local, err := s.ep.GetLocalAddress()
	if err != nil || (name != firewall.TCP && name != firewall.UDP) {
		return
	}
	s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.flow.Store(s.network.Flows().Connect(string(name), inbound, addrPort(local), addrPort(peer), s.owner, s.stateName))
	}
}

// stateName is where a connection is, in the words of RFC 9293.
func (s *inetSocket) stateName() string {
	if !s.stream() {
		return "CONNECTED"
	}
	return tcp.EndpointState(s.ep.State()).String()
}

// leave takes the socket out of the lists.
func (s *inetSocket) leave() {
	s.mu.Lock()
	l := s.listener
	s.listener = nil
	s.mu.Unlock()
	if l != nil {
		l.Close()
	}
	if c := s.flow.Swap(nil); c != nil {
		c.Close()
	}
}

func addrPort(a tcpip.FullAddress) netip.AddrPort {
	addr, ok := netip.AddrFromSlice(a.Addr.AsSlice())
	if !ok {
		addr = netip.IPv6Unspecified() // all of both families
	}
	return netip.AddrPortFrom(addr.Unmap(), a.Port)
}
