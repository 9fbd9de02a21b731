package firewall

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// frame is an Ethernet frame of a packet without payload. For ICMP source is the
// type; flags are TCP's.
func frame(proto uint8, from, to string, source, target uint16, flags byte) []byte {
	a, b := netip.MustParseAddr(from), netip.MustParseAddr(to)
	f := make([]byte, etherHeader)
	if a.Is4() {
		binary.BigEndian.PutUint16(f[12:], etherIPv4)
		ip := make([]byte, minIPv4)
		ip[0], ip[9] = 0x45, proto
		copy(ip[12:], a.AsSlice())
		copy(ip[16:], b.AsSlice())
		f = append(f, ip...)
	} else {
		binary.BigEndian.PutUint16(f[12:], etherIPv6)
		ip := make([]byte, lenIPv6)
		ip[0], ip[6] = 0x60, proto
		copy(ip[8:], a.AsSlice())
		copy(ip[24:], b.AsSlice())
		f = append(f, ip...)
	}
	t := make([]byte, 20)
	if proto == protoICMP || proto == protoICMPv6 {
		t[0] = byte(source)
	} else {
		binary.BigEndian.PutUint16(t, source)
		binary.BigEndian.PutUint16(t[2:], target)
		t[13] = flags
	}
	return append(f, t...)
}

