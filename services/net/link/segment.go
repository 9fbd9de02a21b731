package link

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// segment is a received TCP segment that has passed all checks of mergeable.
// It views the device's memory, without padding after the IP packet.
//
//	0          14        l4         data           len(frame)
//	| Ethernet | IP      | TCP      | payload      |
type segment struct {
	frame []byte
	l4    int
	data  int
	v6    bool
}

func (s *segment) ip() []byte      { return s.frame[header.EthernetMinimumSize:s.l4] }
func (s *segment) tcp() header.TCP { return header.TCP(s.frame[s.l4:s.data]) }
func (s *segment) payload() []byte { return s.frame[s.data:] }
func (s *segment) seq() uint32     { return binary.BigEndian.Uint32(s.frame[s.l4+header.TCPSeqNumOffset:]) }
func (s *segment) ack() uint32     { return binary.BigEndian.Uint32(s.frame[s.l4+header.TCPAckNumOffset:]) }
func (s *segment) flags() header.TCPFlags {
	return header.TCPFlags(s.frame[s.l4+header.TCPFlagsOffset])
}
func (s *segment) ports() uint32 { return binary.BigEndian.Uint32(s.frame[s.l4:]) }
func (s *segment) addresses() []byte {
	if s.v6 {
		return s.frame[header.EthernetMinimumSize+8 : header.EthernetMinimumSize+40]
	}
	return s.frame[header.EthernetMinimumSize+12 : header.EthernetMinimumSize+20]
}

func (s *segment) protocol() tcpip.NetworkProtocolNumber {
	if s.v6 {
		return header.IPv6ProtocolNumber
	}
	return header.IPv4ProtocolNumber
}

// mergeable parses a frame and tells whether it is a TCP segment for this
// station that may be merged: in one part, not merged by the device already,
// with ACK and maybe PSH as its flags, no IP options or fragments, and correct
// checksums. All else takes the way through the stack, which also counts what is
// wrong with it.
func (e *Endpoint) mergeable(h Header, parts [][]byte) (segment, bool) {
	if len(parts) != 1 || h.GSOType != GSONone {
		return segment{}, false
	}
	s := segment{frame: parts[0]}
	const eth = header.EthernetMinimumSize
	if len(s.frame) < eth+header.IPv4MinimumSize+header.TCPMinimumSize ||
		header.Ethernet(s.frame).DestinationAddress() != e.mac {
		return s, false
	}
	ok := false
	switch header.Ethernet(s.frame).Type() {
	case header.IPv4ProtocolNumber:
		ok = s.parseIPv4()
	case header.IPv6ProtocolNumber:
		ok = s.parseIPv6()
	}
	if !ok || !s.parseTCP() {
		return s, false
	}
	trusted := e.offloads.RxChecksum && h.Flags&(NeedsChecksum|DataValid) != 0
	return s, trusted || s.sumValid()
}

func (s *segment) parseIPv4() bool {
	ip := header.IPv4(s.frame[header.EthernetMinimumSize:])
	n := int(ip.TotalLength())
	const plain = 4<<4 | header.IPv4MinimumSize/4 // version and length
	if ip[0] != plain || n > len(ip) || ip.TransportProtocol() != header.TCPProtocolNumber ||
		ip.More() || ip.FragmentOffset() != 0 || !ip.IsChecksumValid() {
		return false
	}
	s.l4 = header.EthernetMinimumSize + header.IPv4MinimumSize
	s.frame = s.frame[:header.EthernetMinimumSize+n]
	return true
}

func (s *segment) parseIPv6() bool {
	ip := header.IPv6(s.frame[header.EthernetMinimumSize:])
	if len(ip) < header.IPv6MinimumSize || ip[0]>>4 != 6 || ip.NextHeader() != uint8(header.TCPProtocolNumber) {
		return false
	}
	n := header.IPv6MinimumSize + int(ip.PayloadLength())
	if n > len(ip) {
		return false
	}
	s.v6, s.l4 = true, header.EthernetMinimumSize+header.IPv6MinimumSize
	s.frame = s.frame[:header.EthernetMinimumSize+n]
	return true
}

func (s *segment) parseTCP() bool {
	if len(s.frame) < s.l4+header.TCPMinimumSize {
		return false
	}
	tcp := header.TCP(s.frame[s.l4:])
	n := int(tcp.DataOffset())
	if n < header.TCPMinimumSize || n > len(tcp) {
		return false
	}
	s.data = s.l4 + n
	return s.flags()&^header.TCPFlagPsh == header.TCPFlagAck
}

// sumValid verifies the TCP checksum.
func (s *segment) sumValid() bool {
	tcp := s.frame[s.l4:]
	pseudo := checksum.Combine(uint16(header.TCPProtocolNumber), uint16(len(tcp)))
	pseudo = checksum.Checksum(s.addresses(), pseudo)
	return checksum.Checksum(tcp, pseudo) == 0xffff
}
