package link

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// maxFrame is the largest frame taken: an IPv6 packet with the largest
// payload, and its Ethernet header.
const maxFrame = header.EthernetMinimumSize + header.IPv6MinimumSize + 65535

// deliver takes one frame in from the device. TCP segments that may continue
// one another are held back until flush, all else goes to the stack at once; the
// order of frames of a connection does not change.
func (e *Endpoint) deliver(h Header, parts [][]byte) {
	if f := e.filter.Load(); f != nil && !e.admit(f, parts) {
		return
	}
	if s, ok := e.mergeable(h, parts); ok {
		e.gro.add(s, e.deliverRun)
		return
	}
	e.flush()
	e.deliverFrame(h, parts)
}

// flush delivers what is held back.
func (e *Endpoint) flush() { e.gro.flush(e.deliverRun) }

// deliverFrame delivers a frame as it is.
func (e *Endpoint) deliverFrame(h Header, parts [][]byte) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size < header.EthernetMinimumSize || size > maxFrame {
		return
	}
	pkt := copyFrame(parts, size)
	defer pkt.DecRef()
	kind, ok := e.classify(pkt)
	if !ok {
		return
	}
	pkt.PktType = kind
	protocol := header.Ethernet(pkt.LinkHeader().Slice()).Type()
	e.dispatch(protocol, pkt, e.verified(h, protocol, pkt))
}

// deliverRun delivers TCP segments as one packet.
func (e *Endpoint) deliverRun(r *run) {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(r.join())})
	defer pkt.DecRef()
	e.ParseHeader(pkt) // mergeable has seen it
	pkt.PktType = tcpip.PacketHost
	e.dispatch(r.head.protocol(), pkt, true)
}

func (e *Endpoint) dispatch(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer, validated bool) {
	e.mu.RLock()
	dispatcher := e.dispatcher
	e.mu.RUnlock()
	if dispatcher == nil {
		return
	}
	e.validated.Store(validated)
	dispatcher.DeliverNetworkPacket(protocol, pkt)
}

func copyFrame(parts [][]byte, size int) *stack.PacketBuffer {
	v := buffer.NewView(size)
	for _, p := range parts {
		if _, err := v.Write(p); err != nil {
			panic("link: view of the frame's size is too small: " + err.Error())
		}
	}
	return stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)})
}

// classify consumes the Ethernet header and tells whom the frame is for. A
// device need not filter, so frames for other stations end here.
func (e *Endpoint) classify(pkt *stack.PacketBuffer) (tcpip.PacketType, bool) {
	if !e.ParseHeader(pkt) {
		return 0, false
	}
	switch dst := header.Ethernet(pkt.LinkHeader().Slice()).DestinationAddress(); {
	case dst == e.mac:
		return tcpip.PacketHost, true
	case dst == header.EthernetBroadcastAddress:
		return tcpip.PacketBroadcast, true
	case header.IsMulticastEthernetAddress(dst):
		return tcpip.PacketMulticast, true
	}
	return 0, false
}

// verified tells whether the transport checksum needs no look any more. A
// frame that NeedsChecksum never left the host, so there is nothing that could
// have damaged it. The device speaks of the transport checksum only; the stack
// skips both or none, so the IPv4 header is verified here.
func (e *Endpoint) verified(h Header, protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) bool {
	if !e.offloads.RxChecksum || h.Flags&(NeedsChecksum|DataValid) == 0 {
		return false
	}
	if protocol != header.IPv4ProtocolNumber {
		return true
	}
	return headerSumValid(pkt)
}

func headerSumValid(pkt *stack.PacketBuffer) bool {
	min, ok := pkt.Data().PullUp(header.IPv4MinimumSize)
	if !ok {
		return false
	}
	n := int(header.IPv4(min).HeaderLength())
	if n < header.IPv4MinimumSize {
		return false
	}
	full, ok := pkt.Data().PullUp(n)
	return ok && header.IPv4(full).IsChecksumValid()
}
