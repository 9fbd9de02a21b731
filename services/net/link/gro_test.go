package link

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// piece describes an incoming TCP segment.
type piece struct {
	port     uint16
	seq, ack uint32
	flags    header.TCPFlags
	window   uint16
	options  string // of whole words
	tos      uint8
	data     string
}

// frame makes the piece an Ethernet frame to idleDevice.
func (p piece) frame(v6 bool) []byte {
	tcp := header.TCP(make([]byte, header.TCPMinimumSize, 2000))
	tcp.Encode(&header.TCPFields{
		SrcPort: p.port, DstPort: 80, SeqNum: p.seq, AckNum: p.ack, Flags: p.flags,
		DataOffset: uint8(header.TCPMinimumSize + len(p.options)), WindowSize: p.window,
	})
	tcp = append(append(tcp, p.options...), p.data...)
	src, dst := header.IPv4Loopback, header.IPv4Loopback
	eth := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00}
	var ip []byte
	if v6 {
		eth[12], eth[13] = 0x86, 0xdd
		src, dst = header.IPv6Loopback, header.IPv6Loopback
		ip = make([]byte, header.IPv6MinimumSize)
		header.IPv6(ip).Encode(&header.IPv6Fields{TrafficClass: p.tos, PayloadLength: uint16(len(tcp)), TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: src, DstAddr: dst})
	} else {
		ip = make([]byte, header.IPv4MinimumSize)
		h := header.IPv4(ip)
		h.Encode(&header.IPv4Fields{TOS: p.tos, TotalLength: uint16(len(ip) + len(tcp)), TTL: 64, Protocol: uint8(header.TCPProtocolNumber), SrcAddr: src, DstAddr: dst})
		h.SetChecksum(^h.CalculateChecksum())
	}
	tcp.SetChecksum(^checksum.Checksum(tcp, header.PseudoHeaderChecksum(header.TCPProtocolNumber, src, dst, uint16(len(tcp)))))
	return slices.Concat(eth, ip, tcp)
}

// collector is a stack that writes down the TCP segments that it gets.
type collector struct {
	endpoint *Endpoint
	got      []string
	sizes    []int
}

func (c *collector) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

func (c *collector) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	v := pkt.ToView()
	defer v.Release()
	s := segment{frame: v.AsSlice()}
	ok := protocol == header.IPv4ProtocolNumber && s.parseIPv4() || protocol == header.IPv6ProtocolNumber && s.parseIPv6()
	if !ok || c.endpoint.validated.Load() && len(s.frame) != v.Size() {
		c.got = append(c.got, "other")
		return
	}
	s.parseTCP()
	flags := strings.ReplaceAll(s.flags().String(), " ", "")
	text := fmt.Sprintf("%d %d %d %s %s", s.tcp().SourcePort(), s.seq(), s.ack(), flags, s.payload())
	if pkt.PktType != tcpip.PacketHost {
		text += " for another"
	}
	if !c.endpoint.validated.Load() {
		text += " unverified"
	}
	c.got = append(c.got, text)
	c.sizes = append(c.sizes, v.Size())
}

func collect(frames [][]byte) *collector {
	c := &collector{endpoint: New(idleDevice{}, func(error) {})}
	c.endpoint.Attach(c)
	for _, f := range frames {
		c.endpoint.deliver(Header{}, [][]byte{f})
	}
	c.endpoint.flush()
	return c
}

const (
	ack  = header.TCPFlagAck
	push = header.TCPFlagAck | header.TCPFlagPsh
	fin  = header.TCPFlagAck | header.TCPFlagFin
)

var mergeCases = []struct {
	name string
	in   []piece
	want []string
}{
	{"in order", []piece{{1, 100, 5, ack, 9, "", 0, "abc"}, {1, 103, 5, ack, 9, "", 0, "de"}, {1, 105, 5, ack, 9, "", 0, "f"}}, []string{"1 100 5 A abcdef"}},
	{"around zero", []piece{{1, 0xffffffff, 5, ack, 9, "", 0, "abc"}, {1, 2, 5, ack, 9, "", 0, "d"}}, []string{"1 4294967295 5 A abcd"}},
	{"push ends", []piece{{1, 1, 5, ack, 9, "", 0, "a"}, {1, 2, 5, push, 9, "", 0, "b"}, {1, 3, 5, ack, 9, "", 0, "c"}}, []string{"1 1 5 PA ab", "1 3 5 A c"}},
	{"fin follows", []piece{{1, 1, 5, ack, 9, "", 0, "a"}, {1, 2, 5, fin, 9, "", 0, "b"}}, []string{"1 1 5 A a", "1 2 5 FA b unverified"}},
	{"gap", []piece{{1, 1, 5, ack, 9, "", 0, "a"}, {1, 3, 5, ack, 9, "", 0, "b"}}, []string{"1 1 5 A a", "1 3 5 A b"}},
	{"again", []piece{{1, 1, 5, ack, 9, "", 0, "a"}, {1, 1, 5, ack, 9, "", 0, "a"}}, []string{"1 1 5 A a", "1 1 5 A a"}},
	{"other acknowledgement", []piece{{1, 1, 5, ack, 9, "", 0, "a"}, {1, 2, 6, ack, 9, "", 0, "b"}}, []string{"1 1 5 A a", "1 2 6 A b"}},
	{"other window", []piece{{1, 1, 5, ack, 9, "", 0, "a"}, {1, 2, 5, ack, 8, "", 0, "b"}}, []string{"1 1 5 A a", "1 2 5 A b"}},
	{"other class", []piece{{1, 1, 5, ack, 9, "", 0, "a"}, {1, 2, 5, ack, 9, "", 3, "b"}}, []string{"1 1 5 A a", "1 2 5 A b"}},
	{"other options", []piece{{1, 1, 5, ack, 9, "\x01\x01\x01\x01", 0, "a"}, {1, 2, 5, ack, 9, "\x01\x01\x01\x00", 0, "b"}}, []string{"1 1 5 A a", "1 2 5 A b"}},
	{"two connections", []piece{{1, 1, 5, ack, 9, "", 0, "a"}, {2, 1, 5, ack, 9, "", 0, "b"}, {1, 2, 5, ack, 9, "", 0, "c"}, {2, 2, 5, ack, 9, "", 0, "d"}}, []string{"1 1 5 A ac", "2 1 5 A bd"}},
	{"acknowledgements", []piece{{1, 1, 5, ack, 9, "", 0, ""}, {1, 1, 7, ack, 9, "", 0, ""}, {1, 1, 9, ack, 4, "", 0, ""}}, []string{"1 1 9 A "}},
	{"repeated acknowledgement", []piece{{1, 1, 5, ack, 9, "", 0, ""}, {1, 1, 5, ack, 9, "", 0, ""}, {1, 1, 5, ack, 9, "", 0, ""}}, []string{"1 1 5 A ", "1 1 5 A ", "1 1 5 A "}},
	{"old acknowledgement", []piece{{1, 1, 5, ack, 9, "", 0, ""}, {1, 1, 4, ack, 9, "", 0, ""}}, []string{"1 1 5 A ", "1 1 4 A "}},
	{"acknowledgement and data", []piece{{1, 1, 5, ack, 9, "", 0, ""}, {1, 1, 5, ack, 9, "", 0, "a"}, {1, 2, 6, ack, 9, "", 0, ""}}, []string{"1 1 5 A ", "1 1 5 A a", "1 2 6 A "}},
}

