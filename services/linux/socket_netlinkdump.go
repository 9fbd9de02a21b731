package linux

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/services/net"
)

// dump collects the messages of one answer.
type dump struct {
	sequence, port uint32
	messages       [][]byte
}

// add appends a message with the body, to which attributes may be added.
func (d *dump) add(kind, flags uint16, body []byte) *[]byte {
	m := make([]byte, netlinkHeader, 128)
	binary.LittleEndian.PutUint16(m[4:], kind)
	binary.LittleEndian.PutUint16(m[6:], flags)
	binary.LittleEndian.PutUint32(m[8:], d.sequence)
	binary.LittleEndian.PutUint32(m[12:], d.port)
	d.messages = append(d.messages, append(m, body...))
	return &d.messages[len(d.messages)-1]
}

// attribute appends one to a message: length u16, type u16, data, padding.
func attribute(m *[]byte, kind uint16, data []byte) {
	b := binary.LittleEndian.AppendUint16(*m, uint16(4+len(data)))
	b = binary.LittleEndian.AppendUint16(b, kind)
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	*m = b
}

func attribute32(m *[]byte, kind uint16, v int) {
	attribute(m, kind, binary.LittleEndian.AppendUint32(nil, uint32(v)))
}

// links is the answer to RTM_GETLINK. The body is an ifinfomsg:
//
//	0 family u8   2 hardware u16   4 index i32   8 flags u32   12 change u32
func (d *dump) links(snap net.Snapshot) {
	for _, i := range snap.Interfaces {
		body := make([]byte, unix.SizeofIfInfomsg)
		hardware, flags := unix.ARPHRD_ETHER, unix.IFF_BROADCAST|unix.IFF_MULTICAST
		mac := i.MAC[:]
		if i.Loopback {
			hardware, flags = unix.ARPHRD_LOOPBACK, unix.IFF_LOOPBACK
		}
		if i.Up {
			flags |= unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP
		}
		binary.LittleEndian.PutUint16(body[2:], uint16(hardware))
		binary.LittleEndian.PutUint32(body[4:], uint32(i.Index))
		binary.LittleEndian.PutUint32(body[8:], uint32(flags))
		m := d.add(unix.RTM_NEWLINK, unix.NLM_F_MULTI, body)
		attribute(m, unix.IFLA_IFNAME, append([]byte(i.Name), 0))
		attribute32(m, unix.IFLA_MTU, i.MTU)
		attribute(m, unix.IFLA_ADDRESS, mac)
	}
	d.done()
}

// addresses is the answer to RTM_GETADDR. The body is an ifaddrmsg:
//
//	0 family u8   1 prefix length u8   2 flags u8   3 scope u8   4 index u32
func (d *dump) addresses(snap net.Snapshot, family int) {
	for _, i := range snap.Interfaces {
		for _, p := range i.Addresses {
			if f := familyOf(p.Addr()); family == unix.AF_UNSPEC || family == f {
				d.address(&i, p, f)
			}
		}
	}
	d.done()
}

func (d *dump) address(i *net.InterfaceState, p netip.Prefix, family int) {
	body := make([]byte, unix.SizeofIfAddrmsg)
	body[0], body[1] = byte(family), byte(p.Bits())
	body[2] = unix.IFA_F_PERMANENT
	switch {
	case p.Addr().IsLoopback():
		body[3] = unix.RT_SCOPE_HOST
	case p.Addr().IsLinkLocalUnicast():
		body[3] = unix.RT_SCOPE_LINK
	}
	binary.LittleEndian.PutUint32(body[4:], uint32(i.Index))
	m := d.add(unix.RTM_NEWADDR, unix.NLM_F_MULTI, body)
	attribute(m, unix.IFA_ADDRESS, p.Addr().AsSlice())
	if family == unix.AF_INET {
		attribute(m, unix.IFA_LOCAL, p.Addr().AsSlice())
		attribute(m, unix.IFA_LABEL, append([]byte(i.Name), 0))
	}
}

// routes is the answer to RTM_GETROUTE. The body is an rtmsg:
//
//	0 family u8   1 destination length u8   2 source length u8   3 TOS u8
//	4 table u8    5 protocol u8   6 scope u8   7 type u8   8 flags u32
func (d *dump) routes(snap net.Snapshot, family int) {
	for _, r := range snap.Routes {
		f := familyOf(r.Destination.Addr())
		if family != unix.AF_UNSPEC && family != f {
			continue
		}
		body := make([]byte, unix.SizeofRtMsg)
		body[0], body[1] = byte(f), byte(r.Destination.Bits())
		body[4], body[5] = unix.RT_TABLE_MAIN, unix.RTPROT_BOOT
		body[6], body[7] = unix.RT_SCOPE_LINK, unix.RTN_UNICAST
		if r.Gateway.IsValid() {
			body[6] = unix.RT_SCOPE_UNIVERSE
		}
		m := d.add(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, body)
		attribute32(m, unix.RTA_TABLE, unix.RT_TABLE_MAIN)
		if r.Destination.Bits() > 0 {
			attribute(m, unix.RTA_DST, r.Destination.Addr().AsSlice())
		}
		if r.Gateway.IsValid() {
			attribute(m, unix.RTA_GATEWAY, r.Gateway.AsSlice())
		}
		attribute32(m, unix.RTA_OIF, r.Index)
	}
	d.done()
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func (d *dump) done() {
	d.add(unix.NLMSG_DONE, unix.NLM_F_MULTI, make([]byte, 4))
}

// refuse answers with an nlmsgerr: the errno, negative, and the request's
// header.
func (d *dump) refuse(request []byte, e syscall.Errno) {
	body := binary.LittleEndian.AppendUint32(nil, uint32(-int32(e)))
	d.add(unix.NLMSG_ERROR, 0, append(body, request[:netlinkHeader]...))
}

// datagrams packs the messages, their lengths filled in.
func (d *dump) datagrams() [][]byte {
	var all [][]byte
	var batch []byte
	for _, m := range d.messages {
		binary.LittleEndian.PutUint32(m, uint32(len(m)))
		if len(batch) > 0 && len(batch)+len(m) > netlinkBatch {
			all, batch = append(all, batch), nil
		}
		batch = append(batch, m...)
	}
	return append(all, batch)
}