func rules(t testing.TB, texts ...string) (list []Rule) {
	t.Helper()
	for _, text := range texts {
		r, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func listening(p Protocol, port uint16) string {
	if p == TCP && port == 80 {
		return "web"
	}
	return ""
}

const (
	peer4, own4 = "10.0.0.2", "10.0.0.1"
	peer6, own6 = "fd00::2", "fd00::1"
)

func TestAdmit(t *testing.T) {
	f := New(rules(t,
		"allow in tcp from 10.0.0.0/24 port 22",
		"deny in tcp port 1-1023 program nobody",
		"allow in tcp program web",
		"allow in icmp from fd00::/64",
		"deny in",
	), listening, NewTracker(nil))
	for _, test := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"ssh from the subnet", frame(protoTCP, peer4, own4, 4000, 22, flagSYN), true},
		{"ssh from elsewhere", frame(protoTCP, "10.0.1.2", own4, 4000, 22, flagSYN), false},
		{"what the program listens on", frame(protoTCP, "192.0.2.1", own4, 4000, 80, flagSYN), true},
		{"over IPv6", frame(protoTCP, peer6, own6, 4000, 80, flagSYN), true},
		{"what nobody listens on", frame(protoTCP, peer4, own4, 4000, 81, flagSYN), false},
		{"an answer to a connect", frame(protoTCP, peer4, own4, 443, 4000, flagSYN|flagACK), true},
		{"a segment", frame(protoTCP, peer4, own4, 443, 4000, flagACK), true},
		{"a segment over IPv6", frame(protoTCP, peer6, own6, 443, 4000, flagACK), true},
		{"a datagram", frame(protoUDP, peer4, own4, 53, 4000, 0), false},
		{"DHCP's answer", frame(protoUDP, peer4, own4, 67, 68, 0), true},
		{"a ping", frame(protoICMP, peer4, own4, 8, 0, 0), false},
		{"a ping that is allowed", frame(protoICMPv6, peer6, own6, 128, 0, 0), true},
		{"a ping's answer", frame(protoICMP, peer4, own4, 0, 0, 0), true},
		{"an unreachable port", frame(protoICMP, peer4, own4, 3, 0, 0), true},
		{"a neighbour", frame(protoICMPv6, "fe80::2", own6, 135, 0, 0), true},
		{"another protocol", frame(47, peer4, own4, 0, 0, 0), false},
		{"ARP", append(make([]byte, 12), 8, 6, 0, 1, 8, 0), true},
		{"nothing", nil, false},
		{"a cut header", frame(protoTCP, peer4, own4, 4000, 22, flagSYN)[:etherHeader+minIPv4+10], false},
	} {
		if got := f.Admit(test.frame); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if hits := f.Hits(); hits[0] != 1 || hits[2] != 2 || hits[3] != 1 || hits[1] != 0 {
		t.Errorf("hits: %v", hits)
	}
}

// Fragments are decided by the first; one that could change a first is refused.
func TestFragments(t *testing.T) {
	f := New(rules(t, "deny in tcp port 22"), listening, NewTracker(nil))
	first := frame(protoTCP, peer4, own4, 4000, 22, flagSYN)
	first[etherHeader+6] = 0x20 // more come
	later := frame(protoTCP, peer4, own4, 0, 0, 0)
	later[etherHeader+7] = 3
	over := frame(protoTCP, peer4, own4, 0, 0, 0)
	over[etherHeader+7] = 1
	if f.Admit(first) || !f.Admit(later) || f.Admit(over) {
		t.Errorf("first %v, later %v, one over the flags %v", f.Admit(first), f.Admit(later), f.Admit(over))
	}
	syn6 := frame(extDestination, peer6, own6, 0, 0, 0)[:etherHeader+lenIPv6]
	syn6 = append(syn6, protoTCP, 0, 0, 0, 0, 0, 0, 0) // an extension header of 8 bytes
	syn6 = append(syn6, frame(protoTCP, peer6, own6, 4000, 22, flagSYN)[etherHeader+lenIPv6:]...)
	if f.Admit(syn6) {
		t.Error("an extension header hides the ports")
	}
}

// A datagram may come back from where one went to, for a time.
func TestReplies(t *testing.T) {
	var now time.Duration
	f := New(rules(t, "deny in"), listening, NewTracker(func() time.Duration { return now }))
	back := frame(protoUDP, peer4, own4, 53, 4000, 0)
	if f.Admit(back) {
		t.Fatal("nobody asked")
	}
	f.Note(frame(protoUDP, own4, peer4, 4000, 53, 0))
	now = Reply
	if !f.Admit(back) || f.Admit(frame(protoUDP, peer4, own4, 54, 4000, 0)) || f.Admit(frame(protoUDP, "10.0.0.3", own4, 53, 4000, 0)) {
		t.Error("wrong datagrams come back")
	}
	now = Reply + 1
	if f.Admit(back) {
		t.Error("it comes back too late")
	}
}

// What is remembered is bounded, and new datagrams are remembered all the same.
func TestTrackerBound(t *testing.T) {
	tracker := NewTracker(nil)
	p := packet{to: netip.MustParseAddr(peer4)}
	for i := range 3 * maxPeers {
		p.source, p.target = uint16(i), uint16(i>>16)
		tracker.sent(&p)
		if back := (packet{from: p.to, source: p.target, target: p.source}); !tracker.replies(&back) {
			t.Fatalf("datagram %d is forgotten", i)
		}
	}
	if n := len(tracker.peers); n > maxPeers {
		t.Errorf("%d are remembered", n)
	}
}

func TestPermit(t *testing.T) {
	f := New(rules(t, "allow out tcp to 192.0.2.0/24 port 25 program mail", "deny out tcp port 25"), listening, NewTracker(nil))
	to := netip.MustParseAddrPort
	for _, test := range []struct {
		p       Protocol
		peer    string
		program string
		want    bool
	}{
		{TCP, "192.0.2.1:25", "mail", true},
		{TCP, "[::ffff:192.0.2.1]:25", "mail", true},
		{TCP, "192.0.2.1:25", "web", false},
		{TCP, "198.51.100.1:25", "mail", false},
		{TCP, "192.0.2.1:80", "web", true},
		{UDP, "192.0.2.1:25", "web", true},
	} {
		if got := f.Permit(test.p, to(test.peer), test.program); got != test.want {
			t.Errorf("%s to %s for %s: %v", test.p, test.peer, test.program, got)
		}
	}
	if !f.Admit(frame(protoTCP, peer4, own4, 1, 25, flagSYN)) {
		t.Error("a rule for out holds for in")
	}
	if New(nil, listening, nil) != nil {
		t.Error("a filter without rules")
	}
}

// A decision allocates nothing.
func TestAllocations(t *testing.T) {
	f := New(rules(t, "deny in tcp port 22 program x", "deny out tcp port 25 program x"), listening, NewTracker(nil))
	syn := frame(protoTCP, peer4, own4, 4000, 22, flagSYN)
	to := netip.MustParseAddrPort("192.0.2.1:25")
	if n := testing.AllocsPerRun(100, func() { f.Admit(syn); f.Permit(TCP, to, "y") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAdmit(f *testing.F) {
	f.Add(frame(protoTCP, peer4, own4, 4000, 22, flagSYN))
	f.Add(frame(protoTCP, peer6, own6, 4000, 22, flagACK))
	f.Add(frame(extHopByHop, peer6, own6, 4000, 22, flagACK))
	f.Add(frame(protoICMPv6, peer6, own6, 128, 22, 0))
	filter := New(rules(f, "deny in tcp port 22", "allow in udp", "deny in from 10.0.0.0/8"), listening, NewTracker(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		filter.Admit(b)
		filter.Note(b)
		p, ip, ok := parse(b)
		if established(b) && (!ip || !ok || p.begins || p.protocol != protoTCP) {
			t.Errorf("the short cut takes %x for established, which is %+v", b, p)
		}
	})
}

func BenchmarkAdmit(b *testing.B) {
	f := New(rules(b, "deny in tcp from 192.0.2.0/24 port 22", "deny in udp port 53", "allow in tcp port 80", "deny in"), listening, NewTracker(nil))
	for name, packet := range map[string][]byte{
		"Segment": frame(protoTCP, peer4, own4, 4000, 80, flagACK),
		"SYN":     frame(protoTCP, peer4, own4, 4000, 80, flagSYN),
		"UDP":     frame(protoUDP, peer4, own4, 4000, 80, 0),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f.Admit(packet)
			}
		})
	}
}
