package net

import (
	"net/netip"
	"slices"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// groups remembers the multicast groups that sockets asked for. The stack
// keeps who is in which group and counts its sockets, but does not list them.
type groups struct {
	mu    sync.Mutex
	asked map[tcpip.Address]bool // limited to what some interface is in, by pruning
}

// JoinedGroup notes that a socket has joined a multicast group, so that the
// snapshots show it for as long as an interface is in it.
func (s *Service) JoinedGroup(group netip.Addr) {
	g := &s.groups
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = make(map[tcpip.Address]bool)
	}
	infos := s.stack.NICInfo()
	for a := range g.asked {
		if !inUse(s.stack, infos, a) {
			delete(g.asked, a)
		}
	}
	g.asked[tcpip.AddrFromSlice(group.AsSlice())] = true
}

// inUse reports whether an interface is in the group.
func inUse(st *stack.Stack, infos map[tcpip.NICID]stack.NICInfo, group tcpip.Address) bool {
	for nic := range infos {
		if in, err := st.IsInGroup(nic, group); err == nil && in {
			return true
		}
	}
	return false
}

// groupsOf returns the multicast groups that an interface is in, sorted: those
// of every host, those that its addresses bring with them, and those that
// sockets joined.
func (s *Service) groupsOf(nic tcpip.NICID, info *stack.NICInfo) []netip.Addr {
	candidates := map[tcpip.Address]bool{
		header.IPv4AllSystems:               true,
		header.IPv6AllNodesMulticastAddress: true,
	}
	for _, a := range info.ProtocolAddresses {
		if a.Protocol == header.IPv6ProtocolNumber {
			candidates[header.SolicitedNodeAddr(a.AddressWithPrefix.Address)] = true
		}
	}
	s.groups.mu.Lock()
	for a := range s.groups.asked {
		candidates[a] = true
	}
	s.groups.mu.Unlock()
	var in []netip.Addr
	for a := range candidates {
		if member, err := s.stack.IsInGroup(nic, a); err == nil && member {
			in = append(in, fromTCPIP(a))
		}
	}
	slices.SortFunc(in, netip.Addr.Compare)
	return in
}
