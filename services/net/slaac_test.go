package net

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/services/net/wire"
)

// advertisement is a router advertisement (RFC 4861, 4.2) with a prefix
// (4.6.2) and a name server (RFC 8106, 5.1), in an IPv6 packet.
func advertisement(router netip.Addr, prefix netip.Prefix, dns netip.Addr, lifetime uint16) []byte {
	body := make([]byte, 16+32+24)
	body[0] = byte(header.ICMPv6RouterAdvert)
	body[4] = 64
	binary.BigEndian.PutUint16(body[6:], lifetime)
	p := body[16:]
	p[0], p[1], p[2], p[3] = 3, 4, byte(prefix.Bits()), 0xc0 // on the link, for addresses
	binary.BigEndian.PutUint32(p[4:], 86400)
	binary.BigEndian.PutUint32(p[8:], 14400)
	copy(p[16:], prefix.Addr().AsSlice())
	d := body[48:]
	d[0], d[1] = 25, 3
	binary.BigEndian.PutUint32(d[4:], uint32(lifetime))
	copy(d[8:], dns.AsSlice())

	packet := make([]byte, header.IPv6MinimumSize+len(body))
	ip := header.IPv6(packet)
	ip.Encode(&header.IPv6Fields{
		PayloadLength:     uint16(len(body)),
		TransportProtocol: header.ICMPv6ProtocolNumber,
		HopLimit:          header.NDPHopLimit,
		SrcAddr:           toTCPIP(router),
		DstAddr:           header.IPv6AllNodesMulticastAddress,
	})
	icmp := header.ICMPv6(packet[header.IPv6MinimumSize:])
	copy(icmp, body)
	icmp.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header: icmp, Src: ip.SourceAddress(), Dst: ip.DestinationAddress(),
	}))
	return packet
}

func TestSLAAC(t *testing.T) {
	na, nb := wire.Pair(wire.Options{MAC: macA}, wire.Options{MAC: macB})
	sb := newService(t, "ip=10.0.0.2/24", nb, nil)
	sa := newService(t, "ip=10.0.0.1/24", na, nil)
	waitReady(t, sa)
	waitReady(t, sb)
	router, dns := netip.MustParseAddr("fe80::ff:fe00:b"), netip.MustParseAddr("2001:db8::53")
	prefix := netip.MustParsePrefix("2001:db8:1::/64")
	advertise := func(lifetime uint16) {
		t.Helper()
		p := advertisement(router, prefix, dns, lifetime)
		multicast := header.EthernetAddressFromMulticastIPv6Address(header.IPv6AllNodesMulticastAddress)
		if err := sb.Stack().WritePacketToRemote(LoopbackNIC+1, multicast, header.IPv6ProtocolNumber, buffer.MakeWithData(p)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "an address of the prefix, its route, the default route and the server", func() bool {
		advertise(600)
		snap := sa.Snapshot()
		return slices.ContainsFunc(snap.Interfaces[1].Addresses, func(p netip.Prefix) bool { return prefix.Contains(p.Addr()) }) &&
			slices.ContainsFunc(snap.Routes, func(r RouteState) bool { return r.Destination == prefix }) &&
			slices.ContainsFunc(snap.Routes, func(r RouteState) bool { return r.Gateway == router && r.Destination.Bits() == 0 }) &&
			slices.Contains(snap.DNS, dns)
	})
	until(t, "the router and its server to go", func() bool {
		advertise(0)
		snap := sa.Snapshot()
		return !slices.ContainsFunc(snap.Routes, func(r RouteState) bool { return r.Gateway == router }) &&
			!slices.Contains(snap.DNS, dns)
	})
	noBreaches(t, na, nb)
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
