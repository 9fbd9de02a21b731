package link

import (
	"bytes"
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// gro merges TCP segments that follow one another (generic receive offload), so
// that the stack does its work once for many. It holds segments of several
// connections back, in the device's memory, until the end of a batch; the copy
// out of it is made when it is known how much there is.
//
// gVisor's own (stack/gro) is not used: it merges packet buffers, each of which
// costs more than all that is done here for a segment, lets pure
// acknowledgements pass one by one, and its Flush leaves all but the first
// packet of a bucket.
type gro struct {
	runs  []*run // oldest first
	spare []*run
}

// maxRuns is of how many connections segments are held.
const maxRuns = 16

// mostMerged is the most bytes of a merged frame: IPv4's limit, less the
// Ethernet header so that it fits the largest of the stack's pooled buffers.
const mostMerged = 65535

// run is one or more segments of one connection.
type run struct {
	head     segment  // whose headers stand for all
	payloads [][]byte // in order
	size     int      // of them together
	push     bool
}

// add takes a segment in. deliver gets the runs that it ends.
func (g *gro) add(s segment, deliver func(*run)) {
	i := g.find(&s)
	if i >= 0 && !g.runs[i].extend(&s) {
		g.end(i, deliver)
		i = -1
	}
	if i < 0 {
		i = g.begin(s, deliver)
	}
	if g.runs[i].push {
		g.end(i, deliver) // the sender's data ends here: let its reader go on
	}
}

// flush delivers all runs.
func (g *gro) flush(deliver func(*run)) {
	for _, r := range g.runs {
		deliver(r)
		g.recycle(r)
	}
	g.runs = g.runs[:0]
}

// find returns the index of the run of a segment's connection, or -1.
func (g *gro) find(s *segment) int {
	for i, r := range g.runs {
		if r.head.ports() == s.ports() && bytes.Equal(r.head.addresses(), s.addresses()) {
			return i
		}
	}
	return -1
}

// begin starts a run and returns its index.
func (g *gro) begin(s segment, deliver func(*run)) int {
	if len(g.runs) == maxRuns {
		g.end(0, deliver)
	}
	var r *run
	if k := len(g.spare) - 1; k >= 0 {
		r, g.spare = g.spare[k], g.spare[:k]
	} else {
		r = &run{}
	}
	r.head, r.payloads, r.size = s, append(r.payloads[:0], s.payload()), len(s.payload())
	r.push = s.flags()&header.TCPFlagPsh != 0
	g.runs = append(g.runs, r)
	return len(g.runs) - 1
}

// end delivers a run and forgets it.
func (g *gro) end(i int, deliver func(*run)) {
	r := g.runs[i]
	g.runs = append(g.runs[:i], g.runs[i+1:]...)
	deliver(r)
	g.recycle(r)
}

func (g *gro) recycle(r *run) {
	clear(r.payloads)
	r.head = segment{}
	g.spare = append(g.spare, r)
}

// extend takes in a segment of the same connection, if the receiver of the one
// packet that comes out of it learns what it would have of the two.
func (r *run) extend(s *segment) bool {
	if !r.head.alike(s) {
		return false
	}
	if len(s.payload()) == 0 || r.size == 0 {
		return r.acknowledge(s)
	}
	if s.seq() != r.head.seq()+uint32(r.size) || s.ack() != r.head.ack() || s.tcp().WindowSize() != r.head.tcp().WindowSize() {
		return false
	}
	if r.head.data+r.size+len(s.payload()) > mostMerged {
		return false
	}
	r.payloads = append(r.payloads, s.payload())
	r.size += len(s.payload())
	r.push = r.push || s.flags()&header.TCPFlagPsh != 0
	return true
}

// acknowledge replaces a pure acknowledgement by one that acknowledges more
// (RFC 9293, 3.8.6.3, lets a receiver send fewer; this is as if it had). Those
// that acknowledge the same stay: they mean a loss or a new window.
func (r *run) acknowledge(s *segment) bool {
	if len(s.payload()) != 0 || r.size != 0 || s.seq() != r.head.seq() || int32(s.ack()-r.head.ack()) <= 0 {
		return false
	}
	r.head = *s
	return true
}

// alike tells whether the headers of two segments of a connection differ only
// in what changes from each segment to the next: identification, lengths,
// sequence numbers, window and checksums. TCP options, also timestamps, are to
// be equal.
func (s *segment) alike(t *segment) bool {
	a, b := s.ip(), t.ip()
	if s.v6 != t.v6 || s.data-s.l4 != t.data-t.l4 || len(a) != len(b) {
		return false
	}
	if s.v6 {
		// Version, class and flow label; hop limit.
		if !bytes.Equal(a[:4], b[:4]) || a[7] != b[7] {
			return false
		}
	} else if a[1] != b[1] || a[6] != b[6] || a[8] != b[8] { // TOS, flags, TTL
		return false
	}
	return bytes.Equal(s.tcp()[header.TCPMinimumSize:], t.tcp()[header.TCPMinimumSize:])
}

// join copies a run out of the device's memory, as one frame. Its TCP checksum
// is only correct for a run of one segment; each segment's has been verified.
func (r *run) join() *buffer.View {
	h := r.head.frame[:r.head.data]
	v := buffer.NewViewSize(len(h) + r.size)
	b := v.AsSlice()
	n := copy(b, h)
	for _, p := range r.payloads {
		n += copy(b[n:], p)
	}
	if len(r.payloads) > 1 {
		r.fix(b)
	}
	return v
}

// fix makes the lengths, PSH and the IPv4 checksum those of the whole.
func (r *run) fix(b []byte) {
	ip := b[header.EthernetMinimumSize:]
	if r.head.v6 {
		header.IPv6(ip).SetPayloadLength(uint16(len(ip) - header.IPv6MinimumSize))
	} else {
		h := header.IPv4(ip)
		binary.BigEndian.PutUint16(ip[header.IPv4TotalLenOffset:], uint16(len(ip)))
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
	}
	if r.push {
		b[r.head.l4+header.TCPFlagsOffset] |= byte(header.TCPFlagPsh)
	}
}
