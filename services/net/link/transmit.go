package link

import (
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// transmission keeps a packet's memory until the device is done with it. They
// are pooled: sending allocates nothing.
type transmission struct {
	pkt   *stack.PacketBuffer
	flat  *buffer.View // a copy of a packet in too many parts, else nil
	parts [][]byte
	done  func() // release, bound once
}

// maxParts is the most parts that go to a device as they are: so few that
// with all the page boundaries in 64 KiB they fit its chain of 64 buffers. A
// large segment made of many small writes has more, and is copied.
const maxParts = 20

var transmissions sync.Pool

func newTransmission(pkt *stack.PacketBuffer) *transmission {
	t, ok := transmissions.Get().(*transmission)
	if !ok {
		t = &transmission{}
		t.done = t.release
	}
	t.pkt = pkt.IncRef()
	t.gather()
	return t
}

// gather lists the packet's memory from its link header on.
func (t *transmission) gather() {
	t.parts = appendFrom(t.parts, t.pkt, 0)
	if len(t.parts) > maxParts {
		t.flatten()
	}
}

// appendFrom appends the packet's memory, from off bytes after the start of its
// link header on.
func appendFrom(parts [][]byte, pkt *stack.PacketBuffer, off int) [][]byte {
	views, skip := pkt.AsViewList()
	skip += off
	for v := views.Front(); v != nil; v = v.Next() {
		part := v.AsSlice()
		if skip >= len(part) {
			skip -= len(part)
			continue
		}
		parts = append(parts, part[skip:])
		skip = 0
	}
	return parts
}

func (t *transmission) flatten() {
	t.flat = t.pkt.ToView()
	clear(t.parts)
	t.parts = append(t.parts[:0], t.flat.AsSlice())
}

func (t *transmission) release() {
	t.pkt.DecRef()
	t.pkt = nil
	if t.flat != nil {
		t.flat.Release()
		t.flat = nil
	}
	clear(t.parts)
	t.parts = t.parts[:0]
	transmissions.Put(t)
}

// WritePackets implements stack.LinkWriter. Packets that wait for the disk count as
// sent.
func (e *Endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	if n, held := e.outbox.hold(pkts.AsSlice()); held {
		if n < pkts.Len() {
			return n, &tcpip.ErrNoBufferSpace{}
		}
		return n, nil
	}
	return e.write(pkts.AsSlice())
}

// transmitOwed sends packets that have waited for the disk, and releases them. The stack
// was told that they were sent. An error means that the device has failed, which Receive
// reports.
func (e *Endpoint) transmitOwed(pkts []*stack.PacketBuffer) {
	_, _ = e.write(pkts)
	for _, pkt := range pkts {
		pkt.DecRef()
	}
}

// write sends packets.
func (e *Endpoint) write(pkts []*stack.PacketBuffer) (int, tcpip.Error) {
	sent := false
	defer func() {
		if sent {
			e.dev.Flush()
		}
	}()
	// A segment is full-sized if it fills a packet, options included.
	most := int(e.MTU()) - header.IPv4MinimumSize - header.TCPMinimumSize
	filter := e.filter.Load()
	for i, pkt := range pkts {
		if filter != nil {
			note(filter, pkt)
		}
		first, hold := e.delay.pass(pkt, most)
		if first != nil {
			sent = true
			if err := e.transmitHeld(first); err != nil {
				return i, &tcpip.ErrAborted{}
			}
		}
		if hold {
			continue
		}
		sent = true
		if err := e.transmit(pkt); err != nil {
			return i, &tcpip.ErrAborted{}
		}
	}
	return len(pkts), nil
}

// transmitHeld queues a packet that was held back, and releases it.
func (e *Endpoint) transmitHeld(pkt *stack.PacketBuffer) error {
	defer pkt.DecRef()
	return e.transmit(pkt)
}

// transmitLate sends packets whose time to be held has run out. The stack was
// told that they were sent. An error means that the device has failed, which
// Receive reports.
func (e *Endpoint) transmitLate(pkts []*stack.PacketBuffer) {
	if _, held := e.outbox.hold(pkts); held {
		for _, pkt := range pkts {
			pkt.DecRef()
		}
		return
	}
	for _, pkt := range pkts {
		_ = e.transmitHeld(pkt)
	}
	e.dev.Flush()
}

func (e *Endpoint) transmit(pkt *stack.PacketBuffer) error {
	h := offloadHeader(pkt)
	if !e.takes(h) {
		return e.transmitCut(pkt)
	}
	t := newTransmission(pkt)
	// Nobody waits for TCP's memory: it is the peer's acknowledgement that
	// makes room. Sockets of other protocols count what is not yet sent.
	prompt := pkt.TransportProtocolNumber != header.TCPProtocolNumber
	err := e.dev.Transmit(h, t.parts, prompt, t.done)
	if err != nil {
		t.release()
	}
	return err
}

// takes tells whether the device does what h asks for.
func (e *Endpoint) takes(h Header) bool {
	switch {
	case h.GSOType == GSOTCPv4 && !e.offloads.TSO4, h.GSOType == GSOTCPv6 && !e.offloads.TSO6:
		return false
	}
	return h.Flags&NeedsChecksum == 0 || e.offloads.TxChecksum
}

// offloadHeader says what the stack left undone in pkt.
func offloadHeader(pkt *stack.PacketBuffer) Header {
	gso := &pkt.GSOOptions
	if !gso.NeedsCsum || (gso.Type != stack.GSOTCPv4 && gso.Type != stack.GSOTCPv6) {
		return Header{}
	}
	h := Header{
		Flags:          NeedsChecksum,
		ChecksumStart:  header.EthernetMinimumSize + gso.L3HdrLen,
		ChecksumOffset: gso.CsumOffset,
	}
	if pkt.Data().Size() <= int(gso.MSS) {
		return h
	}
	h.GSOType = GSOTCPv4
	if gso.Type == stack.GSOTCPv6 {
		h.GSOType = GSOTCPv6
	}
	h.GSOSize = gso.MSS
	h.HeaderLen = uint16(pkt.HeaderSize())
	return h
}
