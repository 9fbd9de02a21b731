package firewall

import (
	"encoding/binary"
	"net/netip"
)

// Numbers of protocols.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// packet is what rules are asked about.
type packet struct {
	protocol        uint8
	from, to        netip.Addr
	source, target  uint16 // ports, of TCP and UDP
	begins          bool   // something new, as far as the packet tells
	laterOfFragment bool   // it has no transport header; the first fragment decides
}

// Where things are in frames.
const (
	etherHeader = 14
	etherIPv4   = 0x0800
	etherIPv6   = 0x86DD
	minIPv4     = 20
	lenIPv6     = 40
	minTCP      = 14 // up to the flags
	lenUDP      = 8

	flagSYN, flagACK = 0x02, 0x10
)

// established reports whether the frame is plainly a TCP segment that begins nothing,
// at the least cost: most frames are.
func established(b []byte) bool {
	const at4, at6 = etherHeader + minIPv4, etherHeader + lenIPv6
	switch {
	case len(b) >= at4+minTCP && b[12] == etherIPv4>>8 && b[13] == etherIPv4&0xff &&
		b[14] == 0x45 && b[23] == protoTCP && b[20]&0x3f == 0 && b[21] == 0:
		return b[at4+13]&(flagSYN|flagACK) != flagSYN
	case len(b) >= at6+minTCP && b[12] == etherIPv6>>8 && b[13] == etherIPv6&0xff && b[14]>>4 == 6 && b[20] == protoTCP:
		return b[at6+13]&(flagSYN|flagACK) != flagSYN
	}
	return false
}

// parse reads the head of an Ethernet frame. ip is false for what is not IP; ok is
// false where the packet cannot be told what it is.
func parse(b []byte) (p packet, ip, ok bool) {
	if len(b) < etherHeader {
		return p, false, false
	}
	payload := b[etherHeader:]
	switch binary.BigEndian.Uint16(b[12:]) {
	case etherIPv4:
		ok = p.ipv4(payload)
	case etherIPv6:
		ok = p.ipv6(payload)
	default:
		return p, false, true
	}
	return p, true, ok
}

func (p *packet) ipv4(b []byte) bool {
	if len(b) < minIPv4 || b[0]>>4 != 4 {
		return false
	}
	n := int(b[0]&0xf) * 4
	if n < minIPv4 || len(b) < n {
		return false
	}
	p.protocol = b[9]
	p.from, p.to = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	return p.transport(b[n:], binary.BigEndian.Uint16(b[6:])&0x1fff)
}

// Extension headers of IPv6 that stand before the transport's.
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60

	maxExtensions = 8
)

func (p *packet) ipv6(b []byte) bool {
	if len(b) < lenIPv6 || b[0]>>4 != 6 {
		return false
	}
	p.from, p.to = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	next, b := b[6], b[lenIPv6:]
	var fragment uint16
	for range maxExtensions {
		size := 8
		switch next {
		case extHopByHop, extRouting, extDestination:
			if len(b) < 2 {
				return false
			}
			size = 8 + int(b[1])*8
		case extFragment:
			if len(b) < 8 {
				return false
			}
			if fragment = binary.BigEndian.Uint16(b[2:]) >> 3; fragment != 0 {
				p.protocol = b[0]
				return p.transport(b[8:], fragment)
			}
		default:
			p.protocol = next
			return p.transport(b, fragment)
		}
		if len(b) < size {
			return false
		}
		next, b = b[0], b[size:]
	}
	return false
}

// transport reads the head of what IP carries, at a fragment's offset in units of 8
// bytes.
func (p *packet) transport(b []byte, fragment uint16) bool {
	if fragment != 0 {
		p.laterOfFragment = true
		return p.protocol != protoTCP || fragment != 1 // RFC 3128: it would write over the flags
	}
	switch p.protocol {
	case protoTCP:
		if len(b) < minTCP {
			return false
		}
		p.begins = b[13]&(flagSYN|flagACK) == flagSYN
	case protoUDP:
		if len(b) < lenUDP {
			return false
		}
		p.begins = true
	case protoICMP, protoICMPv6:
		if len(b) < 1 {
			return false
		}
		p.begins = p.requests(b[0])
		return true
	default:
		p.begins = true
		return true
	}
	p.source, p.target = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	return true
}

// requests reports whether a type of ICMP asks for something: echo, timestamp,
// information, address mask; echo and node information of IPv6.
func (p *packet) requests(kind uint8) bool {
	if p.protocol == protoICMPv6 {
		return kind == 128 || kind == 139
	}
	return kind == 8 || kind == 13 || kind == 15 || kind == 17
}
