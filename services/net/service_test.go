package net

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/tuplix/tuplix/services/net/dhcp/dhcptest"
	"github.com/tuplix/tuplix/services/net/link"
	"github.com/tuplix/tuplix/services/net/wire"
)

var (
	macA = [6]byte{2, 0, 0, 0, 0, 0xa}
	macB = [6]byte{2, 0, 0, 0, 0, 0xb}
)

func newService(t *testing.T, line string, dev link.Device, resolver func([]netip.Addr, []string)) *Service {
	t.Helper()
	c, err := ParseCommandLine(line)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Config: c, Memory: 256 * mib, Log: t.Logf, Resolver: resolver})
	if err != nil {
		t.Fatal(err)
	}
	if dev != nil {
		if err := s.Attach("eth0", dev); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.Close)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func waitReady(t *testing.T, s *Service) {
	t.Helper()
	select {
	case <-s.Ready():
	case <-time.After(20 * time.Second):
		t.Fatal("not ready")
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

// twoHosts joins two configured services; the first has the given end.
func twoHosts(t *testing.T, a, b wire.Options) (*Service, *Service, *wire.NIC, *wire.NIC) {
	t.Helper()
	a.MAC, b.MAC = macA, macB
	na, nb := wire.Pair(a, b)
	sa := newService(t, "ip=10.0.0.1/24,fd00::1/64,dns=10.0.0.9", na, nil)
	sb := newService(t, "ip=10.0.0.2/24,fd00::2/64", nb, nil)
	waitReady(t, sa)
	waitReady(t, sb)
	return sa, sb, na, nb
}

func noBreaches(t *testing.T, nics ...*wire.NIC) {
	t.Helper()
	for _, n := range nics {
		for _, err := range n.Breaches() {
			t.Errorf("offload: %v", err)
		}
	}
}

// transfer sends n bytes from one service to the other over TCP and compares.
func transfer(t *testing.T, from, to *Service, addr netip.Addr, n int) {
	t.Helper()
	proto := protocolOf(addr)
	l, err := gonet.ListenTCP(to.Stack(), tcpip.FullAddress{}, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	sums := make(chan [32]byte, 1)
	go func() {
		defer close(sums)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		h := sha256.New()
		if _, err := io.Copy(h, c); err == nil {
			sums <- [32]byte(h.Sum(nil))
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	c, err := gonet.DialContextTCP(ctx, from.Stack(), tcpip.FullAddress{Addr: toTCPIP(addr), Port: port}, proto)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(data); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case got, ok := <-sums:
		if !ok || got != sha256.Sum256(data) {
			t.Error("the data arrived changed")
		}
	case <-ctx.Done():
		t.Fatal("the data did not arrive")
	}
}

func TestTransferWithOffloads(t *testing.T) {
	all := link.Offloads{TxChecksum: true, TSO4: true, TSO6: true, RxChecksum: true, RxGRO: true}
	for _, c := range []struct {
		name string
		a, b link.Offloads
	}{
		{"none", link.Offloads{}, link.Offloads{}},
		{"all", all, all},
		{"sender only", all, link.Offloads{}},
		{"receiver only", link.Offloads{}, all},
		{"checksum to gro", all, link.Offloads{RxGRO: true}},
		{"no tso6", link.Offloads{TxChecksum: true, TSO4: true}, all},
	} {
		for _, dst := range []string{"10.0.0.2", "fd00::2"} {
			t.Run(fmt.Sprintf("%s to %s", c.name, dst), func(t *testing.T) {
				sa, sb, na, nb := twoHosts(t, wire.Options{Offloads: c.a}, wire.Options{Offloads: c.b})
				waitAddress(t, sa, "fd00::1")
				waitAddress(t, sb, "fd00::2")
				transfer(t, sa, sb, netip.MustParseAddr(dst), 2*mib)
				noBreaches(t, na, nb)
				if n := na.Counts(); (n.Large > 0) != (netip.MustParseAddr(dst).Is4() && c.a.TSO4 || netip.MustParseAddr(dst).Is6() && c.a.TSO6) {
					t.Errorf("%+v with %+v", n, c.a)
				}
			})
		}
	}
}

// waitAddress waits until an address is usable: IPv6 ones are probed first.
func waitAddress(t *testing.T, s *Service, addr string) {
	t.Helper()
	a := netip.MustParseAddr(addr)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, i := range s.Snapshot().Interfaces {
			for _, p := range i.Addresses {
				if p.Addr() != a {
					continue
				}
				nic := tcpip.NICID(i.Index)
				if s.stack.CheckLocalAddress(nic, protocolOf(a), toTCPIP(a)) == nic {
					return
				}
			}
		}
	}
	t.Fatalf("%v does not become usable", a)
}

// Many small writes become one large segment of many parts, which the device
// would refuse.
func TestSmallWrites(t *testing.T) {
	all := link.Offloads{TxChecksum: true, TSO4: true, TSO6: true, RxChecksum: true, RxGRO: true}
	sa, sb, na, nb := twoHosts(t, wire.Options{Offloads: all}, wire.Options{Offloads: all})
	l, err := gonet.ListenTCP(sb.Stack(), tcpip.FullAddress{Port: 7000}, header.IPv4ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := gonet.DialTCP(sa.Stack(), tcpip.FullAddress{Addr: toTCPIP(netip.MustParseAddr("10.0.0.2")), Port: 7000}, header.IPv4ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	const n = 20000
	go func() {
		for range n / 10 {
			if _, err := c.Write([]byte("0123456789")); err != nil {
				return
			}
		}
	}()
	time.Sleep(10 * time.Millisecond) // lets the writes pile up
	got := make([]byte, n)
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, bytes.Repeat([]byte("0123456789"), n/10)) {
		t.Errorf("arrived changed: %v", err)
	}
	noBreaches(t, na, nb)
}

func TestEcho(t *testing.T) {
	sa, _, na, nb := twoHosts(t, wire.Options{}, wire.Options{})
	var q waiter.Queue
	ep, err := sa.Stack().NewEndpoint(header.ICMPv4ProtocolNumber, header.IPv4ProtocolNumber, &q)
	if err != nil {
		t.Fatal(err)
	}
	defer ep.Close()
	entry, in := waiter.NewChannelEntry(waiter.ReadableEvents)
	q.EventRegister(&entry)
	echo := header.ICMPv4(make([]byte, 16))
	echo.SetType(header.ICMPv4Echo)
	to := tcpip.FullAddress{Addr: toTCPIP(netip.MustParseAddr("10.0.0.2"))}
	if _, err := ep.Write(bytes.NewReader(echo), tcpip.WriteOptions{To: &to}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-in:
	case <-time.After(5 * time.Second):
		t.Fatal("no answer")
	}
	var b bytes.Buffer
	if _, err := ep.Read(&b, tcpip.ReadOptions{}); err != nil || header.ICMPv4(b.Bytes()).Type() != header.ICMPv4EchoReply {
		t.Errorf("%x %v", b.Bytes(), err)
	}
	noBreaches(t, na, nb)
}

// serveDHCP answers on a static host until the test ends.
func serveDHCP(t *testing.T, s *Service, server *dhcptest.Server) {
	t.Helper()
	conn, err := gonet.DialUDP(s.Stack(), &tcpip.FullAddress{Port: dhcpServerPort}, nil, header.IPv4ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			reply, err := server.Answer(buf[:n])
			if err != nil || reply == nil {
				continue
			}
			payload := broadcastReply(server.Own, reply)
			s.Stack().WritePacketToRemote(LoopbackNIC+1, header.EthernetBroadcastAddress, header.IPv4ProtocolNumber, payload)
		}
	}()
}

func TestDHCP(t *testing.T) {
	na, nb := wire.Pair(wire.Options{MAC: macA}, wire.Options{MAC: macB})
	sb := newService(t, "ip=10.0.2.2/24", nb, nil)
	waitReady(t, sb)
	server := &dhcptest.Server{
		Own:     netip.MustParseAddr("10.0.2.2"),
		Offer:   netip.MustParsePrefix("10.0.2.15/24"),
		Gateway: netip.MustParseAddr("10.0.2.2"),
		DNS:     netip.MustParseAddr("10.0.2.3"),
		Lease:   20 * time.Second,
	}
	serveDHCP(t, sb, server)
	told := make(chan []netip.Addr, 10)
	sa := newService(t, "", na, func(servers []netip.Addr, _ []string) { told <- servers })
	waitReady(t, sa)
	called := make(chan struct{})
	sa.WhenReady(func() { close(called) })
	<-called
	snap := sa.Snapshot()
	eth := snap.Interfaces[1]
	if eth.DHCP == nil || eth.DHCP.Address != server.Offer || !slices.Contains(eth.Addresses, server.Offer) {
		t.Fatalf("%+v", eth)
	}
	for servers := range told {
		if slices.Equal(servers, []netip.Addr{server.DNS}) {
			break
		}
	}
	transfer(t, sa, sb, server.Own, 10*kib)
	// Half of the lease's 20 s later it is renewed, by unicast.
	first := eth.DHCP.Expire
	deadline := time.Now().Add(15 * time.Second)
	for !sa.Snapshot().Interfaces[1].DHCP.Expire.After(first) {
		if time.Now().After(deadline) {
			t.Fatalf("not renewed; the server saw %v", server.Seen())
		}
		time.Sleep(100 * time.Millisecond)
	}
	noBreaches(t, na, nb)
}

func TestNoDHCPServer(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for DHCPPatience")
	}
	na, _ := wire.Pair(wire.Options{MAC: macA}, wire.Options{MAC: macB})
	s := newService(t, "", na, nil)
	<-s.Ready()
	if s.Err() == nil {
		t.Error("ready without a server")
	}
}

func TestLoopbackOnly(t *testing.T) {
	s := newService(t, "ip=none", nil, nil)
	waitReady(t, s)
	transfer(t, s, s, netip.MustParseAddr("127.0.0.1"), 4*mib)
	transfer(t, s, s, netip.MustParseAddr("127.8.9.1"), 1*kib)
	transfer(t, s, s, netip.MustParseAddr("::1"), 1*mib)
}

func TestBuffersScale(t *testing.T) {
	for _, m := range []uint64{64 * mib, 512 * mib, 64 << 30} {
		b := buffersFor(m)
		if b.normal < 64*kib || b.normal > b.max || uint64(b.max) > m/128 {
			t.Errorf("%d MiB: %+v", m/mib, b)
		}
	}
	s := newService(t, "ip=none", nil, nil)
	var r tcpip.TCPReceiveBufferSizeRangeOption
	if err := s.Stack().TransportProtocolOption(tcp.ProtocolNumber, &r); err != nil || r.Default != 256*kib {
		t.Errorf("%+v %v", r, err)
	}
}

// broadcastReply is a server's answer to everyone on the link.
func broadcastReply(from netip.Addr, payload []byte) buffer.Buffer {
	b := make([]byte, header.IPv4MinimumSize+header.UDPMinimumSize+len(payload))
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.UDPProtocolNumber),
		SrcAddr: toTCPIP(from), DstAddr: header.IPv4Broadcast,
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	u := header.UDP(b[header.IPv4MinimumSize:])
	u.Encode(&header.UDPFields{SrcPort: dhcpServerPort, DstPort: dhcpClientPort, Length: uint16(len(u))})
	copy(u.Payload(), payload)
	return buffer.MakeWithData(b)
}
