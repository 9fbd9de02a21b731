package link

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// sink keeps what is transmitted, and fails after a number of frames.
type sink struct {
	idleDevice
	mu      sync.Mutex
	frames  [][]byte
	headers []Header
	room    int
	flushes int
}

func (d *sink) Transmit(h Header, parts [][]byte, _ bool, done func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.frames) == d.room {
		return errors.New("full")
	}
	d.frames = append(d.frames, bytes.Join(parts, nil))
	d.headers = append(d.headers, h)
	done()
	return nil
}

func (d *sink) Flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushes++
}

const testFlags = header.TCPFlagAck | header.TCPFlagPsh | header.TCPFlagFin | header.TCPFlagCwr

// outgoing is a TCP packet as the stack hands it over, its payload in pieces.
func outgoing(e *Endpoint, v6 bool, payload []byte, piece, mss int) *stack.PacketBuffer {
	var data buffer.Buffer
	for p := payload; len(p) > 0; {
		k := min(piece, len(p))
		v := buffer.NewViewWithData(p[:k])
		if err := data.Append(v); err != nil {
			panic(err)
		}
		p = p[k:]
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 100, Payload: data})
	tcp := header.TCP(pkt.TransportHeader().Push(header.TCPMinimumSize))
	tcp.Encode(&header.TCPFields{SrcPort: 1, DstPort: 2, SeqNum: 0xffffff00, AckNum: 7, DataOffset: header.TCPMinimumSize, Flags: testFlags, WindowSize: 9})
	pkt.GSOOptions = stack.GSO{Type: stack.GSOTCPv4, NeedsCsum: true, CsumOffset: header.TCPChecksumOffset, MSS: uint16(mss), L3HdrLen: header.IPv4MinimumSize}
	length := uint16(len(tcp) + len(payload))
	if v6 {
		pkt.GSOOptions.Type, pkt.GSOOptions.L3HdrLen = stack.GSOTCPv6, header.IPv6MinimumSize
		ip := header.IPv6(pkt.NetworkHeader().Push(header.IPv6MinimumSize))
		ip.Encode(&header.IPv6Fields{PayloadLength: length, TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: header.IPv6Loopback, DstAddr: header.IPv6Loopback})
		tcp.SetChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, header.IPv6Loopback, header.IPv6Loopback, length))
		pkt.NetworkProtocolNumber = header.IPv6ProtocolNumber
	} else {
		ip := header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize))
		ip.Encode(&header.IPv4Fields{TotalLength: header.IPv4MinimumSize + length, ID: 0xffff, Flags: header.IPv4FlagDontFragment, TTL: 64, Protocol: uint8(header.TCPProtocolNumber), SrcAddr: header.IPv4Loopback, DstAddr: header.IPv4Loopback})
		ip.SetChecksum(^ip.CalculateChecksum())
		tcp.SetChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, header.IPv4Loopback, header.IPv4Loopback, length))
		pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	}
	pkt.EgressRoute.RemoteLinkAddress = e.mac // so that the frames can come back
	e.AddHeader(pkt)
	return pkt
}

func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// write hands one packet to the endpoint.
func write(e *Endpoint, pkt *stack.PacketBuffer) (int, tcpip.Error) {
	defer pkt.DecRef()
	var list stack.PacketBufferList
	list.PushBack(pkt)
	return e.WritePackets(list)
}

func TestSegmentation(t *testing.T) {
	for _, size := range []int{0, 1, 1459, 1460, 1461, 2920, 60001} {
		for _, piece := range []int{100, 1461, 16384, 65536} {
			for _, v6 := range []bool{false, true} {
				for _, o := range []Offloads{{}, {TxChecksum: true}} {
					testSegmentation(t, size, piece, v6, o)
				}
			}
		}
	}
}

func testSegmentation(t *testing.T, size, piece int, v6 bool, o Offloads) {
	const mss = 1460
	d := &sink{idleDevice: idleDevice{o}, room: 100}
	e := New(d, func(error) {})
	payload := content(size)
	if n, err := write(e, outgoing(e, v6, payload, piece, mss)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	want := max(1, (size+mss-1)/mss)
	if len(d.frames) != want || d.flushes != 1 {
		t.Fatalf("%d bytes: %d frames, %d flushes", size, len(d.frames), d.flushes)
	}
	var got []byte
	for i, f := range d.frames {
		s := received(t, f, v6)
		if summed := s.sumValid(); summed == o.TxChecksum {
			t.Fatalf("%d bytes, frame %d: checksum valid: %v", size, i, summed)
		}
		if h := d.headers[i]; o.TxChecksum != (h == Header{Flags: NeedsChecksum, ChecksumStart: uint16(s.l4), ChecksumOffset: 16}) {
			t.Fatalf("%d bytes, frame %d: header %+v", size, i, h)
		}
		if s.seq() != 0xffffff00+uint32(len(got)) || s.ack() != 7 || s.tcp().WindowSize() != 9 || len(s.payload()) > mss {
			t.Fatalf("%d bytes, frame %d: %x", size, i, f[:60])
		}
		flags := header.TCPFlags(header.TCPFlagAck)
		if i == 0 {
			flags |= header.TCPFlagCwr
		}
		if i == want-1 {
			flags |= header.TCPFlagPsh | header.TCPFlagFin
		}
		if s.flags() != flags {
			t.Fatalf("%d bytes, frame %d: flags %v", size, i, s.flags())
		}
		got = append(got, s.payload()...)
	}
	if !bytes.Equal(got, payload) {
		t.Fatalf("%d bytes: other payload", size)
	}
}

// received parses a frame the way a receiver does, and verifies what lies below
// TCP.
func received(t *testing.T, f []byte, v6 bool) segment {
	t.Helper()
	s := segment{frame: f}
	ok := false
	if v6 {
		ok = s.parseIPv6()
	} else {
		ok = s.parseIPv4()
	}
	s.parseTCP()
	if !ok || len(s.frame) != len(f) || s.data == 0 {
		t.Fatalf("not a TCP segment: %x", f)
	}
	return s
}

// A device that fails in the middle of a packet gets no more of it, and the
// packet's memory comes back.
func TestSegmentationFails(t *testing.T) {
	d := &sink{room: 3}
	e := New(d, func(error) {})
	pkt := outgoing(e, false, content(10000), 5000, 1460)
	if n, err := write(e, pkt); n != 0 || err == nil {
		t.Errorf("%d written, %v", n, err)
	}
	if refs := pkt.ReadRefs(); refs != 0 {
		t.Errorf("%d references left", refs)
	}
	if len(d.frames) != 3 || d.flushes != 1 {
		t.Errorf("%d frames, %d flushes", len(d.frames), d.flushes)
	}
}
