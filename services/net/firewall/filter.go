package firewall

import (
	"net/netip"
	"slices"
	"sync/atomic"
)

// Filter is a list of rules at work. It does not change; another list is another
// Filter. Its methods are safe for concurrent use.
type Filter struct {
	rules    []Rule
	hits     []atomic.Uint64 // of each
	in, out  []int           // indexes of the rules of a direction, in order
	program  func(p Protocol, port uint16) string
	datagram *Tracker
}

// New makes a Filter of rules, nil if there are none. Program tells who listens on a
// port; datagrams that go out are remembered by the Tracker, which may be that of the
// Filter before.
func New(rules []Rule, program func(p Protocol, port uint16) string, t *Tracker) *Filter {
	if len(rules) == 0 {
		return nil
	}
	f := &Filter{rules: slices.Clone(rules), hits: make([]atomic.Uint64, len(rules)), program: program, datagram: t}
	for i, r := range rules {
		if r.Direction == In {
			f.in = append(f.in, i)
		} else {
			f.out = append(f.out, i)
		}
	}
	return f
}

// Hits returns for each rule how often it has decided.
func (f *Filter) Hits() []uint64 {
	hits := make([]uint64, len(f.hits))
	for i := range f.hits {
		hits[i] = f.hits[i].Load()
	}
	return hits
}

// Inbound reports whether there are rules for what comes in.
func (f *Filter) Inbound() bool { return len(f.in) > 0 }

// Admit reports whether a frame may come in. It needs the frame's head: 128 bytes, or
// all of a shorter one; more do no harm.
func (f *Filter) Admit(frame []byte) bool {
	if len(f.in) == 0 || established(frame) {
		return true
	}
	p, ip, ok := parse(frame)
	switch {
	case !ip && ok:
		return true
	case !ok:
		return false
	case p.laterOfFragment || !p.begins || p.dhcp():
		return true
	case p.protocol == protoUDP && f.datagram.replies(&p):
		return true
	}
	return f.decide(f.in, f.asked(&p))
}

// dhcp reports whether the packet is an answer of a DHCP server.
func (p *packet) dhcp() bool {
	return p.protocol == protoUDP && p.source == 67 && p.target == 68
}

// Note remembers where a frame goes to that leaves the machine, if it is a datagram.
func (f *Filter) Note(frame []byte) {
	if len(f.in) == 0 {
		return
	}
	if p, ip, ok := parse(frame); ip && ok && p.protocol == protoUDP && !p.laterOfFragment {
		f.datagram.sent(&p)
	}
}

// Permit reports whether a program may connect or send to a peer.
func (f *Filter) Permit(p Protocol, peer netip.AddrPort, program string) bool {
	if len(f.out) == 0 {
		return true
	}
	return f.decide(f.out, question{p, peer.Addr().Unmap().WithZone(""), peer.Port(), program, nil})
}

// question is what rules of one direction are asked.
type question struct {
	protocol Protocol
	peer     netip.Addr
	port     uint16
	program  string
	listens  func(p Protocol, port uint16) string // for packets, whose program is known by the port only
}

func (q *question) name() string {
	if q.listens != nil {
		return q.listens(q.protocol, q.port)
	}
	return q.program
}

// asked makes the question of a packet that comes in.
func (f *Filter) asked(p *packet) question {
	q := question{protocol: "other", peer: p.from, port: p.target, listens: f.program}
	switch p.protocol {
	case protoTCP:
		q.protocol = TCP
	case protoUDP:
		q.protocol = UDP
	case protoICMP, protoICMPv6:
		q.protocol = ICMP
	}
	return q
}

// decide returns what the first rule says that fits, and counts it.
func (f *Filter) decide(order []int, q question) bool {
	for _, i := range order {
		if f.rules[i].fits(&q) {
			f.hits[i].Add(1)
			return f.rules[i].Action == Allow
		}
	}
	return true
}

func (r *Rule) fits(q *question) bool {
	return (r.Protocol == Any || r.Protocol == q.protocol) &&
		(r.First == 0 || r.First <= q.port && q.port <= r.Last) &&
		(!r.Peer.IsValid() || r.Peer.Contains(q.peer)) &&
		(r.Program == "" || r.Program == q.name())
}
