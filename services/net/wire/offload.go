package wire

import (
	"encoding/binary"
	"errors"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/services/net/link"
)

// packet is a parsed frame: where its headers lie.
type packet struct {
	data  []byte
	v6    bool
	l4    int // offset of the transport header
	proto tcpip.TransportProtocolNumber
	frag  bool
}

// parse finds the transport header of an IP frame. ok is false for frames
// that are not TCP or UDP over IP, or too short to tell.
func parse(data []byte) (p packet, ok bool) {
	const eth = header.EthernetMinimumSize
	if len(data) < eth+header.IPv4MinimumSize {
		return p, false
	}
	p.data = data
	switch header.Ethernet(data).Type() {
	case header.IPv4ProtocolNumber:
		ip := header.IPv4(data[eth:])
		p.l4, p.proto = eth+int(ip.HeaderLength()), ip.TransportProtocol()
		p.frag = ip.More() || ip.FragmentOffset() != 0
	case header.IPv6ProtocolNumber:
		if len(data) < eth+header.IPv6MinimumSize {
			return p, false
		}
		p.v6, p.l4 = true, eth+header.IPv6MinimumSize
		p.proto = tcpip.TransportProtocolNumber(header.IPv6(data[eth:]).NextHeader())
	default:
		return p, false
	}
	return p, p.l4+header.UDPMinimumSize <= len(data) &&
		(p.proto == header.TCPProtocolNumber || p.proto == header.UDPProtocolNumber)
}

// end is where the IP packet ends; a frame may carry padding after it.
func (p packet) end() int {
	ip := p.data[header.EthernetMinimumSize:]
	if p.v6 {
		return header.EthernetMinimumSize + header.IPv6MinimumSize + int(header.IPv6(ip).PayloadLength())
	}
	return header.EthernetMinimumSize + int(header.IPv4(ip).TotalLength())
}

func (p packet) pseudo(length int) uint16 {
	ip := p.data[header.EthernetMinimumSize:]
	if p.v6 {
		h := header.IPv6(ip)
		return header.PseudoHeaderChecksum(p.proto, h.SourceAddress(), h.DestinationAddress(), uint16(length))
	}
	h := header.IPv4(ip)
	return header.PseudoHeaderChecksum(p.proto, h.SourceAddress(), h.DestinationAddress(), uint16(length))
}

func (p packet) sumOffset() int {
	if p.proto == header.TCPProtocolNumber {
		return header.TCPChecksumOffset
	}
	return 6 // RFC 768
}

func (p packet) sumValid() bool {
	end := p.end()
	if end > len(p.data) || end < p.l4 {
		return false
	}
	sum := binary.BigEndian.Uint16(p.data[p.l4+p.sumOffset():])
	if sum == 0 && p.proto == header.UDPProtocolNumber && !p.v6 {
		return true
	}
	return checksum.Checksum(p.data[p.l4:end], p.pseudo(end-p.l4)) == 0xffff
}

// check verifies a sender's header against the frame.
func (n *NIC) check(h link.Header, data []byte) error {
	o := n.opts.Offloads
	limit := header.EthernetMinimumSize + n.opts.MTU
	p, transport := parse(data)
	switch {
	case h.GSOType == link.GSONone && len(data) > limit:
		return errors.New("frame is larger than the MTU")
	case h.GSOType == link.GSOTCPv4 && !o.TSO4, h.GSOType == link.GSOTCPv6 && !o.TSO6:
		return errors.New("segmentation was not negotiated")
	case h.GSOType != link.GSONone && (h.Flags&link.NeedsChecksum == 0 || h.GSOSize == 0):
		return errors.New("segmentation without checksum or size")
	case h.GSOType != link.GSONone && int(h.HeaderLen)+int(h.GSOSize) > limit:
		return errors.New("segments would exceed the MTU")
	case h.Flags&link.NeedsChecksum == 0:
		if transport && !p.frag && !p.sumValid() {
			return errors.New("wrong checksum")
		}
		return nil
	case !o.TxChecksum:
		return errors.New("checksum offload was not negotiated")
	case !transport || int(h.ChecksumStart) != p.l4 || int(h.ChecksumOffset) != p.sumOffset():
		return errors.New("checksum position is not the transport's")
	case p.end() != len(data):
		return errors.New("IP length is not the frame's")
	case binary.BigEndian.Uint16(data[p.l4+p.sumOffset():]) != p.pseudo(len(data)-p.l4):
		return errors.New("partial checksum is not the pseudo header's")
	}
	return nil
}

// complete hands a frame on whole: as it is, if the receiver takes partial
// checksums, or with the checksum filled in.
func (n *NIC) complete(h link.Header, data []byte, partial bool) ([]frame, error) {
	if h.Flags&link.NeedsChecksum == 0 {
		if partial {
			h.Flags |= link.DataValid // check has verified it
		}
		return []frame{{h, data}}, nil
	}
	if partial {
		return []frame{{h, data}}, nil
	}
	p, _ := parse(data)
	fill(p)
	h.Flags, h.ChecksumStart, h.ChecksumOffset = 0, 0, 0
	return []frame{{h, data}}, nil
}

func fill(p packet) {
	sum := p.data[p.l4+p.sumOffset():]
	binary.BigEndian.PutUint16(sum, 0)
	binary.BigEndian.PutUint16(sum, ^checksum.Checksum(p.data[p.l4:], p.pseudo(len(p.data)-p.l4)))
}

// segment cuts a large TCP segment the way a device does.
func (n *NIC) segment(h link.Header, data []byte) ([]frame, error) {
	p, _ := parse(data)
	if p.proto != header.TCPProtocolNumber {
		return nil, errors.New("wire: segmentation of what is not TCP")
	}
	headers := p.l4 + int(header.TCP(data[p.l4:]).DataOffset())
	if headers != int(h.HeaderLen) || headers > len(data) {
		return nil, errors.New("wire: header length is not the frame's")
	}
	var frames []frame
	for payload, sent := data[headers:], 0; len(payload) > 0; {
		k := min(int(h.GSOSize), len(payload))
		seg := append(append([]byte(nil), data[:headers]...), payload[:k]...)
		adjust(seg, p, sent, len(frames), k == len(payload))
		frames = append(frames, frame{data: seg})
		payload, sent = payload[k:], sent+k
	}
	return frames, nil
}

// adjust makes one segment's headers right: lengths, identification, sequence
// number, flags of the last one only, and checksums.
func adjust(seg []byte, p packet, offset, index int, last bool) {
	ip := seg[header.EthernetMinimumSize:]
	if p.v6 {
		header.IPv6(ip).SetPayloadLength(uint16(len(ip) - header.IPv6MinimumSize))
	} else {
		h := header.IPv4(ip)
		h.SetTotalLength(uint16(len(ip)))
		h.SetID(h.ID() + uint16(index))
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
	}
	tcp := header.TCP(seg[p.l4:])
	tcp.SetSequenceNumber(tcp.SequenceNumber() + uint32(offset))
	if !last {
		tcp.SetFlags(uint8(tcp.Flags() &^ (header.TCPFlagFin | header.TCPFlagPsh)))
	}
	q := p
	q.data = seg
	fill(q)
}
