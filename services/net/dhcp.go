package net

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/tuplix/tuplix/services/net/dhcp"
)

// Ports of RFC 2131, 4.1.
const (
	dhcpServerPort = 67
	dhcpClientPort = 68
)

// dhcpConn carries DHCP messages over an interface. Answers come through a
// UDP endpoint. What goes to everyone is written below the stack's routing,
// which has no way to send from an interface without an address.
type dhcpConn struct {
	stack *stack.Stack
	nic   tcpip.NICID
	ep    tcpip.Endpoint
	queue waiter.Queue
	in    chan struct{}
	entry waiter.Entry
}

func newDHCPConn(st *stack.Stack, nic tcpip.NICID) (*dhcpConn, error) {
	c := &dhcpConn{stack: st, nic: nic}
	ep, err := st.NewEndpoint(header.UDPProtocolNumber, header.IPv4ProtocolNumber, &c.queue)
	if err != nil {
		return nil, fmt.Errorf("net: DHCP endpoint: %v", err)
	}
	ep.SocketOptions().SetBroadcast(true)
	c.ep = ep
	c.entry, c.in = waiter.NewChannelEntry(waiter.ReadableEvents)
	c.queue.EventRegister(&c.entry)
	if err := ep.Bind(tcpip.FullAddress{NIC: nic, Port: dhcpClientPort}); err != nil {
		ep.Close()
		return nil, fmt.Errorf("net: binding the DHCP client's port: %v", err)
	}
	return c, nil
}

func (c *dhcpConn) close() {
	c.queue.EventUnregister(&c.entry)
	c.ep.Close()
}

// receive returns the next message, or nil if there is none now.
func (c *dhcpConn) receive() []byte {
	var b bytes.Buffer
	if _, err := c.ep.Read(&b, tcpip.ReadOptions{}); err != nil {
		return nil
	}
	return b.Bytes()
}

func (c *dhcpConn) send(m *dhcp.Message) error {
	if m.To.IsValid() {
		to := tcpip.FullAddress{NIC: c.nic, Addr: toTCPIP(m.To), Port: dhcpServerPort}
		_, err := c.ep.Write(bytes.NewReader(m.Payload), tcpip.WriteOptions{To: &to})
		if err != nil {
			return fmt.Errorf("net: sending to the DHCP server %v: %v", m.To, err)
		}
		return nil
	}
	packet := broadcastPacket(m)
	err := c.stack.WritePacketToRemote(c.nic, header.EthernetBroadcastAddress, header.IPv4ProtocolNumber, buffer.MakeWithData(packet))
	if err != nil {
		return fmt.Errorf("net: broadcasting to DHCP servers: %v", err)
	}
	return nil
}

// broadcastPacket is the IP packet of a message to everyone.
func broadcastPacket(m *dhcp.Message) []byte {
	from := m.From
	if !from.IsValid() {
		from = netip.IPv4Unspecified()
	}
	size := header.IPv4MinimumSize + header.UDPMinimumSize + len(m.Payload)
	b := make([]byte, size)
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(size),
		TTL:         64,
		Protocol:    uint8(header.UDPProtocolNumber),
		SrcAddr:     toTCPIP(from),
		DstAddr:     header.IPv4Broadcast,
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	u := header.UDP(b[header.IPv4MinimumSize:])
	u.Encode(&header.UDPFields{
		SrcPort: dhcpClientPort,
		DstPort: dhcpServerPort,
		Length:  uint16(len(u)),
	})
	copy(u.Payload(), m.Payload)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(u)))
	u.SetChecksum(^u.CalculateChecksum(checksum.Checksum(m.Payload, sum)))
	return b
}

// dhcpClient is a client at work.
type dhcpClient struct {
	conn *dhcpConn
	stop chan struct{}
}

// startDHCP starts the interface's client, if it has none. It runs on the
// configurator's goroutine, as does stopDHCP.
func (s *Service) startDHCP(i *iface) error {
	if i.client != nil {
		return nil
	}
	conn, err := newDHCPConn(s.stack, i.nic)
	if err != nil {
		return err
	}
	c := &dhcpClient{conn: conn, stop: make(chan struct{})}
	i.client = c
	hostname := s.config.Hostname
	s.done.Go(func() { s.runDHCP(i, c, hostname) })
	time.AfterFunc(DHCPPatience, func() {
		s.events.post(func() { s.impatient(i, c) })
	})
	return nil
}

// stopDHCP ends the interface's client and the use of its lease. The lease is not
// given back.
func (s *Service) stopDHCP(i *iface) {
	if i.client == nil {
		return
	}
	close(i.client.stop)
	i.client = nil
	s.dropLease(i)
	s.mu.Lock()
	i.state = ""
	s.mu.Unlock()
}

// runDHCP drives one interface's client until it is stopped or the service closes.
func (s *Service) runDHCP(i *iface, c *dhcpClient, hostname string) {
	defer c.conn.close()
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	client := dhcp.New(i.mac, hostname, random)
	timer := time.NewTimer(0)
	defer timer.Stop()
	ev, err := client.Start(time.Now())
	for {
		s.handleDHCP(i, c, client, ev, err)
		timer.Reset(time.Until(client.Next()))
		select {
		case <-s.quit:
			return
		case <-c.stop:
			return
		case <-timer.C:
			ev, err = client.Expire(time.Now())
		case <-c.conn.in:
			ev, err = s.drainDHCP(i, c, client)
		}
	}
}

// drainDHCP gives the client all that has arrived. The last event is left to
// the caller.
func (s *Service) drainDHCP(i *iface, c *dhcpClient, client *dhcp.Client) (ev dhcp.Event, err error) {
	for {
		payload := c.conn.receive()
		if payload == nil {
			return ev, err
		}
		s.handleDHCP(i, c, client, ev, err)
		ev, err = client.Receive(time.Now(), payload)
	}
}

func (s *Service) handleDHCP(i *iface, c *dhcpClient, client *dhcp.Client, ev dhcp.Event, err error) {
	if err != nil {
		s.opts.Log("net: %s: %v", i.name, err)
	}
	state := client.State().String()
	s.events.post(func() { s.setState(i, c, state) })
	if ev.Lost != "" {
		s.events.post(func() { s.lost(i, c, ev.Lost) })
	}
	if ev.Bound != nil {
		s.events.post(func() { s.bound(i, c, ev.Bound) })
	}
	if ev.Send == nil {
		return
	}
	if err := c.conn.send(ev.Send); err != nil {
		s.opts.Log("%v", err) // the client sends again
	}
}

// setState notes the state of an interface's client, for people.
func (s *Service) setState(i *iface, c *dhcpClient, state string) {
	if i.client != c || i.state == state {
		return
	}
	s.mu.Lock()
	i.state = state
	s.mu.Unlock()
	s.changed()
}
