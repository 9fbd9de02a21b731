package link

import (
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// outgoingHeaders are the headers of a packet that the stack sends, from the
// link's to the transport's. The stack makes them in one piece of memory; each
// of its own accessors would look for that anew. They must not be changed.
func outgoingHeaders(pkt *stack.PacketBuffer) []byte {
	views, skip := pkt.AsViewList()
	n := pkt.HeaderSize()
	if v := views.Front(); v != nil {
		if b := v.AsSlice(); len(b) >= skip+n {
			return b[skip : skip+n : skip+n]
		}
	}
	b := append([]byte(nil), pkt.LinkHeader().Slice()...)
	b = append(b, pkt.NetworkHeader().Slice()...)
	return append(b, pkt.TransportHeader().Slice()...)
}

// splitTCP finds the IP and TCP headers in those of a frame; ok is false where
// they are not plain ones of TCP.
func splitTCP(frame []byte) (ip []byte, tcp header.TCP, ok bool) {
	if len(frame) < header.EthernetMinimumSize+header.IPv4MinimumSize+header.TCPMinimumSize {
		return nil, nil, false
	}
	ip = frame[header.EthernetMinimumSize:]
	n := 0
	switch {
	case ip[0]>>4 == 4 && header.IPv4(ip).Protocol() == uint8(header.TCPProtocolNumber):
		n = int(header.IPv4(ip).HeaderLength())
	case ip[0]>>4 == 6 && header.IPv6(ip).NextHeader() == uint8(header.TCPProtocolNumber):
		n = header.IPv6MinimumSize
	}
	if n < header.IPv4MinimumSize || len(ip) < n+header.TCPMinimumSize {
		return nil, nil, false
	}
	return ip[:n], header.TCP(ip[n:]), true
}
