package net

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/services/net/dhcp"
)

// What follows runs on the configurator's goroutine only.

// begin applies the first configuration.
func (s *Service) begin() {
	// What cannot be applied is told by the interfaces.
	_ = s.apply(s.opts.Config)
	s.updateResolver(true)
}

// Apply changes the configuration to c, at any time after Start, and returns when
// that has been done: interfaces of which nothing else is wanted are left alone.
// The error is about what could not be applied; the rest holds all the same, and
// Snapshot tells it for each interface.
func (s *Service) Apply(c Config) error {
	applied := make(chan error, 1)
	s.events.post(func() { applied <- s.apply(c) })
	select {
	case err := <-applied:
		return err
	case <-s.quit:
		return errors.New("net: closed")
	}
}

func (s *Service) apply(c Config) error {
	s.mu.Lock()
	s.config = c
	s.mu.Unlock()
	var errs []error
	for _, i := range s.ifaces {
		if err := s.change(i, c.ForDevice(i.name)); err != nil {
			s.fail(i, err)
			errs = append(errs, err)
		}
	}
	s.update()
	return errors.Join(errs...)
}

// update has all that follows from addresses and leases follow.
func (s *Service) update() {
	s.updateRoutes()
	s.updateResolver(false)
	s.updateHostname()
	s.checkReady()
	s.changed()
}

// change brings an interface from what was wanted to what is.
func (s *Service) change(i *iface, want Interface) error {
	if i.set && reflect.DeepEqual(i.want, want) {
		return nil
	}
	s.mu.Lock()
	i.want, i.set, i.failed = want, true, nil
	s.mu.Unlock()
	if want.Mode != DHCP {
		s.stopDHCP(i)
	}
	if err := s.removeAddresses(i); err != nil {
		return err
	}
	if want.Mode == None {
		return s.bringDown(i)
	}
	if err := s.bringUp(i); err != nil {
		return err
	}
	if err := s.addAddresses(i); err != nil {
		return err
	}
	switch want.Mode {
	case DHCP:
		return s.startDHCP(i)
	case Later:
		return nil
	}
	s.mu.Lock()
	i.good = true
	s.mu.Unlock()
	return nil
}

func (s *Service) bringDown(i *iface) error {
	if i.up {
		if err := s.stack.DisableNIC(i.nic); err != nil {
			return fmt.Errorf("net: disabling %s: %v", i.name, err)
		}
	}
	s.mu.Lock()
	i.up, i.good = false, true
	s.mu.Unlock()
	return nil
}

func (s *Service) bringUp(i *iface) error {
	mtu := uint32(math.MaxUint16) // the device's own is less
	if i.want.MTU > 0 {
		mtu = uint32(i.want.MTU)
	}
	if err := s.stack.SetNICMTU(i.nic, mtu); err != nil {
		return fmt.Errorf("net: MTU of %s: %v", i.name, err)
	}
	if i.up {
		return nil
	}
	if err := s.stack.EnableNIC(i.nic); err != nil {
		return fmt.Errorf("net: enabling %s: %v", i.name, err)
	}
	s.mu.Lock()
	i.up = true
	s.mu.Unlock()
	return nil
}

// removeAddresses takes off the interface what is no longer wanted there.
func (s *Service) removeAddresses(i *iface) error {
	var keep []netip.Prefix
	var errs []error
	for _, p := range i.static {
		if i.want.Mode != None && slices.Contains(i.want.Addresses, p) {
			keep = append(keep, p)
		} else if err := s.stack.RemoveAddress(i.nic, toTCPIP(p.Addr())); err != nil {
			errs = append(errs, fmt.Errorf("net: removing %v from %s: %v", p, i.name, err))
		}
	}
	i.static = keep
	return errors.Join(errs...)
}

func (s *Service) addAddresses(i *iface) error {
	var errs []error
	for _, p := range i.want.Addresses {
		if slices.Contains(i.static, p) {
			continue
		}
		if err := addAddress(s.stack, i.nic, p); err != nil {
			errs = append(errs, err)
			continue
		}
		i.static = append(i.static, p)
	}
	return errors.Join(errs...)
}

func (s *Service) fail(i *iface, err error) {
	s.mu.Lock()
	i.failed = err
	s.mu.Unlock()
	s.opts.Log("%v", err)
	s.checkReady()
	s.changed()
}

func (s *Service) impatient(i *iface, c *dhcpClient) {
	if i.client == c && !i.good && i.failed == nil {
		s.fail(i, fmt.Errorf("net: no DHCP server has answered on %s within %v; still trying", i.name, DHCPPatience))
	}
}

func (s *Service) linkFailed(i *iface, err error) {
	s.fail(i, fmt.Errorf("net: device of %s: %w", i.name, err))
}

// bound puts a new or prolonged lease into use.
func (s *Service) bound(i *iface, c *dhcpClient, l *dhcp.Lease) {
	if i.client != c {
		return // it has been stopped meanwhile
	}
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
	s.mu.Unlock()
	s.update()
}

func leaseRoutes(nic tcpip.NICID, l *dhcp.Lease) []tcpip.Route {
	routes := []tcpip.Route{{Destination: toSubnet(l.Address), NIC: nic}}
	for _, r := range l.Routes {
		routes = append(routes, tcpip.Route{Destination: toSubnet(r.Destination), Gateway: toTCPIP(r.Gateway), NIC: nic})
	}
	return routes
}

// lost takes a lease out of use.
func (s *Service) lost(i *iface, c *dhcpClient, reason string) {
	if i.client != c {
		return
	}
	s.opts.Log("net: %s lost its address: %s", i.name, reason)
	s.dropLease(i)
	s.update()
}

func (s *Service) dropLease(i *iface) {
	if i.lease == nil {
		return
	}
	if err := s.stack.RemoveAddress(i.nic, toTCPIP(i.lease.Address.Addr())); err != nil {
		s.opts.Log("net: removing %v from %s: %v", i.lease.Address, i.name, err)
	}
	s.mu.Lock()
	i.lease = nil
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
		if i.up {
			table = append(table, i.table()...)
		}
	}
	s.stack.SetRouteTable(table)
}

// table are the interface's routes, those before others that are to be preferred
// among those of one destination.
func (i *iface) table() []tcpip.Route {
	var t []tcpip.Route
	for _, p := range i.static {
		t = append(t, tcpip.Route{Destination: toSubnet(p), NIC: i.nic})
	}
	for _, gw := range i.want.Gateways {
		t = append(t, tcpip.Route{Destination: defaultSubnet(gw), Gateway: toTCPIP(gw), NIC: i.nic})
	}
	own := slices.Clone(i.want.Routes)
	slices.SortStableFunc(own, func(a, b Route) int { return cmp.Compare(a.Metric, b.Metric) })
	for _, r := range own {
		t = append(t, tcpip.Route{Destination: toSubnet(r.Destination), Gateway: toTCPIP(r.Gateway), NIC: i.nic})
	}
	if i.lease != nil {
		t = append(t, leaseRoutes(i.nic, i.lease)...)
	}
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
	servers := slices.Clone(s.config.DNS)
	var search []string
	for _, i := range s.ifaces {
		if !i.up {
			continue
		}
		for _, a := range i.nameServers() {
			if len(s.config.DNS) == 0 && !slices.Contains(servers, a) {
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

// updateHostname tells the name of the machine, if it changed.
func (s *Service) updateHostname() {
	s.mu.Lock()
	name := s.givenName()
	same := name == s.name
	s.name = name
	s.mu.Unlock()
	if !same {
		s.opts.Hostname(name)
	}
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
