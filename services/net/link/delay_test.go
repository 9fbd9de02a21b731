package link

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// speaker sends packets of one connection through an endpoint.
type speaker struct {
	t       *testing.T
	e       *Endpoint
	sink    *sink
	v6      bool
	port    uint16
	packets atomic.Int64 // not yet released
}

func newSpeaker(t *testing.T, v6 bool) *speaker {
	d := &sink{room: 1000}
	return &speaker{t: t, e: New(d, func(error) {}), sink: d, v6: v6, port: 80}
}

// say sends a packet with an acknowledgement and size bytes of data, and
// returns what went out: the acknowledgement numbers, negative for those
// with data.
func (s *speaker) say(flags header.TCPFlags, ack uint32, window uint16, options string, size int) []int {
	from := len(s.sink.frames)
	pkt := s.packet(flags, ack, window, options, size)
	if n, err := write(s.e, pkt); n != 1 || err != nil {
		s.t.Fatal(n, err)
	}
	return s.out(from)
}

func (s *speaker) ack(ack uint32) []int  { return s.say(header.TCPFlagAck, ack, 9, "", 0) }
func (s *speaker) data(ack uint32) []int { return s.say(header.TCPFlagAck, ack, 9, "", 100) }

func (s *speaker) out(from int) (list []int) {
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	for _, f := range s.sink.frames[from:] {
		_, tcp, ok := splitTCP(f)
		if !ok {
			s.t.Fatalf("not TCP: %x", f)
		}
		n := int(tcp.AckNumber())
		if len(tcp) > int(tcp.DataOffset()) {
			n = -n
		}
		list = append(list, n)
	}
	return list
}

func (s *speaker) packet(flags header.TCPFlags, ack uint32, window uint16, options string, size int) *stack.PacketBuffer {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: 120,
		Payload:            buffer.MakeWithData(make([]byte, size)),
		OnRelease:          func() { s.packets.Add(-1) },
	})
	s.packets.Add(1)
	tcp := header.TCP(pkt.TransportHeader().Push(header.TCPMinimumSize + len(options)))
	pkt.TransportProtocolNumber = header.TCPProtocolNumber
	tcp.Encode(&header.TCPFields{SrcPort: s.port, DstPort: 2, AckNum: ack, DataOffset: uint8(len(tcp)), Flags: flags, WindowSize: window})
	copy(tcp[header.TCPMinimumSize:], options)
	length := uint16(len(tcp) + size)
	if s.v6 {
		ip := header.IPv6(pkt.NetworkHeader().Push(header.IPv6MinimumSize))
		ip.Encode(&header.IPv6Fields{PayloadLength: length, TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: header.IPv6Loopback, DstAddr: header.IPv6Loopback})
		pkt.NetworkProtocolNumber = header.IPv6ProtocolNumber
	} else {
		ip := header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize))
		ip.Encode(&header.IPv4Fields{TotalLength: header.IPv4MinimumSize + length, TTL: 64, Protocol: uint8(header.TCPProtocolNumber), SrcAddr: header.IPv4Loopback, DstAddr: header.IPv4Loopback})
		pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	}
	s.e.AddHeader(pkt)
	return pkt
}

// converse makes the connection one that answers at once.
func (s *speaker) converse() {
	s.say(header.TCPFlagSyn|header.TCPFlagAck, 1000, 9, "", 0)
	s.ack(1100)
	s.data(1100)
}

// done ends the test: no packet's memory is left.
func (s *speaker) done() {
	s.t.Helper()
	s.e.delay.close()
	if n := s.packets.Load(); n != 0 {
		s.t.Errorf("%d packets are not released", n)
	}
}

func (s *speaker) key() flowKey {
	pkt := s.packet(header.TCPFlagAck, 1, 1, "", 0)
	defer pkt.DecRef()
	key, _, ok := connection(pkt)
	if !ok {
		s.t.Fatal("not a connection's")
	}
	return key
}

func TestDelay(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testDelay(t, v6) })
		})
	}
}

func testDelay(t *testing.T, v6 bool) {
	s := newSpeaker(t, v6)
	defer s.done()
	s.converse()
	expect := func(what string, got []int, want ...int) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: sent %v, want %v", what, got, want)
		}
	}
	expect("small news", s.ack(1200))
	expect("data after it", s.data(1200), -1200)
	expect("news again", s.ack(1300))
	expect("more news", s.ack(1400))
	expect("data after both", s.data(1400), -1400)
	expect("a full segment and a byte", s.ack(1400+1461), 2861)
	expect("small news", s.ack(2900))
	expect("then much", s.ack(5000), 5000)
	expect("small news", s.ack(5100))
	expect("a new window", s.say(header.TCPFlagAck, 5100, 99, "", 0), 5100)
	expect("news after it", s.ack(5200))
	expect("small news", s.ack(5300))
	expect("repeated", s.ack(5300), 5300, 5300)
	expect("the gap is filled", s.ack(5400), 5400)
	expect("selective", s.say(header.TCPFlagAck, 5500, 9, "\x01\x01\x05\x0a\x00\x00\x00\x01\x00\x00\x00\x02", 0), 5500)
	expect("FIN", s.say(header.TCPFlagAck|header.TCPFlagFin, 5600, 9, "", 0), 5600)
	expect("after it", s.ack(5700), 5700)
	expect("small news", s.ack(5800))
	expect("RST", s.say(header.TCPFlagRst, 0, 9, "", 0), 0)
}

// TestDelayBound checks that what is held goes out in time, and that such a
// connection is not trusted any more.
func TestDelayBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpeaker(t, false)
		defer s.done()
		s.converse()
		ack := uint32(1200)
		for _, lesson := range []int{2, 4, 8, 16, 32, 64, 64} {
			from := len(s.sink.frames)
			if got := s.ack(ack); len(got) != 0 {
				t.Fatalf("not held: %v", got)
			}
			time.Sleep(2 * delayTick)
			synctest.Wait()
			if got := s.out(from); !slices.Equal(got, []int{int(ack)}) {
				t.Fatalf("after two ticks: %v", got)
			}
			for range lesson {
				ack += 10
				if got := s.ack(ack); len(got) != 1 {
					t.Fatalf("trusted again: %v", got)
				}
				s.data(ack)
			}
			ack += 10
		}
	})
}

// A connection whose answers take long has its requests acknowledged at once.
func TestDelaySlowAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpeaker(t, false)
		defer s.done()
		for i := range uint32(5) {
			if got := s.ack(1000 + 100*i); len(got) != 1 {
				t.Errorf("request %d: %v", i, got)
			}
			time.Sleep(delayTick)
			s.data(1000 + 100*i)
		}
	})
}

// Two connections that share a slot do not lose what is held.
func TestDelayShared(t *testing.T) { synctest.Test(t, testDelayShared) }

func testDelayShared(t *testing.T) {
	s := newSpeaker(t, false)
	defer s.done()
	s.converse()
	key := s.key()
	if got := s.ack(1200); len(got) != 0 {
		t.Fatalf("not held: %v", got)
	}
	for other := key; other == key || other.slot() != key.slot(); other = s.key() {
		s.port++
	}
	if got := s.ack(7); !slices.Equal(got, []int{1200, 7}) {
		t.Errorf("sent %v", got)
	}
}
