package dhcp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Bounds on what a server may ask for. Shorter leases would turn the client
// into a packet generator; longer ones overflow timers for no benefit.
const (
	minLease = 10 * time.Second
	maxLease = 365 * 24 * time.Hour
)

// Route is a classless static route (RFC 3442). A Gateway that is not valid
// means that the destination is on the link itself.
type Route struct {
	Destination netip.Prefix
	Gateway     netip.Addr
}

// Lease is what a server granted.
type Lease struct {
	Address  netip.Prefix // own address with the subnet's length
	Server   netip.Addr   // who granted it
	Routes   []Route      // default route included, most preferred first
	DNS      []netip.Addr
	NTP      []netip.Addr // time servers
	Domain   string       // local domain, may be empty
	Hostname string       // name the server wants this host to have, may be empty

	Obtained time.Time // when the request that was acknowledged went out
	Renew    time.Time // T1: ask the server again
	Rebind   time.Time // T2: ask any server
	Expire   time.Time // the address must not be used any more
}

// parseLease reads the lease out of an ACK whose request was sent at sent.
func parseLease(m *dhcpv4.DHCPv4, sent time.Time) (*Lease, error) {
	addr, err := parseAddress(m)
	if err != nil {
		return nil, err
	}
	lease := &Lease{
		Address:  addr,
		Server:   toAddr(m.ServerIdentifier()),
		Routes:   parseRoutes(m),
		DNS:      toAddrs(m.DNS()),
		NTP:      toAddrs(m.NTPServers()),
		Domain:   m.DomainName(),
		Hostname: m.HostName(),
		Obtained: sent,
	}
	return lease, lease.setTimes(m, sent)
}

func parseAddress(m *dhcpv4.DHCPv4) (netip.Prefix, error) {
	ip := toAddr(m.YourIPAddr)
	if !usableHost(ip) {
		return netip.Prefix{}, fmt.Errorf("dhcp: server offers %v, which is no host address", m.YourIPAddr)
	}
	bits, err := maskBits(ip, m.SubnetMask())
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(ip, bits), nil
}

// maskBits returns the length of the mask, or that of the address's class
// (RFC 791) where the server sent none.
func maskBits(ip netip.Addr, mask net.IPMask) (int, error) {
	if mask == nil {
		ones, _ := net.IP(ip.AsSlice()).DefaultMask().Size()
		return ones, nil
	}
	ones, size := mask.Size()
	if size != 32 || ones == 0 {
		return 0, fmt.Errorf("dhcp: unusable subnet mask %v", mask)
	}
	return ones, nil
}

// setTimes fills in T1, T2 and the end; RFC 2131 4.4.5 gives the defaults.
func (l *Lease) setTimes(m *dhcpv4.DHCPv4, sent time.Time) error {
	d := m.IPAddressLeaseTime(0)
	if d == 0 {
		return errors.New("dhcp: server grants no lease time")
	}
	d = min(max(d, minLease), maxLease)
	t1 := m.IPAddressRenewalTime(d / 2)
	t2 := m.IPAddressRebindingTime(d * 7 / 8)
	if t1 <= 0 || t2 <= t1 || d <= t2 {
		t1, t2 = d/2, d*7/8
	}
	l.Renew, l.Rebind, l.Expire = sent.Add(t1), sent.Add(t2), sent.Add(d)
	return nil
}

// parseRoutes prefers option 121, as RFC 3442 demands, to option 3.
func parseRoutes(m *dhcpv4.DHCPv4) []Route {
	var routes []Route
	for _, r := range m.ClasslessStaticRoute() {
		if route, ok := toRoute(r); ok {
			routes = append(routes, route)
		}
	}
	if len(routes) > 0 {
		return routes
	}
	for _, gw := range toAddrs(m.Router()) {
		routes = append(routes, Route{Destination: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Gateway: gw})
	}
	return routes
}

func toRoute(r *dhcpv4.Route) (Route, bool) {
	if r == nil || r.Dest == nil {
		return Route{}, false
	}
	ip, ok := netip.AddrFromSlice(r.Dest.IP.To4())
	ones, size := r.Dest.Mask.Size()
	if !ok || size != 32 {
		return Route{}, false
	}
	gw := toAddr(r.Router)
	if gw.IsUnspecified() {
		gw = netip.Addr{}
	}
	return Route{Destination: netip.PrefixFrom(ip, ones).Masked(), Gateway: gw}, true
}

func toAddr(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip.To4())
	return addr
}

func toAddrs(ips []net.IP) []netip.Addr {
	var addrs []netip.Addr
	for _, ip := range ips {
		if a := toAddr(ip); usableHost(a) {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func usableHost(ip netip.Addr) bool {
	return ip.Is4() && !ip.IsUnspecified() && !ip.IsLoopback() && !ip.IsMulticast() && ip != broadcast
}
