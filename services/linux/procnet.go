package linux

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/flow"
)

// Flags of a route (linux/route.h).
const (
	routeUp      = 0x1
	routeGateway = 0x2
)

// newProcNet makes what is in /proc/net: routes, multicast groups, sockets and counters, as proc(5) describes them.
func (s *System) newProcNet(t *syntheticFS) []*synthetic {
	show := func(format func(net.Snapshot) string) func() string {
		return func() string {
			if s.network == nil {
				return format(net.Snapshot{})
			}
			return format(s.network.Snapshot())
		}
	}
	return []*synthetic{
		t.text("dev", show(networkDevices)),
		t.text("route", show(routes4)),
		t.text("ipv6_route", show(routes6)),
		t.text("igmp", show(groups4)),
		t.text("igmp6", show(groups6)),
		t.text("tcp", s.socketsText(flow.TCP, false)),
		t.text("tcp6", s.socketsText(flow.TCP, true)),
		t.text("udp", s.socketsText(flow.UDP, false)),
		t.text("udp6", s.socketsText(flow.UDP, true)),
		t.text("arp", s.neighbours),
		t.text("if_inet6", s.addresses6),
	}
}

// networkDevices is /proc/net/dev.
func networkDevices(s net.Snapshot) string {
	var b strings.Builder
	b.WriteString("Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n")
	for _, i := range s.Interfaces {
		c := i.Counters
		fmt.Fprintf(&b, "%6s: %7d %7d    0    0    0     0          0         0 %8d %7d    0 %4d    0     0       0          0\n",
			i.Name, c.RxBytes, c.RxPackets, c.TxBytes, c.TxPackets, c.TxDropped)
	}
	return b.String()
}

// routes4 is /proc/net/route: addresses are hexadecimal, in the order that a
// little-endian machine reads them in.
func routes4(s net.Snapshot) string {
	var b strings.Builder
	b.WriteString("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n")
	for _, r := range s.Routes {
		if !r.Destination.Addr().Is4() {
			continue
		}
		flags, gateway := routeUp, uint32(0)
		if r.Gateway.Is4() {
			flags |= routeGateway
			gateway = little(r.Gateway)
		}
		mask := ^uint32(0) << (32 - r.Destination.Bits())
		if r.Destination.Bits() == 0 {
			mask = 0
		}
		fmt.Fprintf(&b, "%s\t%08X\t%08X\t%04X\t0\t0\t0\t%08X\t0\t0\t0\n", r.Device,
			little(r.Destination.Masked().Addr()), gateway, flags,
			binary.LittleEndian.Uint32(binary.BigEndian.AppendUint32(nil, mask)))
	}
	return b.String()
}

func little(a netip.Addr) uint32 {
	b := a.As4()
	return binary.LittleEndian.Uint32(b[:])
}

// routes6 is /proc/net/ipv6_route.
func routes6(s net.Snapshot) string {
	var b strings.Builder
	full := func(a netip.Addr) string {
		v := a.As16()
		return hex.EncodeToString(v[:])
	}
	none := netip.IPv6Unspecified()
	for _, r := range s.Routes {
		if !r.Destination.Addr().Is6() {
			continue
		}
		flags, gateway := routeUp, none
		if r.Gateway.Is6() {
			flags |= routeGateway
			gateway = r.Gateway.WithZone("")
		}
		fmt.Fprintf(&b, "%s %02x %s 00 %s %08x %08x %08x %08x %8s\n", full(r.Destination.Masked().Addr()),
			r.Destination.Bits(), full(none), full(gateway), 0, 0, 0, flags, r.Device)
	}
	return b.String()
}

// groups4 is /proc/net/igmp: a line for each interface, one for each of its
// groups below it.
func groups4(s net.Snapshot) string {
	var b strings.Builder
	b.WriteString("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n")
	for _, i := range s.Interfaces {
		var in []netip.Addr
		for _, g := range i.Groups {
			if g.Is4() {
				in = append(in, g)
			}
		}
		fmt.Fprintf(&b, "%d\t%-10s: %5d %7s\n", i.Index, i.Name, len(in), "V3")
		for _, g := range in {
			fmt.Fprintf(&b, "\t\t\t\t%08X %5d %d:%08X\t\t%d\n", little(g), 1, 0, 0, 0)
		}
	}
	return b.String()
}

// groups6 is /proc/net/igmp6.
func groups6(s net.Snapshot) string {
	var b strings.Builder
	for _, i := range s.Interfaces {
		for _, g := range i.Groups {
			if a := g.As16(); g.Is6() {
				fmt.Fprintf(&b, "%-4d %-15s %s %5d %08X %d\n", i.Index, i.Name, hex.EncodeToString(a[:]), 1, 4, 0)
			}
		}
	}
	return b.String()
}
