package linux

import (
	"net/netip"
	"testing"

	"github.com/tuplix/tuplix/services/net"
)

func TestProcNet(t *testing.T) {
	s := net.Snapshot{
		Interfaces: []net.InterfaceState{{
			Index: 2, Name: "eth0",
			Counters: net.Counters{RxBytes: 1500, RxPackets: 2, TxBytes: 60, TxPackets: 1},
			Groups:   []netip.Addr{netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("ff02::1")},
		}},
		Routes: []net.RouteState{
			{Destination: netip.MustParsePrefix("10.0.2.0/24"), Device: "eth0"},
			{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.0.2.2"), Device: "eth0"},
			{Destination: netip.MustParsePrefix("fe80::/64"), Device: "eth0"},
			{Destination: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("fe80::2"), Device: "eth0"},
		},
	}
	for _, c := range []struct{ name, got, want string }{
		{"dev", networkDevices(s), "Inter-|   Receive                                                |  Transmit\n" +
			" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
			"  eth0:    1500       2    0    0    0     0          0         0       60       1    0    0    0     0       0          0\n"},
		{"route", routes4(s), "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
			"eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
			"eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"},
		{"ipv6_route", routes6(s), "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000000 00000000 00000001     eth0\n" +
			"00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000002 00000000 00000000 00000000 00000003     eth0\n"},
		{"igmp", groups4(s), "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n" +
			"2\teth0      :     1      V3\n" +
			"\t\t\t\t010000E0     1 0:00000000\t\t0\n"},
		{"igmp6", groups6(s), "2    eth0            ff020000000000000000000000000001     1 00000004 0\n"},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, c.got, c.want)
		}
	}
}
