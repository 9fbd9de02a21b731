package net

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/services/net/dhcp/dhcptest"
	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/net/wire"
)

func interfaceOf(t *testing.T, line string) Interface {
	t.Helper()
	c, err := ParseCommandLine(line)
	if err != nil {
		t.Fatal(err)
	}
	return c.Interfaces[0]
}

func apply(t *testing.T, s *Service, is ...Interface) {
	t.Helper()
	if err := s.Apply(Config{Interfaces: is}); err != nil {
		t.Fatal(err)
	}
}

// Addresses, routes and the MTU change while the interface works; what is kept is
// not disturbed.
func TestApply(t *testing.T) {
	sa, sb, na, nb := twoHosts(t, wire.Options{}, wire.Options{})
	transfer(t, sa, sb, netip.MustParseAddr("10.0.0.2"), 10*kib)
	i := interfaceOf(t, "ip=10.0.0.2/24,10.0.9.2/24,gw=10.0.9.1")
	i.MTU = 1400
	i.Routes = []Route{
		{Destination: netip.MustParsePrefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"), Metric: 9},
		{Destination: netip.MustParsePrefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("10.0.0.3"), Metric: 1},
	}
	apply(t, sb, i)
	eth := sb.Snapshot().Interfaces[1]
	if !slices.Contains(eth.Addresses, netip.MustParsePrefix("10.0.9.2/24")) ||
		slices.Contains(eth.Addresses, netip.MustParsePrefix("fd00::2/64")) || eth.MTU != 1400 {
		t.Errorf("%+v", eth)
	}
	var gateways []string
	for _, r := range sb.Snapshot().Routes {
		if r.Gateway.IsValid() {
			gateways = append(gateways, r.Destination.String()+" "+r.Gateway.String())
		}
	}
	want := []string{"192.0.2.0/24 10.0.0.3", "192.0.2.0/24 10.0.0.1", "0.0.0.0/0 10.0.9.1"}
	if !slices.Equal(gateways, want) {
		t.Errorf("routes %q, want %q", gateways, want)
	}
	transfer(t, sa, sb, netip.MustParseAddr("10.0.0.2"), 10*kib)
	apply(t, sb, Interface{Device: "eth0", Mode: None})
	if eth := sb.Snapshot().Interfaces[1]; eth.Up || len(sb.Snapshot().Routes) != 2 {
		t.Errorf("down: %+v, %v", eth, sb.Snapshot().Routes)
	}
	apply(t, sb, interfaceOf(t, "ip=10.0.0.2/24"))
	if eth := sb.Snapshot().Interfaces[1]; eth.MTU != 1500 {
		t.Errorf("MTU %d", eth.MTU)
	}
	transfer(t, sa, sb, netip.MustParseAddr("10.0.0.2"), 10*kib)
	noBreaches(t, na, nb)
}

// What cannot be applied is told, and the rest holds.
func TestApplyFails(t *testing.T) {
	_, sb, _, _ := twoHosts(t, wire.Options{}, wire.Options{})
	i := interfaceOf(t, "ip=10.0.0.2/24,10.0.0.2/16,10.0.5.2/24")
	if err := sb.Apply(Config{Interfaces: []Interface{i}}); err == nil {
		t.Error("one address is given twice")
	}
	eth := sb.Snapshot().Interfaces[1]
	if eth.Err == nil || !slices.Contains(eth.Addresses, netip.MustParsePrefix("10.0.5.2/24")) {
		t.Errorf("%+v", eth)
	}
	apply(t, sb, interfaceOf(t, "ip=10.0.0.2/24"))
	if eth := sb.Snapshot().Interfaces[1]; eth.Err != nil {
		t.Errorf("%+v", eth)
	}
}

// An interface goes from DHCP to a configured address and back.
func TestApplyDHCP(t *testing.T) {
	na, nb := wire.Pair(wire.Options{MAC: macA}, wire.Options{MAC: macB})
	sb := newService(t, "ip=10.0.2.2/24", nb, nil)
	waitReady(t, sb)
	server := &dhcptest.Server{
		Own: netip.MustParseAddr("10.0.2.2"), Offer: netip.MustParsePrefix("10.0.2.15/24"),
		Gateway: netip.MustParseAddr("10.0.2.2"), DNS: netip.MustParseAddr("10.0.2.3"), Lease: time.Hour,
	}
	serveDHCP(t, sb, server)
	sa := newService(t, "", na, nil)
	waitReady(t, sa)
	apply(t, sa, interfaceOf(t, "ip=10.0.2.15/24"))
	if eth := sa.Snapshot().Interfaces[1]; eth.DHCP != nil || eth.State != "" || len(eth.Static) != 1 {
		t.Errorf("%+v", eth)
	}
	transfer(t, sa, sb, server.Own, 10*kib)
	apply(t, sa, Interface{Mode: DHCP})
	for deadline := time.Now().Add(15 * time.Second); sa.Snapshot().Interfaces[1].DHCP == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no lease")
		}
	}
	transfer(t, sa, sb, server.Own, 10*kib)
}

// A denied connection does not come about, one that is there goes on, and what the
// machine asks is answered.
func TestFirewall(t *testing.T) {
	sa, sb, na, nb := twoHosts(t, wire.Options{}, wire.Options{})
	l, err := gonet.ListenTCP(sb.Stack(), tcpip.FullAddress{Port: 7000}, header.IPv4ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial := func(patience time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return gonet.DialContextTCP(ctx, sa.Stack(), tcpip.FullAddress{Addr: toTCPIP(netip.MustParseAddr("10.0.0.2")), Port: 7000}, header.IPv4ProtocolNumber)
	}
	first, err := dial(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()

	deny, err := firewall.Parse("deny in")
	if err != nil {
		t.Fatal(err)
	}
	sb.SetFirewall([]firewall.Rule{deny})
	for sb.FirewallHits()[0] == 0 { // a busy host may not come to ask within that time
		if c, err := dial(300 * time.Millisecond); err == nil {
			c.Close()
			t.Fatal("connected in spite of the rule")
		}
	}
	if _, err := first.Write([]byte("still")); err != nil {
		t.Error(err)
	}
	if n, err := peer.Read(make([]byte, 5)); err != nil || n != 5 {
		t.Errorf("%d bytes, %v", n, err)
	}
	transfer(t, sb, sa, netip.MustParseAddr("10.0.0.1"), 10*kib) // outwards
	exchangeDatagram(t, sb, sa)

	sb.SetFirewall(nil)
	c, err := dial(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	noBreaches(t, na, nb)
}

// exchangeDatagram has one host ask another by UDP, from a socket without a peer, and
// waits for the answer.
func exchangeDatagram(t *testing.T, from, to *Service) {
	t.Helper()
	server, err := gonet.DialUDP(to.Stack(), &tcpip.FullAddress{Port: 5300}, nil, header.IPv4ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := gonet.DialUDP(from.Stack(), &tcpip.FullAddress{Port: 5301}, nil, header.IPv4ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	question := make([]byte, 4000) // in fragments
	if _, err := client.WriteTo(question, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5300}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5000)
	n, back, err := server.ReadFrom(b)
	if err != nil || n != len(question) {
		t.Fatal(n, err)
	}
	if _, err := server.WriteTo(b[:n], back); err != nil {
		t.Fatal(err)
	}
	if n, _, err := client.ReadFrom(b); err != nil || n != len(question) {
		t.Errorf("the answer: %d bytes, %v", n, err)
	}
}
