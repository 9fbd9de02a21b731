package link

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// cut is a TCP packet on its way to a device that does not segment, or not even
// sum: as one frame or several. The headers of each frame are made anew, for
// the packet's may be shared; the payload stays where it is. Cuts are pooled:
// sending allocates nothing.
type cut struct {
	pkt     *stack.PacketBuffer
	frames  int
	partial bool // the device sums

	template []byte // the packet's headers
	l4       int    // where TCP's is
	pseudo   uint16 // sum of the pseudo header, but for the length

	flat    *buffer.View // a copy of a packet in too many parts, else nil
	views   [][]byte     // the payload
	payload [][]byte     // of that, what is in no frame yet
	sent    int          // payload bytes in the frames made so far

	headers []byte // of all frames
	parts   [][]byte
	pending atomic.Int32 // frames that are not done
	done    func()       // frameDone, bound once
}

var cuts sync.Pool

// newCut prepares pkt, whose checksum the stack has left undone.
func newCut(pkt *stack.PacketBuffer, partial bool) *cut {
	c, ok := cuts.Get().(*cut)
	if !ok {
		c = &cut{}
		c.done = c.frameDone
	}
	c.pkt, c.partial = pkt.IncRef(), partial
	c.template = append(c.template[:0], outgoingHeaders(pkt)...)
	c.l4 = header.EthernetMinimumSize + int(pkt.GSOOptions.L3HdrLen)
	c.gather()

	size, mss := pkt.Data().Size(), int(pkt.GSOOptions.MSS)
	c.frames, c.sent = 1, 0
	if mss > 0 && size > mss {
		c.frames = (size + mss - 1) / mss
	}
	// The field has the whole packet's pseudo header (RFC 9293, 3.1).
	sum := binary.BigEndian.Uint16(c.template[c.l4+header.TCPChecksumOffset:])
	length := uint16(len(c.template) - c.l4 + size)
	c.pseudo = checksum.Combine(sum, ^length)
	c.pending.Store(int32(c.frames))
	// No frame's memory may move while later ones are made.
	if n := c.frames * len(c.template); cap(c.headers) < n {
		c.headers = make([]byte, 0, n)
	}
	if n := 2*c.frames + len(c.views); cap(c.parts) < n {
		c.parts = make([][]byte, 0, n)
	}
	return c
}

// gather lists the packet's payload.
func (c *cut) gather() {
	c.views = appendFrom(c.views[:0], c.pkt, len(c.template))
	if len(c.views) > maxParts {
		clear(c.views)
		c.flat = c.pkt.ToView()
		c.views = append(c.views[:0], c.flat.AsSlice()[len(c.template):])
	}
	c.payload = c.views
}

// next makes frame i; they are made in order.
func (c *cut) next(i int) (Header, [][]byte) {
	at := len(c.headers)
	c.headers = append(c.headers, c.template...)
	h := c.headers[at:len(c.headers):len(c.headers)]
	first := len(c.parts)
	c.parts = append(c.parts, h)
	n := c.take(int(c.pkt.GSOOptions.MSS), i == c.frames-1)
	parts := c.parts[first:len(c.parts):len(c.parts)]
	c.fix(h, i, n)
	c.sent += n
	return c.sum(parts, len(h)-c.l4+n), parts
}

// take appends the next most bytes of payload, or all, to the parts.
func (c *cut) take(most int, all bool) int {
	n := 0
	for len(c.payload) > 0 && (all || n < most) {
		p := c.payload[0]
		if !all && len(p) > most-n {
			p = p[:most-n]
		}
		c.parts = append(c.parts, p)
		n += len(p)
		if c.payload[0] = c.payload[0][len(p):]; len(c.payload[0]) == 0 {
			c.payload = c.payload[1:]
		}
	}
	return n
}

// fix makes the headers h those of frame i with n bytes of payload: lengths,
// identification, sequence number, and the flags that are for the first or the
// last segment only (RFC 3168, 6.1.2, for CWR).
func (c *cut) fix(h []byte, i, n int) {
	tcp := header.TCP(h[c.l4:])
	if c.pkt.GSOOptions.Type == stack.GSOTCPv6 {
		ip := header.IPv6(h[header.EthernetMinimumSize:])
		ip.SetPayloadLength(uint16(len(ip) - header.IPv6MinimumSize + n))
	} else {
		ip := header.IPv4(h[header.EthernetMinimumSize:c.l4])
		ip.SetTotalLength(uint16(len(ip) + len(tcp) + n))
		ip.SetID(ip.ID() + uint16(i))
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
	}
	tcp.SetSequenceNumber(tcp.SequenceNumber() + uint32(c.sent))
	flags := tcp.Flags()
	if i > 0 {
		flags &^= header.TCPFlagCwr
	}
	if i < c.frames-1 {
		flags &^= header.TCPFlagFin | header.TCPFlagPsh
	}
	tcp.SetFlags(uint8(flags))
}

// sum completes the checksum of a frame whose TCP part has length bytes, or
// prepares it for the device.
func (c *cut) sum(parts [][]byte, length int) Header {
	tcp := header.TCP(parts[0][c.l4:])
	pseudo := checksum.Combine(c.pseudo, uint16(length))
	if c.partial {
		tcp.SetChecksum(pseudo)
		return Header{Flags: NeedsChecksum, ChecksumStart: uint16(c.l4), ChecksumOffset: header.TCPChecksumOffset}
	}
	tcp.SetChecksum(pseudo)
	var s checksum.Checksumer
	s.Add(tcp)
	for _, p := range parts[1:] {
		s.Add(p)
	}
	tcp.SetChecksum(^s.Checksum())
	return Header{}
}

// frameDone runs when the device is done with a frame.
func (c *cut) frameDone() { c.forget(1) }

// forget counts n frames as done. After the last the cut is free.
func (c *cut) forget(n int) {
	if c.pending.Add(int32(-n)) > 0 {
		return
	}
	c.pkt.DecRef()
	c.pkt = nil
	if c.flat != nil {
		c.flat.Release()
		c.flat = nil
	}
	clear(c.parts)
	clear(c.views)
	c.headers, c.parts, c.views, c.payload = c.headers[:0], c.parts[:0], c.views[:0], nil
	cuts.Put(c)
}

// transmitCut queues pkt as frames that the device needs not cut.
func (e *Endpoint) transmitCut(pkt *stack.PacketBuffer) error {
	c := newCut(pkt, e.offloads.TxChecksum)
	frames := c.frames // c is gone with its last frame
	for i := range frames {
		h, parts := c.next(i)
		if err := e.dev.Transmit(h, parts, false, c.done); err != nil {
			c.forget(frames - i)
			return err
		}
	}
	return nil
}
