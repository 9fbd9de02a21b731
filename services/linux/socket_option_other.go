package linux

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// setOther sets an option whose value is no int; done is false for others.
func (s *inetSocket) setOther(level, option int, value []byte) (done bool, err error) {
	switch (optionKey{level, option}) {
	case optionKey{unix.SOL_SOCKET, unix.SO_RCVTIMEO}, optionKey{unix.SOL_SOCKET, unix.SO_SNDTIMEO}:
		return true, s.timeouts.set(option, value)
	case optionKey{unix.SOL_SOCKET, unix.SO_LINGER}:
		return true, s.setLinger(value)
	case optionKey{unix.SOL_SOCKET, unix.SO_BINDTODEVICE}:
		return true, s.bindToDevice(value)
	case optionKey{unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP}, optionKey{unix.IPPROTO_IP, unix.IP_DROP_MEMBERSHIP}:
		return true, s.membership4(option == unix.IP_ADD_MEMBERSHIP, value)
	case optionKey{unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP}, optionKey{unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP}:
		return true, s.membership6(option == unix.IPV6_JOIN_GROUP, value)
	case optionKey{unix.IPPROTO_IP, unix.IP_MULTICAST_IF}:
		return true, s.multicastInterface(value)
	case optionKey{unix.IPPROTO_TCP, unix.TCP_CONGESTION}:
		o := tcpip.CongestionControlOption(value)
		return true, stackError(s.ep.SetSockOpt(&o))
	case optionKey{unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER}:
		return true, s.filterICMPv6(value)
	case optionKey{unix.SOL_RAW, unix.ICMP_FILTER}:
		return true, nil // everything is delivered
	}
	return false, nil
}

// getOther gets an option whose value is no int; done is false for others.
func (s *inetSocket) getOther(level, option int, value []byte) (done bool, n int, err error) {
	switch (optionKey{level, option}) {
	case optionKey{unix.SOL_SOCKET, unix.SO_RCVTIMEO}, optionKey{unix.SOL_SOCKET, unix.SO_SNDTIMEO}:
		n, err = s.timeouts.get(option, value)
		return true, n, err
	case optionKey{unix.SOL_SOCKET, unix.SO_LINGER}:
		return true, s.linger(value), nil
	case optionKey{unix.IPPROTO_TCP, unix.TCP_INFO}:
		n, err = s.tcpInfo(value)
		return true, n, err
	case optionKey{unix.IPPROTO_TCP, unix.TCP_CONGESTION}:
		var o tcpip.CongestionControlOption
		e := s.ep.GetSockOpt(&o)
		return true, copy(value, append([]byte(o), 0)), stackError(e)
	}
	return false, 0, nil
}

// setLinger takes a struct linger: on and seconds, two ints.
func (s *inetSocket) setLinger(value []byte) error {
	if len(value) < 8 {
		return syscall.EINVAL
	}
	s.ep.SocketOptions().SetLinger(tcpip.LingerOption{
		Enabled: getInt(value) != 0,
		Timeout: time.Duration(max(getInt(value[4:]), 0)) * time.Second,
	})
	return nil
}

func (s *inetSocket) linger(value []byte) int {
	l := s.ep.SocketOptions().GetLinger()
	var b [8]byte
	putInt(b[:4], boolInt(l.Enabled))
	putInt(b[4:], int(l.Timeout/time.Second))
	return copy(value, b[:])
}

// bindToDevice takes an interface's name; the empty one undoes it.
func (s *inetSocket) bindToDevice(value []byte) error {
	for i, c := range value {
		if c == 0 {
			value = value[:i]
			break
		}
	}
	if len(value) == 0 {
		return stackError(s.ep.SocketOptions().SetBindToDevice(0))
	}
	for nic, info := range s.network.Stack().NICInfo() {
		if info.Name == string(value) {
			return stackError(s.ep.SocketOptions().SetBindToDevice(int32(nic)))
		}
	}
	return syscall.ENODEV
}

// membership4 takes an ip_mreq (group, interface's address) or an ip_mreqn
// (the same and the interface's index).
func (s *inetSocket) membership4(join bool, value []byte) error {
	if len(value) < 8 {
		return syscall.EINVAL
	}
	o := tcpip.MembershipOption{MulticastAddr: tcpip.AddrFrom4Slice(value[:4])}
	if a := tcpip.AddrFrom4Slice(value[4:8]); !a.Unspecified() {
		o.InterfaceAddr = a
	}
	if len(value) >= 12 {
		o.NIC = tcpip.NICID(getInt(value[8:]))
	}
	return s.membership(join, o)
}

