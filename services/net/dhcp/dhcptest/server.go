package dhcptest

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Server answers one client. It is safe for concurrent use.
type Server struct {
	Own     netip.Addr   // the server's identifier
	Offer   netip.Prefix // what every client gets
	Gateway netip.Addr   // not sent when not valid
	DNS     netip.Addr   // not sent when not valid
	Lease   time.Duration

	mu     sync.Mutex
	refuse bool
	mute   bool
	seen   []dhcpv4.MessageType
}

// Refuse makes the server answer REQUESTs with NAK.
func (s *Server) Refuse(v bool) { s.mu.Lock(); s.refuse = v; s.mu.Unlock() }

// Mute makes the server silent.
func (s *Server) Mute(v bool) { s.mu.Lock(); s.mute = v; s.mu.Unlock() }

// Seen lists the types of the messages that arrived, in order.
func (s *Server) Seen() []dhcpv4.MessageType {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]dhcpv4.MessageType(nil), s.seen...)
}

// Answer returns the reply to a client's payload, or nil.
func (s *Server) Answer(payload []byte) ([]byte, error) {
	req, err := dhcpv4.FromBytes(payload)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.seen = append(s.seen, req.MessageType())
	mute, refuse := s.mute, s.refuse
	s.mu.Unlock()
	if mute {
		return nil, nil
	}
	return s.reply(req, refuse)
}

func (s *Server) reply(req *dhcpv4.DHCPv4, refuse bool) ([]byte, error) {
	mods := []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP(s.Own.AsSlice())))}
	switch {
	case req.MessageType() == dhcpv4.MessageTypeDiscover:
		mods = append(mods, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer))
	case refuse:
		mods = append(mods, dhcpv4.WithMessageType(dhcpv4.MessageTypeNak))
	default:
		mods = append(mods, dhcpv4.WithMessageType(dhcpv4.MessageTypeAck))
	}
	if !refuse || req.MessageType() == dhcpv4.MessageTypeDiscover {
		mods = append(mods, s.grant()...)
	}
	m, err := dhcpv4.NewReplyFromRequest(req, mods...)
	if err != nil {
		return nil, err
	}
	return m.ToBytes(), nil
}

func (s *Server) grant() []dhcpv4.Modifier {
	mods := []dhcpv4.Modifier{
		dhcpv4.WithYourIP(net.IP(s.Offer.Addr().AsSlice())),
		dhcpv4.WithNetmask(net.CIDRMask(s.Offer.Bits(), 32)),
		dhcpv4.WithLeaseTime(uint32(s.Lease / time.Second)),
	}
	if s.Gateway.IsValid() {
		mods = append(mods, dhcpv4.WithRouter(net.IP(s.Gateway.AsSlice())))
	}
	if s.DNS.IsValid() {
		mods = append(mods, dhcpv4.WithDNS(net.IP(s.DNS.AsSlice())))
	}
	return mods
}
