package net

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/services/net/dhcp"
)

// What follows runs on the configurator's goroutine only.

func (s *Service) startAll() {
	for _, i := range s.ifaces {
		if err := s.start(i); err != nil {
			s.fail(i, err)
		}
	}
	s.updateRoutes()
	s.updateResolver(true)
	s.checkReady()
}

func (s *Service) start(i *iface) error {
	if i.want.Mode == None {
		s.mu.Lock()
		i.good = true
		s.mu.Unlock()
		return nil
	}
	if err := s.stack.EnableNIC(i.nic); err != nil {
		return fmt.Errorf("net: enabling %s: %v", i.name, err)
	}
	if i.want.Mode == Static {
		return s.startStatic(i)
	}
	conn, err := newDHCPConn(s.stack, i.nic)
	if err != nil {
		return err
	}
	s.done.Go(func() { s.runDHCP(i, conn) })
	time.AfterFunc(DHCPPatience, func() {
		s.events.post(func() { s.impatient(i) })
	})
	return nil
}

func (s *Service) startStatic(i *iface) error {
	for _, p := range i.want.Addresses {
		if err := addAddress(s.stack, i.nic, p); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range i.want.Addresses {
		i.routes = append(i.routes, tcpip.Route{Destination: toSubnet(p), NIC: i.nic})
	}
	for _, gw := range i.want.Gateways {
		i.routes = append(i.routes, tcpip.Route{Destination: defaultSubnet(gw), Gateway: toTCPIP(gw), NIC: i.nic})
	}
	i.good = true
	return nil
}

func (s *Service) fail(i *iface, err error) {
	s.mu.Lock()
	i.failed = err
	s.mu.Unlock()
	s.opts.Log("%v", err)
	s.checkReady()
}

func (s *Service) impatient(i *iface) {
	if !i.good && i.failed == nil {
		s.fail(i, fmt.Errorf("net: no DHCP server has answered on %s within %v; still trying", i.name, DHCPPatience))
	}
}

func (s *Service) linkFailed(i *iface, err error) {
	s.fail(i, fmt.Errorf("net: device of %s: %w", i.name, err))
}

// bound puts a new or prolonged lease into use.
func (s *Service) bound(i *iface, l *dhcp.Lease) {
	if i.lease == nil || i.lease.Address != l.Address {
		s.dropLease(i)
		if err := addAddress(s.stack, i.nic, l.Address); err != nil {
			s.fail(i, err)
			return
		}
		s.opts.Log("net: %s has %v from %v for %v", i.name, l.Address, l.Server, l.Expire.Sub(l.Obtained))
	}
	s.mu.Lock()
	i.lease, i.good, i.failed = l, true, nil
	i.routes = leaseRoutes(i.nic, l)
	s.mu.Unlock()
	s.updateRoutes()
	s.updateResolver(false)
	s.checkReady()
}

func leaseRoutes(nic tcpip.NICID, l *dhcp.Lease) []tcpip.Route {
	routes := []tcpip.Route{{Destination: toSubnet(l.Address), NIC: nic}}
	for _, r := range l.Routes {
		routes = append(routes, tcpip.Route{Destination: toSubnet(r.Destination), Gateway: toTCPIP(r.Gateway), NIC: nic})
	}
	return routes
}

// lost takes a lease out of use.
func (s *Service) lost(i *iface, reason string) {
	s.opts.Log("net: %s lost its address: %s", i.name, reason)
	s.dropLease(i)
	s.updateRoutes()
	s.updateResolver(false)
}

func (s *Service) dropLease(i *iface) {
	if i.lease == nil {
		return
	}
	if err := s.stack.RemoveAddress(i.nic, toTCPIP(i.lease.Address.Addr())); err != nil {
		s.opts.Log("net: removing %v from %s: %v", i.lease.Address, i.name, err)
	}
	s.mu.Lock()
	i.lease, i.routes = nil, nil
	s.mu.Unlock()
}

// updateRoutes writes the routing table anew: loopback, then per interface
// what was configured and what routers advertise.
func (s *Service) updateRoutes() {
	table := []tcpip.Route{
		{Destination: toSubnet(netip.MustParsePrefix("127.0.0.0/8")), NIC: LoopbackNIC},
		{Destination: header.IPv6Loopback.WithPrefix().Subnet(), NIC: LoopbackNIC},
	}
	for _, i := range s.ifaces {
		if i.want.Mode != None {
			table = append(table, i.table()...)
		}
	}
	s.stack.SetRouteTable(table)
}

func (i *iface) table() []tcpip.Route {
	t := slices.Clone(i.routes)
	t = append(t, tcpip.Route{Destination: header.IPv6LinkLocalPrefix.Subnet(), NIC: i.nic})
	for _, p := range i.prefixes {
		t = append(t, tcpip.Route{Destination: toSubnet(p), NIC: i.nic})
	}
	for _, r := range i.routers {
		t = append(t, tcpip.Route{Destination: header.IPv6EmptySubnet, Gateway: toTCPIP(r), NIC: i.nic})
	}
	return t
}

func defaultSubnet(gw netip.Addr) tcpip.Subnet {
	if gw.Is4() {
		return header.IPv4EmptySubnet
	}
	return header.IPv6EmptySubnet
}

// updateResolver tells the name servers, if they changed or first is set.
func (s *Service) updateResolver(first bool) {
	var servers []netip.Addr
	var search []string
	for _, i := range s.ifaces {
		for _, a := range i.nameServers() {
			if !slices.Contains(servers, a) {
				servers = append(servers, a)
			}
		}
		if i.lease != nil && i.lease.Domain != "" && !slices.Contains(search, i.lease.Domain) {
			search = append(search, i.lease.Domain)
		}
	}
	if !first && slices.Equal(servers, s.servers) && slices.Equal(search, s.search) {
		return
	}
	s.mu.Lock()
	s.servers, s.search = servers, search
	s.mu.Unlock()
	s.opts.Resolver(slices.Clone(servers), slices.Clone(search))
}

// nameServers are the configured ones, or else those learnt.
func (i *iface) nameServers() []netip.Addr {
	if len(i.want.DNS) > 0 {
		return i.want.DNS
	}
	var servers []netip.Addr
	if i.lease != nil {
		servers = append(servers, i.lease.DNS...)
	}
	var advertised []netip.Addr
	for a := range i.rdnss {
		if a.IsLinkLocalUnicast() {
			a = a.WithZone(i.name)
		}
		advertised = append(advertised, a)
	}
	slices.SortFunc(advertised, netip.Addr.Compare)
	return append(servers, advertised...)
}