func TestMerge(t *testing.T) {
	for _, c := range mergeCases {
		for _, v6 := range []bool{false, true} {
			var frames [][]byte
			for _, p := range c.in {
				// Padding, as of short frames, is not data.
				frames = append(frames, append(p.frame(v6), 0, 0, 0))
			}
			r := collect(frames)
			if !slices.Equal(r.got, c.want) {
				t.Errorf("%s, IPv6 %v: got %q, want %q", c.name, v6, r.got, c.want)
			}
		}
	}
}

// A damaged segment is not merged, and goes to the stack as it is.
func TestMergeDamaged(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		whole := piece{1, 1, 5, ack, 9, "", 0, "abc"}.frame(v6)
		for i := header.EthernetMinimumSize; i < len(whole); i++ {
			damaged := slices.Clone(whole)
			damaged[i] ^= 0x10
			e := New(idleDevice{}, func(error) {})
			if s, ok := e.mergeable(Header{}, [][]byte{damaged}); ok && s.sumValid() && !unsummed(v6, i) {
				t.Errorf("IPv6 %v: byte %d is changed unseen", v6, i)
			}
		}
	}
}

// unsummed tells whether byte i of a frame is under no checksum: in IPv6, what
// is not in the pseudo header.
func unsummed(v6 bool, i int) bool {
	at := i - header.EthernetMinimumSize
	return v6 && (at < 4 || at == 7)
}

// TestMergeLimits merges more than fits one packet, and more connections than
// are held.
func TestMergeLimits(t *testing.T) {
	var frames [][]byte
	data := strings.Repeat("x", 1460)
	for i := range 100 {
		frames = append(frames, piece{1, uint32(i * len(data)), 5, ack, 9, "", 0, data}.frame(false))
	}
	c := collect(frames)
	total := 0
	for _, n := range c.sizes {
		if n > mostMerged {
			t.Errorf("a packet of %d bytes", n)
		}
		total += n - header.EthernetMinimumSize - header.IPv4MinimumSize - header.TCPMinimumSize
	}
	if total != 100*len(data) || len(c.sizes) != 3 {
		t.Errorf("%d bytes in %d packets", total, len(c.sizes))
	}
	frames = nil
	for i := range 3 * maxRuns {
		frames = append(frames, piece{uint16(i), 1, 5, ack, 9, "", 0, "a"}.frame(true))
	}
	if c = collect(frames); len(c.got) != 3*maxRuns {
		t.Errorf("%d packets", len(c.got))
	}
}

// FuzzMerge delivers two frames that are made of one, and checks that no byte of
// them is lost or made up.
func FuzzMerge(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		f.Add(piece{1, 1, 5, ack, 9, "", 0, "abc"}.frame(v6), piece{1, 4, 5, ack, 9, "", 0, "def"}.frame(v6))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		e := New(idleDevice{Offloads{RxChecksum: true}}, func(error) {})
		c := &collector{endpoint: e}
		e.Attach(c)
		want := 0
		h := Header{Flags: DataValid}
		for _, frame := range [][]byte{a, b} {
			if s, ok := e.mergeable(h, [][]byte{frame}); ok {
				want += len(s.payload())
				e.deliver(h, [][]byte{frame})
			}
		}
		e.flush()
		got := 0
		for i, n := range c.sizes {
			s := strings.SplitN(c.got[i], " ", 5)
			if len(s) < 5 || n > mostMerged {
				t.Fatalf("%q of %d bytes", c.got[i], n)
			}
			got += len(s[4])
		}
		if got != want {
			t.Errorf("%d bytes of payload became %d", want, got)
		}
	})
}
