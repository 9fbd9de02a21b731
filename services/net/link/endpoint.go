package link

import (
	"io"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tuplix/tuplix/services/net/firewall"
)

// gsoMaxSize is the largest TCP packet handed to a device for segmentation,
// headers included: IP's own limit.
const gsoMaxSize = 65535 - header.EthernetMinimumSize

// Endpoint is a stack.LinkEndpoint over a Device.
type Endpoint struct {
	dev      Device
	offloads Offloads
	mac      tcpip.LinkAddress
	mtu      atomic.Uint32
	failed   func(error)

	// validated tells whether the frame that is being delivered had its
	// checksum verified by the device. The stack asks for it through
	// Capabilities while it takes the frame in, on the goroutine that
	// delivers; other goroutines ask for the other bits only.
	validated atomic.Bool

	gro    gro // of the goroutine that delivers
	delay  delay
	outbox outbox

	filter atomic.Pointer[firewall.Filter] // nil: none
	denied atomic.Uint64                   // frames that it did not admit

	mu         sync.RWMutex
	dispatcher stack.NetworkDispatcher
	started    bool
	onClose    func()
	running    sync.WaitGroup
}

var (
	_ stack.LinkEndpoint = (*Endpoint)(nil)
	_ stack.GSOEndpoint  = (*Endpoint)(nil)
)

// New makes the endpoint of a device. failed is told, once and on a goroutine
// of its own, why the device stopped receiving.
func New(dev Device, failed func(error)) *Endpoint {
	mac := dev.MAC()
	e := &Endpoint{
		dev:      dev,
		offloads: dev.Offloads(),
		mac:      tcpip.LinkAddress(mac[:]),
		failed:   failed,
	}
	e.mtu.Store(uint32(dev.MTU()))
	e.delay.late = e.transmitLate
	e.outbox.send = e.transmitOwed
	return e
}

// Attach implements stack.LinkEndpoint: the first dispatcher starts receiving.
func (e *Endpoint) Attach(dispatcher stack.NetworkDispatcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dispatcher = dispatcher
	if dispatcher == nil || e.started {
		return
	}
	e.started = true
	e.running.Go(func() {
		err := e.dev.Receive(e.deliver, e.flush)
		if err != nil && e.IsAttached() {
			e.failed(err)
		}
	})
}

// IsAttached implements stack.LinkEndpoint.
func (e *Endpoint) IsAttached() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.dispatcher != nil
}

// MTU implements stack.LinkEndpoint.
func (e *Endpoint) MTU() uint32 { return e.mtu.Load() }

// SetMTU implements stack.LinkEndpoint. It can only lower the device's.
func (e *Endpoint) SetMTU(mtu uint32) { e.mtu.Store(min(mtu, uint32(e.dev.MTU()))) }

// MaxHeaderLength implements stack.LinkEndpoint.
func (e *Endpoint) MaxHeaderLength() uint16 { return header.EthernetMinimumSize }

// LinkAddress implements stack.LinkEndpoint.
func (e *Endpoint) LinkAddress() tcpip.LinkAddress { return e.mac }

// SetLinkAddress implements stack.LinkEndpoint. The address is the device's
// and does not change.
func (e *Endpoint) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.LinkEndpoint; see validated.
func (e *Endpoint) Capabilities() stack.LinkEndpointCapabilities {
	c := stack.LinkEndpointCapabilities(stack.CapabilityResolutionRequired)
	if e.validated.Load() {
		c |= stack.CapabilityRXChecksumOffload
	}
	return c
}

// GSOMaxSize implements stack.GSOEndpoint.
func (e *Endpoint) GSOMaxSize() uint32 { return gsoMaxSize }

// SupportedGSO implements stack.GSOEndpoint. What the device can not segment is
// cut here, as late as possible: TCP, IP and the neighbour cache see one large
// packet instead of dozens. The stack could cut, too (GVisorGSOSupported), but
// does it in TCP, above all of them.
//
// CapabilityTXChecksumOffload is not offered: the stack would then leave out
// the checksums of UDP datagrams that it fragments, too. With host GSO it
// leaves out those of all TCP segments but the SYNs, which is what counts.
func (e *Endpoint) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

// ARPHardwareType implements stack.LinkEndpoint.
func (e *Endpoint) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// AddHeader implements stack.LinkEndpoint.
func (e *Endpoint) AddHeader(pkt *stack.PacketBuffer) {
	eth := header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize))
	eth.Encode(&header.EthernetFields{
		SrcAddr: e.mac,
		DstAddr: pkt.EgressRoute.RemoteLinkAddress,
		Type:    pkt.NetworkProtocolNumber,
	})
}

// ParseHeader implements stack.LinkEndpoint.
func (e *Endpoint) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

// Wait implements stack.LinkEndpoint: until the device has failed or closed.
func (e *Endpoint) Wait() { e.running.Wait() }

// SetOnCloseAction implements stack.LinkEndpoint.
func (e *Endpoint) SetOnCloseAction(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onClose = f
}

// Close implements stack.LinkEndpoint. It closes the device if that can be.
func (e *Endpoint) Close() {
	e.mu.Lock()
	f := e.onClose
	e.onClose = nil
	e.mu.Unlock()
	if f != nil {
		f()
	}
	e.outbox.close()
	e.delay.close()
	if c, ok := e.dev.(io.Closer); ok {
		if err := c.Close(); err != nil {
			e.failed(err)
		}
	}
}
