package dhcp

import (
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// maxMessage is the largest message this client accepts, told to servers in
// option 57: what fits an Ethernet frame.
const maxMessage = 1472

// wanted lists the options asked for, in order of preference (option 55).
var wanted = dhcpv4.WithRequestedOptions(
	dhcpv4.OptionSubnetMask,
	dhcpv4.OptionClasslessStaticRoute,
	dhcpv4.OptionRouter,
	dhcpv4.OptionDomainNameServer,
	dhcpv4.OptionDomainName,
	dhcpv4.OptionHostName,
	dhcpv4.OptionNTPServers,
	dhcpv4.OptionIPAddressLeaseTime,
	dhcpv4.OptionRenewTimeValue,
	dhcpv4.OptionRebindingTimeValue,
)

func (c *Client) sendDiscover(now time.Time) (*Message, error) {
	c.retry(now)
	return c.message(now, netip.Addr{}, netip.Addr{},
		dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover))
}

// sendRequest takes the offer. It is broadcast so that the servers not chosen
// see it too.
func (c *Client) sendRequest(now time.Time) (*Message, error) {
	c.retry(now)
	c.sent = now
	return c.message(now, netip.Addr{}, netip.Addr{},
		dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(c.offer.ServerIdentifier())),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(c.offer.YourIPAddr)))
}

// renewal asks to keep the address: unicast while renewing, broadcast while
// rebinding (RFC 2131 table 4: ciaddr set, neither option 50 nor 54).
func (c *Client) renewal(now time.Time) (*Message, error) {
	own, to := c.lease.Address.Addr(), netip.Addr{}
	if c.state == Renewing {
		to = c.lease.Server
	}
	return c.message(now, own, to,
		dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest),
		dhcpv4.WithClientIP(net.IP(own.AsSlice())))
}

// message encodes one with what all have in common. Without an own address
// the answer must be broadcast: the stack drops what is sent to an address
// that it does not have yet.
func (c *Client) message(now time.Time, from, to netip.Addr, mods ...dhcpv4.Modifier) (*Message, error) {
	common := []dhcpv4.Modifier{
		dhcpv4.WithTransactionID(c.xid),
		dhcpv4.WithHwAddr(c.hw),
		dhcpv4.WithBroadcast(!from.IsValid()),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(maxMessage)),
		wanted,
	}
	if c.hostname != "" {
		common = append(common, dhcpv4.WithOption(dhcpv4.OptHostName(c.hostname)))
	}
	m, err := dhcpv4.New(append(common, mods...)...)
	if err != nil {
		return nil, err
	}
	m.NumSeconds = uint16(min(now.Sub(c.started)/time.Second, 0xffff))
	return &Message{Payload: m.ToBytes(), From: from, To: to}, nil
}
