package linux

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/services/net/flow"
)

// The states of /proc/net/tcp (linux/tcp_states.h), by the names that flows have.
var tcpStates = map[string]int{
	"ESTABLISHED": 1, "SYN-SENT": 2, "SYN-RCVD": 3, "FIN-WAIT1": 4, "FIN-WAIT2": 5, "TIME-WAIT": 6,
	"CLOSED": 7, "CLOSE-WAIT": 8, "LAST-ACK": 9, "LISTEN": 10, "CLOSING": 11,
}

// udpConnected and udpOpen are what /proc/net/udp has for states.
const udpConnected, udpOpen = 1, 7

// socketsText makes /proc/net/tcp and its like, of the sockets of a protocol and an
// address family: addresses are hexadecimal, in the order that a little-endian machine
// reads their words in.
func (s *System) socketsText(protocol string, six bool) func() string {
	return func() string {
		width := 8
		if six {
			width = 32
		}
		var b strings.Builder
		fmt.Fprintf(&b, "  sl  %-*s %-*s st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
			width+5, "local_address", width+5, "remote_address")
		if s.network == nil {
			return b.String()
		}
		for i, l := range s.socketLines(protocol, six) {
			fmt.Fprintf(&b, "%4d: %s %s %02X 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000\n",
				i, socketAddress(l.local, six), socketAddress(l.remote, six), l.state, l.id)
		}
		return b.String()
	}
}

// socketLine is one socket.
type socketLine struct {
	local, remote netip.AddrPort
	state         int
	id            uint64
}

// socketLines lists the sockets of a protocol and family, oldest first. A listener of all
// addresses is of both families, and shown as Linux shows it, with those of IPv6.
func (s *System) socketLines(protocol string, six bool) (lines []socketLine) {
	of := func(a netip.AddrPort) bool { return a.Addr().Unmap().Is4() != six }
	flows := s.network.Flows()
	for _, l := range flows.Listeners() {
		if l.Protocol == protocol && of(l.Local) {
			state := tcpStates["LISTEN"]
			if protocol == flow.UDP {
				state = udpOpen
			}
			lines = append(lines, socketLine{l.Local, netip.AddrPort{}, state, l.ID})
		}
	}
	for _, c := range flows.Open() {
		if c.Protocol == protocol && of(c.Local) {
			state := tcpStates[strings.ToUpper(c.State())]
			if protocol == flow.UDP {
				state = udpConnected
			}
			lines = append(lines, socketLine{c.Local, c.Remote, state, c.ID})
		}
	}
	slices.SortFunc(lines, func(a, b socketLine) int { return int(int64(a.id - b.id)) })
	return lines
}

// socketAddress is an address with its port.
func socketAddress(a netip.AddrPort, six bool) string {
	if !six {
		var v [4]byte
		if addr := a.Addr().Unmap(); addr.Is4() {
			v = addr.As4()
		}
		return fmt.Sprintf("%08X:%04X", binary.LittleEndian.Uint32(v[:]), a.Port())
	}
	var v [16]byte
	if a.Addr().IsValid() {
		v = a.Addr().As16()
	}
	text := ""
	for i := 0; i < len(v); i += 4 {
		text += fmt.Sprintf("%08X", binary.LittleEndian.Uint32(v[i:]))
	}
	return fmt.Sprintf("%s:%04X", text, a.Port())
}

// neighbours is /proc/net/arp.
func (s *System) neighbours() string {
	var b strings.Builder
	b.WriteString("IP address       HW type     Flags       HW address            Mask     Device\n")
	if s.network == nil {
		return b.String()
	}
	const complete = 2
	for _, i := range s.network.Snapshot().Interfaces {
		for _, n := range i.Neighbors {
			if !n.Address.Is4() {
				continue
			}
			flags, mac := complete, n.MAC
			if mac == "" {
				flags, mac = 0, "00:00:00:00:00:00"
			}
			fmt.Fprintf(&b, "%-16s 0x%-10x0x%-10x%s     *        %s\n", n.Address, kindEthernet, flags, mac, i.Name)
		}
	}
	return b.String()
}

// addresses6 is /proc/net/if_inet6.
func (s *System) addresses6() string {
	if s.network == nil {
		return ""
	}
	const global, link, host = 0x00, 0x20, 0x10
	const permanent = 0x80
	var b strings.Builder
	for _, i := range s.network.Snapshot().Interfaces {
		for _, p := range i.Addresses {
			if !p.Addr().Is6() {
				continue
			}
			scope := global
			switch {
			case p.Addr().IsLoopback():
				scope = host
			case p.Addr().IsLinkLocalUnicast():
				scope = link
			}
			v := p.Addr().As16()
			fmt.Fprintf(&b, "%x %02x %02x %02x %02x %8s\n", v, i.Index, p.Bits(), scope, permanent, i.Name)
		}
	}
	return b.String()
}
