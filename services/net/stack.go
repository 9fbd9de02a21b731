package net

import (
	"fmt"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// LoopbackNIC is the interface lo; devices follow it.
const LoopbackNIC tcpip.NICID = 1

const (
	kib = 1 << 10
	mib = 1 << 20
)

// bufferSizes is how much one connection may hold each way, in bytes.
type bufferSizes struct{ min, normal, max int }

// buffersFor scales TCP's buffers with the machine: they are ceilings that
// grow as needed, but a few dozen full ones must not fill the memory.
func buffersFor(memory uint64) bufferSizes {
	return bufferSizes{
		min:    4 * kib,
		normal: int(min(max(memory/1024, 64*kib), 1*mib)),
		max:    int(min(max(memory/256, 256*kib), 4*mib)),
	}
}

// newStack makes the stack with its loopback interface.
func newStack(memory uint64, clock tcpip.Clock, ndp ipv6.NDPDispatcher, nud stack.NUDDispatcher) (*stack.Stack, error) {
	st := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			arp.NewProtocol,
			ipv4.NewProtocol,
			ipv6.NewProtocolWithOptions(ipv6.Options{
				NDPConfigs:       ndpConfigurations(),
				AutoGenLinkLocal: true,
				NDPDisp:          ndp,
				DADConfigs:       stack.DefaultDADConfigurations(),
			}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocolCUBIC, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
		},
		HandleLocal: true,
		NUDDisp:     nud,
		Clock:       clock,
		RawFactory:  raw.EndpointFactory{},
	})
	if err := tune(st, buffersFor(memory)); err != nil {
		st.Destroy()
		return nil, err
	}
	if err := addLoopback(st); err != nil {
		st.Destroy()
		return nil, err
	}
	return st, nil
}

func ndpConfigurations() ipv6.NDPConfigurations {
	c := ipv6.DefaultNDPConfigurations()
	c.MaxRtrSolicitationDelay = 0 // RFC 4861 spreads hosts that boot together; one VM need not wait
	c.AutoGenTempGlobalAddresses = false
	return c
}

// tune sets TCP's options and the sizes of buffers. Recovery is that of RFC 6675:
// with RACK a connection may end up with no timer at all (docs/decisions/0008).
func tune(st *stack.Stack, b bufferSizes) error {
	var (
		recovery = tcpip.TCPRecovery(0)
		sack     = tcpip.TCPSACKEnabled(true)
		moderate = tcpip.TCPModerateReceiveBufferOption(true)
		nagle    = tcpip.TCPDelayEnabled(true)
		send     = tcpip.TCPSendBufferSizeRangeOption{Min: b.min, Default: b.normal, Max: b.max}
		receive  = tcpip.TCPReceiveBufferSizeRangeOption{Min: b.min, Default: b.normal, Max: b.max}
	)
	for _, opt := range []tcpip.SettableTransportProtocolOption{&recovery, &sack, &moderate, &nagle, &send, &receive} {
		if err := st.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return fmt.Errorf("net: tuning TCP with %T: %v", opt, err)
		}
	}
	// Linux's default of 212,992 bytes for all that is not TCP.
	rest := min(208*kib, b.max)
	for _, opt := range []any{
		tcpip.SendBufferSizeOption{Min: b.min, Default: rest, Max: b.max},
		tcpip.ReceiveBufferSizeOption{Min: b.min, Default: rest, Max: b.max},
	} {
		if err := st.SetOption(opt); err != nil {
			return fmt.Errorf("net: tuning with %T: %v", opt, err)
		}
	}
	return nil
}

func addLoopback(st *stack.Stack) error {
	if err := st.CreateNICWithOptions(LoopbackNIC, loopback.New(), stack.NICOptions{Name: "lo"}); err != nil {
		return fmt.Errorf("net: creating lo: %v", err)
	}
	// Nobody else can have the loopback address, so it is not probed for.
	ep, err := st.GetNetworkEndpoint(LoopbackNIC, header.IPv6ProtocolNumber)
	if err != nil {
		return fmt.Errorf("net: IPv6 on lo: %v", err)
	}
	ep.(stack.DuplicateAddressDetector).SetDADConfigurations(stack.DADConfigurations{})
	for _, p := range []string{"127.0.0.1/8", "::1/128"} {
		if err := addAddress(st, LoopbackNIC, netip.MustParsePrefix(p)); err != nil {
			return err
		}
	}
	return nil
}

// addAddress gives an interface an address that lasts until it is removed.
func addAddress(st *stack.Stack, nic tcpip.NICID, p netip.Prefix) error {
	err := st.AddProtocolAddress(nic, tcpip.ProtocolAddress{
		Protocol: protocolOf(p.Addr()),
		AddressWithPrefix: tcpip.AddressWithPrefix{
			Address:   toTCPIP(p.Addr()),
			PrefixLen: p.Bits(),
		},
	}, stack.AddressProperties{})
	if err != nil {
		return fmt.Errorf("net: adding %v: %v", p, err)
	}
	return nil
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

func toTCPIP(a netip.Addr) tcpip.Address {
	if !a.IsValid() {
		return tcpip.Address{}
	}
	return tcpip.AddrFromSlice(a.AsSlice())
}

func fromTCPIP(a tcpip.Address) netip.Addr {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return addr
}

func toSubnet(p netip.Prefix) tcpip.Subnet {
	return tcpip.AddressWithPrefix{Address: toTCPIP(p.Addr()), PrefixLen: p.Bits()}.Subnet()
}

func fromSubnet(s tcpip.Subnet) netip.Prefix {
	return netip.PrefixFrom(fromTCPIP(s.ID()), s.Prefix())
}

// DHCPPatience is how long Ready waits for a first lease.
const DHCPPatience = 10 * time.Second
