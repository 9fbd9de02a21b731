package net

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tuplix/tuplix/services/net/dhcp"
)

// Snapshot is the network's state at one moment, for people and for netlink.
type Snapshot struct {
	Interfaces []InterfaceState // by index
	Routes     []RouteState     // in the order of preference
	DNS        []netip.Addr
	Search     []string
	Hostname   string
	TCP        TCPCounters
	Denied     uint64 // frames that the firewall did not admit, since boot
}

// InterfaceState is one interface.
type InterfaceState struct {
	Index     int // from 1, lo
	Name      string
	MAC       [6]byte
	MTU       int
	Up        bool
	Loopback  bool
	Addresses []netip.Prefix
	Groups    []netip.Addr // multicast groups that it is in
	Neighbors []Neighbor
	Counters  Counters
	Mode      Mode           // as configured; of lo None
	Static    []netip.Prefix // of Addresses, those that were configured
	DHCP      *LeaseState    // nil without a lease
	State     string         // of the DHCP client, empty without one
	Err       error          // why it could not be configured, or nil
}

// Counters count frames and bytes since boot.
type Counters struct {
	RxPackets, RxBytes uint64
	TxPackets, TxBytes uint64
	TxDropped          uint64
}

// TCPCounters count since boot, but for Established, which is now.
type TCPCounters struct {
	ActiveOpens, PassiveOpens, Established, Retransmits, Resets uint64
}

// Neighbor is a station on the link (ARP and neighbour discovery).
type Neighbor struct {
	Address netip.Addr
	MAC     string // empty while unknown
	State   string
}

// LeaseState is the DHCP lease in use.
type LeaseState struct {
	Address               netip.Prefix
	Server                netip.Addr
	Routers, DNS, NTP     []netip.Addr
	Domain, Hostname      string
	Obtained              time.Time
	Renew, Rebind, Expire time.Time
}

// RouteState is one row of the routing table.
type RouteState struct {
	Destination netip.Prefix
	Gateway     netip.Addr // not valid: on the link
	Device      string
	Index       int // of the interface
}

// Snapshot reads the state.
func (s *Service) Snapshot() Snapshot {
	infos := s.stack.NICInfo()
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := Snapshot{
		DNS:      slices.Clone(s.servers),
		Search:   slices.Clone(s.search),
		Hostname: s.hostname(),
		TCP:      s.tcpCounters(),
	}
	for _, i := range s.ifaces {
		snap.Denied += i.link.Denied()
	}
	for nic, info := range infos {
		snap.Interfaces = append(snap.Interfaces, s.interfaceState(nic, &info))
	}
	slices.SortFunc(snap.Interfaces, func(a, b InterfaceState) int { return cmp.Compare(a.Index, b.Index) })
	for _, r := range s.stack.GetRouteTable() {
		snap.Routes = append(snap.Routes, RouteState{
			Destination: fromSubnet(r.Destination),
			Gateway:     fromTCPIP(r.Gateway),
			Device:      infos[r.NIC].Name,
			Index:       int(r.NIC),
		})
	}
	return snap
}

// DefaultHostname is the name of a machine that has none.
const DefaultHostname = "tuplix"

func (s *Service) hostname() string { return cmp.Or(s.givenName(), DefaultHostname) }

// givenName is the configured name, or one from a lease, or "".
func (s *Service) givenName() string {
	if s.config.Hostname != "" {
		return s.config.Hostname
	}
	for _, i := range s.ifaces {
		if i.lease != nil && CheckHostname(i.lease.Hostname) == nil {
			return i.lease.Hostname
		}
	}
	return ""
}

func (s *Service) tcpCounters() TCPCounters {
	t := s.stack.Stats().TCP
	return TCPCounters{
		ActiveOpens:  t.ActiveConnectionOpenings.Value(),
		PassiveOpens: t.PassiveConnectionOpenings.Value(),
		Established:  t.CurrentEstablished.Value(),
		Retransmits:  t.Retransmits.Value(),
		Resets:       t.ResetsSent.Value(),
	}
}

func (s *Service) interfaceState(nic tcpip.NICID, info *stack.NICInfo) InterfaceState {
	st := InterfaceState{
		Index:    int(nic),
		Name:     info.Name,
		MTU:      int(info.MTU),
		Up:       info.Flags.Running,
		Loopback: info.Flags.Loopback,
		Counters: Counters{
			RxPackets: info.Stats.Rx.Packets.Value(),
			RxBytes:   info.Stats.Rx.Bytes.Value(),
			TxPackets: info.Stats.Tx.Packets.Value(),
			TxBytes:   info.Stats.Tx.Bytes.Value(),
			TxDropped: info.Stats.TxPacketsDroppedNoBufferSpace.Value(),
		},
	}
	copy(st.MAC[:], info.LinkAddress)
	for _, a := range info.ProtocolAddresses {
		p := netip.PrefixFrom(fromTCPIP(a.AddressWithPrefix.Address), a.AddressWithPrefix.PrefixLen)
		st.Addresses = append(st.Addresses, p)
	}
	slices.SortFunc(st.Addresses, comparePrefixes)
	st.Groups = s.groupsOf(nic, info)
	if i := s.byNIC(nic); i != nil {
		st.Neighbors = s.neighbors(nic)
		st.Err, st.State = i.failed, i.state
		st.Mode, st.Static = i.want.Mode, slices.Clone(i.want.Addresses)
		if l := i.lease; l != nil {
			st.DHCP = leaseState(l)
		}
	} else {
		st.Mode = None
	}
	return st
}

func leaseState(l *dhcp.Lease) *LeaseState {
	st := &LeaseState{
		Address: l.Address, Server: l.Server, DNS: slices.Clone(l.DNS), NTP: slices.Clone(l.NTP),
		Domain: l.Domain, Hostname: l.Hostname,
		Obtained: l.Obtained, Renew: l.Renew, Rebind: l.Rebind, Expire: l.Expire,
	}
	for _, r := range l.Routes {
		if r.Destination.Bits() == 0 && r.Gateway.IsValid() {
			st.Routers = append(st.Routers, r.Gateway)
		}
	}
	return st
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func (s *Service) neighbors(nic tcpip.NICID) []Neighbor {
	var all []Neighbor
	for _, proto := range []tcpip.NetworkProtocolNumber{header.IPv4ProtocolNumber, header.IPv6ProtocolNumber} {
		entries, err := s.stack.Neighbors(nic, proto)
		if err != nil {
			continue // the interface is gone
		}
		for _, e := range entries {
			n := Neighbor{Address: fromTCPIP(e.Addr), State: e.State.String()}
			if e.LinkAddr != "" {
				n.MAC = e.LinkAddr.String()
			}
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(a, b Neighbor) int { return a.Address.Compare(b.Address) })
	return all
}

// ResolvConf is what /etc/resolv.conf says of these servers (resolv.conf(5)).
func ResolvConf(servers []netip.Addr, search []string) []byte {
	var b bytes.Buffer
	if len(search) > 0 {
		b.WriteString("search")
		for _, d := range search {
			fmt.Fprintf(&b, " %s", d)
		}
		b.WriteByte('\n')
	}
	for _, a := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	return b.Bytes()
}