// membership6 takes an ipv6_mreq: group, interface's index.
func (s *inetSocket) membership6(join bool, value []byte) error {
	if len(value) < 20 {
		return syscall.EINVAL
	}
	return s.membership(join, tcpip.MembershipOption{
		NIC:           tcpip.NICID(getInt(value[16:])),
		MulticastAddr: tcpip.AddrFrom16Slice(value[:16]),
	})
}

func (s *inetSocket) membership(join bool, o tcpip.MembershipOption) error {
	if join {
		add := tcpip.AddMembershipOption(o)
		err := s.ep.SetSockOpt(&add)
		if _, used := err.(*tcpip.ErrPortInUse); used {
			return syscall.EADDRINUSE
		}
		if err != nil {
			return stackError(err)
		}
		if group, ok := netip.AddrFromSlice(o.MulticastAddr.AsSlice()); ok {
			s.network.JoinedGroup(group)
		}
		return nil
	}
	remove := tcpip.RemoveMembershipOption(o)
	err := s.ep.SetSockOpt(&remove)
	if _, bad := err.(*tcpip.ErrBadLocalAddress); bad {
		return syscall.EADDRNOTAVAIL
	}
	return stackError(err)
}

// multicastInterface takes an in_addr, ip_mreq or ip_mreqn.
func (s *inetSocket) multicastInterface(value []byte) error {
	var o tcpip.MulticastInterfaceOption
	switch {
	case len(value) >= 12:
		o.NIC = tcpip.NICID(getInt(value[8:]))
		o.InterfaceAddr = tcpip.AddrFrom4Slice(value[4:8])
	case len(value) >= 8:
		o.InterfaceAddr = tcpip.AddrFrom4Slice(value[4:8])
	case len(value) >= 4:
		o.InterfaceAddr = tcpip.AddrFrom4Slice(value[:4])
	default:
		return syscall.EINVAL
	}
	return stackError(s.ep.SetSockOpt(&o))
}

func (s *inetSocket) filterICMPv6(value []byte) error {
	var f tcpip.ICMPv6Filter
	if len(value) < 4*len(f.DenyType) {
		return syscall.EINVAL
	}
	for i := range f.DenyType {
		f.DenyType[i] = binary.LittleEndian.Uint32(value[4*i:])
	}
	return stackError(s.ep.SetSockOpt(&f))
}

// tcpInfo fills the part of struct tcp_info that the stack knows:
//
//	0 state u8   8 rto u32, in us   16 mss u32   68 rtt u32, us
//	72 rttvar u32, us   76 ssthresh u32   80 cwnd u32, packets
func (s *inetSocket) tcpInfo(value []byte) (int, error) {
	var info tcpip.TCPInfoOption
	if err := s.ep.GetSockOpt(&info); err != nil {
		return 0, stackErrno(err)
	}
	var b [104]byte
	b[0] = linuxState(tcp.EndpointState(info.State))
	binary.LittleEndian.PutUint32(b[8:], uint32(info.RTO.Microseconds()))
	if mss, err := s.ep.GetSockOptInt(tcpip.MaxSegOption); err == nil {
		binary.LittleEndian.PutUint32(b[16:], uint32(mss))
	}
	binary.LittleEndian.PutUint32(b[68:], uint32(info.RTT.Microseconds()))
	binary.LittleEndian.PutUint32(b[72:], uint32(info.RTTVar.Microseconds()))
	binary.LittleEndian.PutUint32(b[76:], info.SndSsthresh)
	binary.LittleEndian.PutUint32(b[80:], info.SndCwnd)
	return copy(value, b[:]), nil
}

// linuxState maps the stack's own states to TCP_CLOSE and TCP_SYN_SENT; the
// others have Linux's numbers.
func linuxState(s tcp.EndpointState) uint8 {
	const (
		synSent = 2
		closed  = 7
	)
	switch s {
	case tcp.StateConnecting:
		return synSent
	case tcp.StateInitial, tcp.StateBound, tcp.StateError:
		return closed
	}
	return uint8(s)
}
