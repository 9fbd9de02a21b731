package net

import (
	"io"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/net/link"
	"github.com/tuplix/tuplix/services/net/wire"
)

// benchHosts are two hosts on a wire, the second with these rules.
func benchHosts(b *testing.B, texts ...string) (*Service, *Service) {
	all := link.Offloads{TxChecksum: true, TSO4: true, TSO6: true, RxChecksum: true, RxGRO: true}
	na, nb := wire.Pair(wire.Options{MAC: macA, Offloads: all}, wire.Options{MAC: macB, Offloads: all})
	var hosts [2]*Service
	for i, dev := range []*wire.NIC{na, nb} {
		c, err := ParseCommandLine([]string{"ip=10.0.0.1/24", "ip=10.0.0.2/24"}[i])
		if err != nil {
			b.Fatal(err)
		}
		if hosts[i], err = New(Options{Config: c, Memory: 256 * mib}); err != nil {
			b.Fatal(err)
		}
		if err := hosts[i].Attach("eth0", dev); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(hosts[i].Close)
		if err := hosts[i].Start(); err != nil {
			b.Fatal(err)
		}
		<-hosts[i].Ready()
	}
	var rules []firewall.Rule
	for _, text := range texts {
		r, err := firewall.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		rules = append(rules, r)
	}
	hosts[1].SetFirewall(rules)
	return hosts[0], hosts[1]
}

// someRules let the benchmark through at the end.
var someRules = []string{
	"deny in tcp from 192.0.2.0/24 port 22", "deny in udp port 53", "deny in icmp from 198.51.100.0/24", "allow in tcp port 7000", "deny in",
}

func BenchmarkRoundTrip(b *testing.B) {
	b.Run("open", func(b *testing.B) { benchRoundTrip(b) })
	b.Run("rules", func(b *testing.B) { benchRoundTrip(b, someRules...) })
}

func benchRoundTrip(b *testing.B, rules ...string) {
	client, server := benchHosts(b, rules...)
	l, err := gonet.ListenTCP(server.Stack(), tcpip.FullAddress{Port: 7000}, header.IPv4ProtocolNumber)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		p := make([]byte, 200)
		for {
			if _, err := io.ReadFull(c, p); err != nil {
				return
			}
			if _, err := c.Write(p); err != nil {
				return
			}
		}
	}()
	c, err := gonet.DialTCP(client.Stack(), tcpip.FullAddress{Addr: toTCPIP(netip.MustParseAddr("10.0.0.2")), Port: 7000}, header.IPv4ProtocolNumber)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	p := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, p); err != nil {
			b.Fatal(err)
		}
	}
}
