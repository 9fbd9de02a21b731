package net

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tuplix/tuplix/services/net/firewall"
)

// SetFirewall has these rules decide from now on. Without any nothing is looked at.
// Rules have passed their Check. Hits begin at 0.
func (s *Service) SetFirewall(rules []firewall.Rule) {
	listens := func(p firewall.Protocol, port uint16) string { return s.flows.Program(string(p), port) }
	f := firewall.New(rules, listens, s.sent)
	s.filter.Store(f)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.ifaces {
		i.link.SetFilter(f)
	}
}

// FirewallHits returns for each rule how often it has decided.
func (s *Service) FirewallHits() []uint64 {
	if f := s.filter.Load(); f != nil {
		return f.Hits()
	}
	return nil
}

// Permit reports whether a program may connect or send to another host. Peers within
// the machine are the caller's to leave out.
func (s *Service) Permit(p firewall.Protocol, peer netip.AddrPort, program string) bool {
	f := s.filter.Load()
	return f == nil || f.Permit(p, peer, program)
}

// neighborEvents is the service as the stack's neighbour cache sees it. Its methods
// are called with the stack's locks held.
type neighborEvents Service

var _ stack.NUDDispatcher = (*neighborEvents)(nil)

// OnNeighborAdded implements stack.NUDDispatcher.
func (n *neighborEvents) OnNeighborAdded(tcpip.NICID, stack.NeighborEntry) { (*Service)(n).changed() }

// OnNeighborChanged implements stack.NUDDispatcher.
func (n *neighborEvents) OnNeighborChanged(tcpip.NICID, stack.NeighborEntry) { (*Service)(n).changed() }

// OnNeighborRemoved implements stack.NUDDispatcher.
func (n *neighborEvents) OnNeighborRemoved(tcpip.NICID, stack.NeighborEntry) { (*Service)(n).changed() }
