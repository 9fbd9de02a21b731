package control_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/net/link"
	"github.com/tuplix/tuplix/services/net/wire"
)

// What a boot knows early has it ask for leases where they are wanted, and not elsewhere.
func TestEarlyConfig(t *testing.T) {
	devices := []string{"eth0", "eth1"}
	for _, test := range []struct {
		modes, line string
		want        [2]net.Mode
	}{
		{"", "", [2]net.Mode{net.DHCP, net.DHCP}},
		{"eth1 static\n", "", [2]net.Mode{net.DHCP, net.Later}},
		{"* none\neth1 dhcp\n", "", [2]net.Mode{net.Later, net.DHCP}},
		{"* static\n", "ip=dhcp,dev=eth1", [2]net.Mode{net.Later, net.DHCP}},
		{"* static\n", "ip=192.0.2.1/24", [2]net.Mode{net.Static, net.Static}},
	} {
		m, err := control.ParseModes(test.modes)
		if err != nil {
			t.Fatal(err)
		}
		line, err := net.ParseCommandLine(test.line)
		if err != nil {
			t.Fatal(err)
		}
		c := m.Config(line, devices)
		for i, name := range devices {
			if got := c.ForDevice(name).Mode; got != test.want[i] {
				t.Errorf("%q, %q: %s has mode %d, want %d", test.modes, test.line, name, got, test.want[i])
			}
		}
	}
}

func FuzzModes(f *testing.F) {
	for _, text := range []string{"", "eth0 static\n* dhcp\n", "eth0 none", "eth0  none\n", "x", "\n", "eth0 static none\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := control.ParseModes(text)
		if err != nil {
			t.Skip(err) // not modes: refused, and nothing more to prove
		}
		again, err := control.ParseModes(m.String())
		if err != nil || !maps.Equal(m, again) {
			t.Errorf("%q is %v, and again %v: %v", text, m, again, err)
		}
		m.Config(net.Config{}, []string{"eth0"})
	})
}

// The modes are told at the opening and with each change, before that has returned.
func TestEarly(t *testing.T) {
	var mu sync.Mutex
	var told []string
	h := newHost(t, vfs.NewMem(), "", device(), func(o *control.Options) {
		o.Early = func(m control.Modes) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, m.String())
		}
	})
	last := func(want string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if got := told[len(told)-1]; got != want {
			t.Errorf("it told %q, want %q", got, want)
		}
	}
	last("")
	h.must(h.SetInterface(t.Context(), control.Interface{Name: "eth0", Mode: control.Static}))
	last("eth0 static\n")
	h.must(h.SetInterface(t.Context(), control.Interface{Name: "*", Mode: control.DHCP}))
	last("* dhcp\neth0 static\n")
	h.must(h.RemoveInterface(t.Context(), "eth0"))
	last("")
}

// An interface that is to wait sends no request for a lease until the tables want one, and
// the network is not ready before.
func TestLater(t *testing.T) {
	a, b := wire.Pair(wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 1}}, wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 2}})
	requests := requestsAt(t, b)
	s, err := net.New(net.Options{Memory: 256 << 20, Config: net.Config{Interfaces: []net.Interface{{Mode: net.Later}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := errors.Join(s.Attach("eth0", a), s.Start()); err != nil {
		t.Fatal(err)
	}
	apply := func(mode net.Mode) {
		t.Helper()
		if err := s.Apply(net.Config{Interfaces: []net.Interface{{Mode: mode}}}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, end := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer end()
	apply(net.Later)
	select {
	case <-requests:
		t.Error("it asks for a lease")
	case <-s.Ready():
		t.Error("it is ready")
	case <-ctx.Done():
	}
	apply(net.DHCP)
	<-requests
	apply(net.Later)
	apply(net.Static)
	<-s.Ready()
}

// requestsAt takes what comes to one end of a cable, and tells of requests to DHCP servers.
func requestsAt(t *testing.T, n *wire.NIC) <-chan struct{} {
	const serverPort = 67
	found := make(chan struct{}, 1)
	deliver := func(_ link.Header, parts [][]byte) {
		frame := slices.Concat(parts...)
		if len(frame) < header.EthernetMinimumSize+header.IPv4MinimumSize+header.UDPMinimumSize {
			return
		}
		ip := header.IPv4(frame[header.EthernetMinimumSize:])
		if header.Ethernet(frame).Type() != header.IPv4ProtocolNumber || ip.Protocol() != uint8(header.UDPProtocolNumber) {
			return
		}
		if header.UDP(ip[ip.HeaderLength():]).DestinationPort() == serverPort {
			select {
			case found <- struct{}{}:
			default:
			}
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = n.Receive(deliver, func() {}) // until the cable is closed
	}()
	t.Cleanup(func() { <-ended })
	return found
}
