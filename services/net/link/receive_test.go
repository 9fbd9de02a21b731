package link

import (
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// idleDevice neither sends nor receives.
type idleDevice struct{ offloads Offloads }

func (idleDevice) MAC() [6]byte                                  { return [6]byte{2, 0, 0, 0, 0, 1} }
func (idleDevice) MTU() int                                      { return 1500 }
func (d idleDevice) Offloads() Offloads                          { return d.offloads }
func (idleDevice) Transmit(Header, [][]byte, bool, func()) error { return nil }
func (idleDevice) Flush()                                        {}
func (idleDevice) Receive(func(Header, [][]byte), func()) error  { return nil }

// recorder is the stack as the endpoint sees it.
type recorder struct {
	endpoint *Endpoint
	packets  int
	verified bool
}

func (r *recorder) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, _ *stack.PacketBuffer) {
	r.packets++
	r.verified = r.endpoint.Capabilities()&stack.CapabilityRXChecksumOffload != 0
}

func (r *recorder) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

func attach(offloads Offloads) *recorder {
	r := &recorder{endpoint: New(idleDevice{offloads}, func(error) {})}
	r.endpoint.Attach(r)
	return r
}

// frame is an IPv4 header in an Ethernet frame to the device.
func frame() []byte {
	b := make([]byte, header.EthernetMinimumSize+header.IPv4MinimumSize)
	copy(b, []byte{2, 0, 0, 0, 0, 1})
	b[12], b[13] = 0x08, 0x00
	ip := header.IPv4(b[header.EthernetMinimumSize:])
	ip.Encode(&header.IPv4Fields{TotalLength: header.IPv4MinimumSize, TTL: 64, SrcAddr: header.IPv4Loopback, DstAddr: header.IPv4Loopback})
	ip.SetChecksum(^ip.CalculateChecksum())
	return b
}

func TestDelivery(t *testing.T) {
	damaged, foreign := frame(), frame()
	damaged[20] ^= 1
	foreign[5] = 9
	for _, c := range []struct {
		name     string
		offloads Offloads
		header   Header
		parts    [][]byte
		packets  int
		verified bool
	}{
		{"plain", Offloads{}, Header{}, [][]byte{frame()}, 1, false},
		{"flag without offload", Offloads{}, Header{Flags: DataValid}, [][]byte{frame()}, 1, false},
		{"valid", Offloads{RxChecksum: true}, Header{Flags: DataValid}, [][]byte{frame()}, 1, true},
		{"partial", Offloads{RxChecksum: true}, Header{Flags: NeedsChecksum}, [][]byte{frame()}, 1, true},
		{"damaged IP header", Offloads{RxChecksum: true}, Header{Flags: DataValid}, [][]byte{damaged}, 1, false},
		{"in parts", Offloads{}, Header{}, [][]byte{frame()[:3], frame()[3:]}, 1, false},
		{"for another", Offloads{}, Header{}, [][]byte{foreign}, 0, false},
		{"too short", Offloads{}, Header{}, [][]byte{frame()[:13]}, 0, false},
		{"nothing", Offloads{}, Header{}, nil, 0, false},
		{"too long", Offloads{}, Header{}, [][]byte{frame(), make([]byte, maxFrame)}, 0, false},
	} {
		r := attach(c.offloads)
		r.endpoint.deliver(c.header, c.parts)
		r.endpoint.flush()
		if r.packets != c.packets || r.verified != c.verified {
			t.Errorf("%s: %d packets, verified %v", c.name, r.packets, r.verified)
		}
	}
}

func FuzzDeliver(f *testing.F) {
	f.Add(uint8(DataValid), frame(), 10)
	f.Add(uint8(0), frame()[:14], 14)
	f.Fuzz(func(t *testing.T, flags uint8, b []byte, cut int) {
		cut = min(max(cut, 0), len(b))
		r := attach(Offloads{RxChecksum: true, RxGRO: true})
		r.endpoint.deliver(Header{Flags: flags}, [][]byte{b[:cut], b[cut:]})
		r.endpoint.deliver(Header{Flags: flags}, [][]byte{b})
		r.endpoint.flush()
	})
}
