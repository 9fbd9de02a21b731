package dhcp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// State is where the client stands; see the package comment's diagram.
type State uint8

// The states of RFC 2131 figure 5 that last.
const (
	Selecting State = iota
	Requesting
	Bound
	Renewing
	Rebinding
)

func (s State) String() string {
	return [...]string{"selecting", "requesting", "bound", "renewing", "rebinding"}[s]
}

// Retransmission: RFC 2131 4.1 starts at 4 s; the first answers come much
// sooner on today's links, so this client starts at 1 s and doubles to 64 s.
const (
	firstRetry  = time.Second
	lastRetry   = 64 * time.Second
	maxRequests = 4           // unanswered REQUESTs before another DISCOVER
	minRenewGap = time.Minute // RFC 2131 4.4.5
	nakPause    = 2 * time.Second
)

// Message is one to send. A To that is not valid means: to everyone on the
// link, from the unspecified address.
type Message struct {
	Payload  []byte
	From, To netip.Addr
}

// Event is what the owner has to do after a call.
type Event struct {
	Send  *Message // nil: nothing
	Bound *Lease   // not nil: use this lease from now on
	Lost  string   // not empty: stop using the lease, for this reason
}

// Client is the state machine. It is not safe for concurrent use.
type Client struct {
	hw       net.HardwareAddr
	hostname string
	rand     *rand.Rand

	state   State
	xid     dhcpv4.TransactionID
	started time.Time // of this acquisition, for the secs field
	sent    time.Time // of the newest REQUEST
	tries   int
	next    time.Time
	offer   *dhcpv4.DHCPv4
	lease   *Lease
}

// New makes a client for a link's hardware address. The hostname is told to
// the server when it is not empty. The random source spreads retransmissions
// and picks transaction ids.
func New(hw [6]byte, hostname string, random *rand.Rand) *Client {
	return &Client{hw: net.HardwareAddr(hw[:]), hostname: hostname, rand: random}
}

// State returns where the client stands.
func (c *Client) State() State { return c.state }

// Lease returns the lease in use, or nil.
func (c *Client) Lease() *Lease { return c.lease }

// Next returns when Expire is to be called.
func (c *Client) Next() time.Time { return c.next }

// Start begins an acquisition at now. To be called once, first.
func (c *Client) Start(now time.Time) (Event, error) {
	return c.discover(now, "")
}

// discover starts over; lost is why a lease in use ended, if there was one.
func (c *Client) discover(now time.Time, lost string) (Event, error) {
	var ev Event
	if c.lease != nil {
		ev.Lost = lost
	}
	c.state, c.offer, c.lease, c.tries = Selecting, nil, nil, 0
	c.started = now
	c.newTransaction()
	var err error
	ev.Send, err = c.sendDiscover(now)
	return ev, err
}

// Expire tells that the time of Next has come.
func (c *Client) Expire(now time.Time) (Event, error) {
	if now.Before(c.next) {
		return Event{}, nil
	}
	switch c.state {
	case Selecting:
		msg, err := c.sendDiscover(now)
		return Event{Send: msg}, err
	case Requesting:
		if c.tries >= maxRequests || c.offer == nil {
			return c.discover(now, "")
		}
		msg, err := c.sendRequest(now)
		return Event{Send: msg}, err
	default:
		return c.prolong(now)
	}
}

// prolong asks for more time: the server from T1 on, anyone from T2 on.
func (c *Client) prolong(now time.Time) (Event, error) {
	if !now.Before(c.lease.Expire) {
		return c.discover(now, "the lease has ended")
	}
	state, until := Renewing, c.lease.Rebind
	if !now.Before(c.lease.Rebind) {
		state, until = Rebinding, c.lease.Expire
	}
	if c.state != state {
		c.state, c.started = state, now
		c.newTransaction()
	}
	c.sent = now
	c.next = now.Add(max(until.Sub(now)/2, minRenewGap))
	if c.next.After(until) {
		c.next = until
	}
	msg, err := c.renewal(now)
	return Event{Send: msg}, err
}

// Receive handles the payload of a UDP datagram to the client's port. What is
// no answer to this client is dropped without an error.
func (c *Client) Receive(now time.Time, payload []byte) (Event, error) {
	m, err := dhcpv4.FromBytes(payload)
	if err != nil {
		return Event{}, fmt.Errorf("dhcp: malformed message: %w", err)
	}
	if !c.mine(m) {
		return Event{}, nil
	}
	switch m.MessageType() {
	case dhcpv4.MessageTypeOffer:
		return c.onOffer(now, m)
	case dhcpv4.MessageTypeAck:
		return c.onAck(m)
	case dhcpv4.MessageTypeNak:
		return c.onNak(now, m)
	}
	return Event{}, nil
}

func (c *Client) mine(m *dhcpv4.DHCPv4) bool {
	return m.OpCode == dhcpv4.OpcodeBootReply && m.TransactionID == c.xid && bytes.Equal(m.ClientHWAddr, c.hw)
}

func (c *Client) onOffer(now time.Time, m *dhcpv4.DHCPv4) (Event, error) {
	if c.state != Selecting {
		return Event{}, nil
	}
	if _, err := parseAddress(m); err != nil {
		return Event{}, err
	}
	if !toAddr(m.ServerIdentifier()).IsValid() {
		return Event{}, fmt.Errorf("dhcp: offer without a server identifier")
	}
	c.state, c.offer, c.tries = Requesting, m, 0
	msg, err := c.sendRequest(now)
	return Event{Send: msg}, err
}

func (c *Client) onAck(m *dhcpv4.DHCPv4) (Event, error) {
	if c.state == Selecting || c.state == Bound {
		return Event{}, nil
	}
	lease, err := parseLease(m, c.sent)
	if err != nil {
		return Event{}, err
	}
	if !lease.Server.IsValid() && c.lease != nil {
		lease.Server = c.lease.Server
	}
	c.state, c.lease, c.offer = Bound, lease, nil
	c.next = lease.Renew
	return Event{Bound: lease}, nil
}

// onNak starts over after a pause, so that a server that refuses everything
// is not asked without end.
func (c *Client) onNak(now time.Time, m *dhcpv4.DHCPv4) (Event, error) {
	if c.state == Selecting || c.state == Bound {
		return Event{}, nil
	}
	var ev Event
	if c.lease != nil {
		ev.Lost = "the server refused to prolong the lease: " + m.Message()
	}
	c.state, c.offer, c.lease, c.tries = Selecting, nil, nil, 0
	c.started = now
	c.newTransaction()
	c.next = now.Add(nakPause)
	return ev, nil
}

func (c *Client) newTransaction() {
	v := c.rand.Uint32()
	c.xid = dhcpv4.TransactionID{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// retry sets the next retransmission: doubling, with a quarter of jitter.
func (c *Client) retry(now time.Time) {
	d := min(firstRetry<<min(c.tries, 6), lastRetry)
	c.tries++
	c.next = now.Add(d + time.Duration(c.rand.Int64N(int64(d/4))))
}
