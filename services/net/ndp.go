package net

import (
	"net/netip"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// maxRouters bounds what router advertisements can make the table grow to;
// netstack bounds prefixes and addresses itself.
const (
	maxRouters = 8
	maxRDNSS   = 8
)

// ndpEvents is the service as netstack's neighbour discovery sees it. Its
// methods are called with the stack's locks held and only post.
type ndpEvents Service

var _ ipv6.NDPDispatcher = (*ndpEvents)(nil)

// change posts a change to an interface, after which routes are written anew.
func (n *ndpEvents) change(nic tcpip.NICID, f func(i *iface)) {
	s := (*Service)(n)
	s.events.post(func() {
		i := s.byNIC(nic)
		if i == nil {
			return
		}
		s.mu.Lock()
		f(i)
		s.mu.Unlock()
		s.updateRoutes()
		s.updateResolver(false)
		s.changed()
	})
}

// OnDuplicateAddressDetectionResult implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnDuplicateAddressDetectionResult(nic tcpip.NICID, addr tcpip.Address, result stack.DADResult) {
	if dup, ok := result.(*stack.DADDupAddrDetected); ok {
		s := (*Service)(n)
		s.events.post(func() {
			s.opts.Log("net: interface %d: %v is in use by %v", nic, addr, dup.HolderLinkAddress)
		})
	}
}

// OnOffLinkRouteUpdated implements ipv6.NDPDispatcher: a router is there.
func (n *ndpEvents) OnOffLinkRouteUpdated(nic tcpip.NICID, dst tcpip.Subnet, router tcpip.Address, _ header.NDPRoutePreference) {
	if dst != header.IPv6EmptySubnet {
		return // more specific routes are not asked for
	}
	r := fromTCPIP(router)
	n.change(nic, func(i *iface) {
		if !slices.Contains(i.routers, r) && len(i.routers) < maxRouters {
			i.routers = append(i.routers, r)
		}
	})
}

// OnOffLinkRouteInvalidated implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnOffLinkRouteInvalidated(nic tcpip.NICID, _ tcpip.Subnet, router tcpip.Address) {
	r := fromTCPIP(router)
	n.change(nic, func(i *iface) {
		i.routers = slices.DeleteFunc(i.routers, func(x netip.Addr) bool { return x == r })
	})
}

// OnOnLinkPrefixDiscovered implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnOnLinkPrefixDiscovered(nic tcpip.NICID, subnet tcpip.Subnet) {
	p := fromSubnet(subnet)
	n.change(nic, func(i *iface) {
		if !slices.Contains(i.prefixes, p) {
			i.prefixes = append(i.prefixes, p)
		}
	})
}

// OnOnLinkPrefixInvalidated implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnOnLinkPrefixInvalidated(nic tcpip.NICID, subnet tcpip.Subnet) {
	p := fromSubnet(subnet)
	n.change(nic, func(i *iface) {
		i.prefixes = slices.DeleteFunc(i.prefixes, func(x netip.Prefix) bool { return x == p })
	})
}

// OnAutoGenAddress implements ipv6.NDPDispatcher. The stack keeps the address
// itself; Snapshot reads it from there.
func (n *ndpEvents) OnAutoGenAddress(tcpip.NICID, tcpip.AddressWithPrefix) stack.AddressDispatcher {
	return nil
}

// OnAutoGenAddressDeprecated implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnAutoGenAddressDeprecated(tcpip.NICID, tcpip.AddressWithPrefix) {}

// OnAutoGenAddressInvalidated implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnAutoGenAddressInvalidated(tcpip.NICID, tcpip.AddressWithPrefix) {}

// OnRecursiveDNSServerOption implements ipv6.NDPDispatcher (RFC 8106).
func (n *ndpEvents) OnRecursiveDNSServerOption(nic tcpip.NICID, addrs []tcpip.Address, lifetime time.Duration) {
	end := time.Now().Add(lifetime)
	addrs = slices.Clone(addrs)
	n.change(nic, func(i *iface) {
		for _, a := range addrs {
			i.setRDNSS(fromTCPIP(a), lifetime, end)
		}
		n.scheduleRDNSS(i)
	})
}

// scheduleRDNSS sets the interface's one timer to the next server's end.
func (n *ndpEvents) scheduleRDNSS(i *iface) {
	if i.rdnssTimer != nil {
		i.rdnssTimer.Stop()
		i.rdnssTimer = nil
	}
	var next time.Time
	for _, end := range i.rdnss {
		if next.IsZero() || end.Before(next) {
			next = end
		}
	}
	if next.IsZero() {
		return
	}
	i.rdnssTimer = time.AfterFunc(time.Until(next), func() {
		n.change(i.nic, func(i *iface) {
			i.expireRDNSS()
			n.scheduleRDNSS(i)
		})
	})
}

func (i *iface) setRDNSS(a netip.Addr, lifetime time.Duration, end time.Time) {
	_, known := i.rdnss[a]
	switch {
	case lifetime <= 0:
		delete(i.rdnss, a)
	case known || len(i.rdnss) < maxRDNSS:
		i.rdnss[a] = end
	}
}

func (i *iface) expireRDNSS() {
	now := time.Now()
	for a, end := range i.rdnss {
		if !end.After(now) {
			delete(i.rdnss, a)
		}
	}
}

// OnDNSSearchListOption implements ipv6.NDPDispatcher. Search lists that any
// neighbour can announce are not taken over.
func (n *ndpEvents) OnDNSSearchListOption(tcpip.NICID, []string, time.Duration) {}

// OnDHCPv6Configuration implements ipv6.NDPDispatcher. There is no DHCPv6
// client.
func (n *ndpEvents) OnDHCPv6Configuration(tcpip.NICID, ipv6.DHCPv6ConfigurationFromNDPRA) {}
