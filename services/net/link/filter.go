package link

import (
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tuplix/tuplix/services/net/firewall"
)

// headSize is how much of a frame a filter sees.
const headSize = 128

// SetFilter has f decide from now on which frames come in; nil: all do.
func (e *Endpoint) SetFilter(f *firewall.Filter) { e.filter.Store(f) }

// Denied returns how many frames were not admitted since boot.
func (e *Endpoint) Denied() uint64 { return e.denied.Load() }

// admit reports whether a frame may come in.
func (e *Endpoint) admit(f *firewall.Filter, parts [][]byte) bool {
	head := parts[0]
	if len(head) < headSize && len(parts) > 1 {
		var b [headSize]byte
		n := 0
		for _, p := range parts {
			n += copy(b[n:], p)
		}
		head = b[:n]
	}
	if f.Admit(head) {
		return true
	}
	e.denied.Add(1)
	return false
}

// note has the filter remember a packet that leaves, if it may be a datagram. TCP's
// are not worth a look: the stack knows its connections.
func note(f *firewall.Filter, pkt *stack.PacketBuffer) {
	if !f.Inbound() || pkt.TransportProtocolNumber == header.TCPProtocolNumber {
		return
	}
	var b [headSize]byte
	n := 0
	views, skip := pkt.AsViewList()
	for v := views.Front(); v != nil && n < len(b); v = v.Next() {
		part := v.AsSlice()
		cut := min(skip, len(part))
		skip -= cut
		n += copy(b[n:], part[cut:])
	}
	f.Note(b[:n])
}
