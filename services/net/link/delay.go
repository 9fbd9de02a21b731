package link

import (
	"encoding/binary"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// delay holds back acknowledgements that the next data on their connection
// will carry anyway (delayed acknowledgements, RFC 9293, 3.8.6.3): a server
// that answers each request would else send two packets for one. The stack
// acknowledges all it receives at once, so this is done to the packets that
// leave it.
//
// Only a pure acknowledgement of at most one full-sized segment of new data in
// order is held, on a connection that has lately sent data right after such a
// one, and until the second tick of delayTick at the latest. One that runs out
// of time unused costs its connection that trust, each time for longer: the peer
// may be waiting for it before it sends the rest of a request (Nagle's
// algorithm). Repeated acknowledgements, those with SACK blocks, the first after
// either, and window updates go out at once, because the sender's recovery
// depends on them (RFC 5681, 4.2).
type delay struct {
	mu    sync.Mutex
	flows [delayFlows]flow
	tick  uint32 // counts delayTick while any is held
	held  int    // flows that hold one
	timer *time.Timer
	late  func([]*stack.PacketBuffer) // sends what ran out of time, and releases it
}

const (
	// delayFlows is how many connections are remembered; one that is
	// forgotten is acknowledged at once, until it is known again.
	delayFlows = 256
	delayTick  = 20 * time.Millisecond

	firstLesson, lastLesson = 2, 64
)

// flow is what is known of one connection's outgoing packets.
type flow struct {
	key    flowKey
	sent   uint32 // acknowledgement number that the peer was sent
	window uint16 // of the last pure acknowledgement, held or sent
	doubt  uint8  // how often data has yet to follow an acknowledgement soon
	lesson uint8  // what doubt will be when one runs out of time again
	gap    bool   // the last acknowledgement told of a gap, or repeated
	asked  time.Time
	held   *stack.PacketBuffer
	number uint32 // that the held one acknowledges
	tick   uint32 // when it was held
}

// flowKey names a connection: addresses and ports as in the headers.
type flowKey struct {
	addresses [32]byte
	ports     uint32
}

func (k *flowKey) slot() uint32 {
	h := k.ports ^ binary.LittleEndian.Uint32(k.addresses[4:]) ^ binary.LittleEndian.Uint32(k.addresses[28:])
	return h * 0x9E3779B1 >> 16 % delayFlows
}

// newFlow is a connection of which nothing is known but that ack was sent.
func newFlow(key flowKey, ack uint32) flow {
	return flow{key: key, sent: ack, gap: true, doubt: 1, lesson: firstLesson}
}

// pass takes note of a packet that is to be sent. first, if not nil, is to be
// sent before it and then released. If hold is true the packet is kept here.
func (d *delay) pass(pkt *stack.PacketBuffer, most int) (first *stack.PacketBuffer, hold bool) {
	if pkt.TransportProtocolNumber != header.TCPProtocolNumber {
		return nil, false
	}
	key, tcp, ok := connection(pkt)
	if !ok {
		return nil, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &d.flows[key.slot()]
	if f.key != key {
		first = d.take(f)
		*f = newFlow(key, tcp.AckNumber())
	}
	const ends = header.TCPFlagSyn | header.TCPFlagRst
	switch flags := tcp.Flags(); {
	case flags&ends != 0:
		d.drop(f)
		*f = newFlow(key, tcp.AckNumber())
	case flags != header.TCPFlagAck || pkt.Data().Size() > 0:
		d.carry(f, tcp)
	default:
		again, kept := d.acknowledge(f, pkt, tcp, most)
		if again != nil {
			first = again
		}
		return first, kept
	}
	return first, false
}

// connection finds the connection of an outgoing packet and its TCP header.
func connection(pkt *stack.PacketBuffer) (key flowKey, tcp header.TCP, ok bool) {
	ip, tcp, ok := splitTCP(outgoingHeaders(pkt))
	if !ok {
		return key, nil, false
	}
	if len(ip) == header.IPv6MinimumSize && ip[0]>>4 == 6 {
		copy(key.addresses[:], ip[8:40])
	} else {
		copy(key.addresses[:], ip[12:20])
	}
	key.ports = binary.BigEndian.Uint32(tcp)
	return key, tcp, true
}

// carry notes a packet that acknowledges along with its data or FIN.
func (d *delay) carry(f *flow, tcp header.TCP) {
	if f.held != nil {
		d.drop(f)
		f.lesson = max(f.lesson-1, firstLesson)
	}
	if !f.asked.IsZero() {
		if f.doubt > 0 && f.sent == tcp.AckNumber() && time.Since(f.asked) < delayTick {
			f.doubt--
		}
		f.asked = time.Time{}
	}
	f.sent = tcp.AckNumber()
}

// acknowledge decides about a pure acknowledgement.
func (d *delay) acknowledge(f *flow, pkt *stack.PacketBuffer, tcp header.TCP, most int) (first *stack.PacketBuffer, hold bool) {
	number, window := tcp.AckNumber(), tcp.WindowSize()
	if f.held != nil && number == f.number && window == f.window {
		first = d.take(f) // told twice: the sender counts
		f.sent = number
	}
	news := int32(number - f.sent)
	plain := isPlain(tcp[header.TCPMinimumSize:])
	if f.doubt == 0 && !f.gap && plain && news > 0 && news <= int32(most) && (f.held == nil || number != f.number) {
		d.hold(f, pkt, number, window)
		return first, true
	}
	d.drop(f)
	f.gap = news <= 0 || !plain
	f.sent, f.window = number, window
	if f.doubt > 0 {
		f.asked = time.Now()
	}
	return first, false
}

// isPlain tells whether TCP options are at most a timestamp, as the stack
// writes it: after two of padding.
func isPlain(options []byte) bool {
	const nop, stamp, size = header.TCPOptionNOP, header.TCPOptionTS, header.TCPOptionTSLength
	return len(options) == 0 || len(options) == 2+size && options[0] == nop && options[1] == nop && options[2] == stamp
}

// hold keeps a packet, in place of the one that is held, whose time still
// counts.
func (d *delay) hold(f *flow, pkt *stack.PacketBuffer, number uint32, window uint16) {
	since := d.tick
	if f.held != nil {
		since = f.tick
		d.drop(f)
	}
	f.held, f.number, f.window, f.tick = pkt.IncRef(), number, window, since
	d.held++
	if d.held == 1 && d.timer == nil {
		d.timer = time.AfterFunc(delayTick, d.expire)
	}
}

// take takes what a flow holds, nil if nothing.
func (d *delay) take(f *flow) *stack.PacketBuffer {
	pkt := f.held
	if pkt != nil {
		f.held = nil
		d.held--
	}
	return pkt
}

func (d *delay) drop(f *flow) {
	if pkt := d.take(f); pkt != nil {
		pkt.DecRef()
	}
}

// expire sends what has been held for a tick or longer. The timer runs only
// while something is held, so an idle machine sleeps.
func (d *delay) expire() {
	d.mu.Lock()
	var late []*stack.PacketBuffer
	for i := range d.flows {
		f := &d.flows[i]
		if f.held != nil && f.tick != d.tick {
			late = append(late, d.take(f))
			f.sent, f.doubt = f.number, f.lesson
			f.lesson = min(2*f.lesson, lastLesson)
		}
	}
	d.tick++
	if d.held > 0 {
		d.timer.Reset(delayTick)
	} else {
		d.timer = nil
	}
	d.mu.Unlock()
	if len(late) > 0 {
		d.late(late)
	}
}

// close forgets what is held.
func (d *delay) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	for i := range d.flows {
		d.drop(&d.flows[i])
	}
}
