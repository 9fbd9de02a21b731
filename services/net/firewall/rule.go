package firewall

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Direction is where something that is new comes from.
type Direction string

// The directions.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// Action is what becomes of what a rule fits.
type Action string

// The actions. What is denied is dropped without an answer if it came in, and an
// error to the program if it was to go out.
const (
	Allow Action = "allow"
	Deny  Action = "deny"
)

// Protocol is that of a rule.
type Protocol string

// The protocols. ICMP is that of both IP versions.
const (
	Any  Protocol = ""
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
	ICMP Protocol = "icmp"
)

// Rule fits what has all of its properties. Zero values fit all.
type Rule struct {
	Action    Action
	Direction Direction
	Protocol  Protocol
	Peer      netip.Prefix // addresses of the peer; not valid: all
	// First and Last are the ports, of the machine for In and of the peer for Out;
	// both 0: all. They need the protocol tcp or udp.
	First, Last uint16
	// Program is who listens there for In, and who sends for Out.
	Program string
}

// maxProgram is the longest name of a program in a rule, in bytes.
const maxProgram = 255

// Parse reads a rule:
//
//	allow|deny in|out [tcp|udp|icmp] [from|to ADDRESS[/BITS]] [port N[-M]] [program NAME]
//
// From is for in and to for out; "any" is the address of all.
func Parse(text string) (Rule, error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return Rule{}, fmt.Errorf("firewall: %q is no rule; one begins with allow or deny, and in or out", text)
	}
	r := Rule{Action: Action(words[0]), Direction: Direction(words[1])}
	words = words[2:]
	if len(words) > 0 {
		switch p := Protocol(words[0]); p {
		case TCP, UDP, ICMP:
			r.Protocol, words = p, words[1:]
		}
	}
	for ; len(words) >= 2; words = words[2:] {
		if err := r.clause(words[0], words[1]); err != nil {
			return Rule{}, err
		}
	}
	if len(words) > 0 {
		return Rule{}, fmt.Errorf("firewall: %q does not fit here; there are tcp, udp, icmp, from, to, port and program", words[0])
	}
	return r, r.Check()
}

// clause reads a word and its argument.
func (r *Rule) clause(word, v string) (err error) {
	switch {
	case word == "from" && r.Direction == In, word == "to" && r.Direction == Out:
		r.Peer, err = ParsePeer(v)
	case word == "from" || word == "to":
		err = fmt.Errorf("firewall: it is \"in from\" and \"out to\", not %s %s", r.Direction, word)
	case word == "port":
		r.First, r.Last, err = parsePorts(v)
	case word == "program":
		r.Program = v
	default:
		err = fmt.Errorf("firewall: %q is unknown; there are from, to, port and program", word)
	}
	return err
}

// ParsePeer reads an address, a prefix, or "any" or nothing for all.
func ParsePeer(text string) (netip.Prefix, error) {
	if text == "" || text == "any" {
		return netip.Prefix{}, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" && !a.Is4In6() {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("firewall: %q is neither an address, nor one with its prefix length", text)
	}
	return p.Masked(), nil
}

func parsePorts(text string) (first, last uint16, err error) {
	low, high, ranged := strings.Cut(text, "-")
	a, err := strconv.ParseUint(low, 10, 16)
	b := a
	if err == nil && ranged {
		b, err = strconv.ParseUint(high, 10, 16)
	}
	if err != nil || a == 0 || b < a {
		return 0, 0, fmt.Errorf("firewall: %q are no ports; write 80 or 8000-8099", text)
	}
	return uint16(a), uint16(b), nil
}

// Check returns what is wrong with a rule, or nil.
func (r *Rule) Check() error {
	switch {
	case r.Action != Allow && r.Action != Deny:
		return fmt.Errorf("firewall: a rule begins with allow or deny, not %q", r.Action)
	case r.Direction != In && r.Direction != Out:
		return fmt.Errorf("firewall: a direction is in or out, not %q", r.Direction)
	case r.Protocol != Any && r.Protocol != TCP && r.Protocol != UDP && r.Protocol != ICMP:
		return fmt.Errorf("firewall: protocol %q; there are tcp, udp and icmp", r.Protocol)
	case (r.First != 0 || r.Last != 0) && r.Protocol != TCP && r.Protocol != UDP:
		return fmt.Errorf("firewall: ports are those of tcp or udp; name one of them")
	case r.Last < r.First || (r.First == 0) != (r.Last == 0):
		return fmt.Errorf("firewall: ports from %d to %d", r.First, r.Last)
	case len(r.Program) > maxProgram || strings.ContainsFunc(r.Program, notName):
		return fmt.Errorf("firewall: %q is no program's name", r.Program)
	}
	return nil
}

func notName(c rune) bool { return c <= ' ' || c == 0x7f || c == '\uFFFD' || c >= 0x80 && c < 0xA1 }

// String is the text that Parse reads.
func (r Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Action, r.Direction)
	if r.Protocol != Any {
		fmt.Fprintf(&b, " %s", r.Protocol)
	}
	if r.Peer.IsValid() {
		word := "from"
		if r.Direction == Out {
			word = "to"
		}
		fmt.Fprintf(&b, " %s %s", word, PeerText(r.Peer))
	}
	if r.First != 0 {
		fmt.Fprintf(&b, " port %d", r.First)
		if r.Last != r.First {
			fmt.Fprintf(&b, "-%d", r.Last)
		}
	}
	if r.Program != "" {
		fmt.Fprintf(&b, " program %s", r.Program)
	}
	return b.String()
}

// PeerText is what ParsePeer reads.
func PeerText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}
