package linux

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Control messages (cmsg(3)) lie behind one another, each on a boundary of 8
// bytes:
//
//	0 length u64, of header and data   8 level i32   12 type i32   16 data
const (
	controlHeader = 16
	// maxControl bounds the control buffer of one message.
	maxControl = 20 << 10
)

func controlAlign(n int) int { return (n + 7) &^ 7 }

// eachControl calls visit for the control messages in b. EINVAL if they are
// malformed.
func eachControl(b []byte, visit func(level, kind int, data []byte) error) error {
	for len(b) >= controlHeader {
		size := binary.LittleEndian.Uint64(b)
		if size < controlHeader || size > uint64(len(b)) {
			return syscall.EINVAL
		}
		level := int(int32(binary.LittleEndian.Uint32(b[8:])))
		kind := int(int32(binary.LittleEndian.Uint32(b[12:])))
		if err := visit(level, kind, b[controlHeader:size]); err != nil {
			return err
		}
		b = b[min(controlAlign(int(size)), len(b)):]
	}
	return nil
}

// putControl appends a control message and returns its data to fill in, or
// nil where the room does not suffice, which the flags then say.
func (m *message) putControl(level, kind, size int) []byte {
	room := m.control[m.controlLen:]
	if len(room) < controlHeader+size {
		m.outFlags |= unix.MSG_CTRUNC
		return nil
	}
	binary.LittleEndian.PutUint64(room[0:], uint64(controlHeader+size))
	binary.LittleEndian.PutUint32(room[8:], uint32(level))
	binary.LittleEndian.PutUint32(room[12:], uint32(kind))
	m.controlLen += min(controlAlign(controlHeader+size), len(room))
	return room[controlHeader : controlHeader+size]
}

func (m *message) putControlInt(level, kind, value int) {
	if p := m.putControl(level, kind, 4); p != nil {
		binary.LittleEndian.PutUint32(p, uint32(value))
	}
}

// putInetControl passes on what the socket's IP_RECV options asked for.
//
//	in_pktinfo    0 interface i32   4 local address[4]   8 destination[4]
//	in6_pktinfo   0 destination[16]   16 interface u32
func (m *message) putInetControl(c *tcpip.ReceivableControlMessages) {
	if c.HasTTL {
		m.putControlInt(unix.IPPROTO_IP, unix.IP_TTL, int(c.TTL))
	}
	if c.HasTOS {
		if p := m.putControl(unix.IPPROTO_IP, unix.IP_TOS, 1); p != nil {
			p[0] = c.TOS
		}
	}
	if c.HasHopLimit {
		m.putControlInt(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, int(c.HopLimit))
	}
	if c.HasTClass {
		m.putControlInt(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(c.TClass))
	}
	if c.HasIPPacketInfo {
		if p := m.putControl(unix.IPPROTO_IP, unix.IP_PKTINFO, 12); p != nil {
			binary.LittleEndian.PutUint32(p, uint32(c.PacketInfo.NIC))
			copy(p[4:8], c.PacketInfo.LocalAddr.AsSlice())
			copy(p[8:12], c.PacketInfo.DestinationAddr.AsSlice())
		}
	}
	if c.HasIPv6PacketInfo {
		if p := m.putControl(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, 20); p != nil {
			putMapped(p[:16], c.IPv6PacketInfo.Addr)
			binary.LittleEndian.PutUint32(p[16:], uint32(c.IPv6PacketInfo.NIC))
		}
	}
}

// putMapped writes an address in 16 bytes, an IPv4 one mapped.
func putMapped(p []byte, a tcpip.Address) {
	clear(p)
	if a.Len() == header.IPv4AddressSize {
		p[10], p[11] = 0xff, 0xff
		p = p[12:]
	}
	copy(p, a.AsSlice())
}

// parseInetControl takes over what a sender sets for one packet. Of those that
// the stack does not know (IP_PKTINFO's source address) nothing is used.
func parseInetControl(b []byte, c *tcpip.SendableControlMessages) error {
	if len(b) == 0 {
		return nil
	}
	return eachControl(b, func(level, kind int, data []byte) error {
		switch {
		case level == unix.IPPROTO_IP && kind == unix.IP_TTL && len(data) >= 4:
			c.HasTTL, c.TTL = true, data[0]
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_HOPLIMIT && len(data) >= 4:
			c.HasHopLimit, c.HopLimit = true, data[0]
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= 20:
			c.HasIPv6PacketInfo = true
			if a := tcpip.AddrFrom16Slice(data[:16]); !a.Unspecified() {
				c.IPv6PacketInfo.Addr = a
			}
			c.IPv6PacketInfo.NIC = tcpip.NICID(binary.LittleEndian.Uint32(data[16:]))
		}
		return nil
	})
}
