package control_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	stdnet "net"
	"net/netip"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/net/flow"
	"github.com/tuplix/tuplix/services/net/wire"
	"github.com/tuplix/tuplix/services/user"
)

// BenchmarkHTTP is a request and its answer between two hosts, on a connection that
// stays and on one of its own each: without tables, with them, and with rules.
func BenchmarkHTTP(b *testing.B) {
	for _, keep := range []string{"keep", "close"} {
		b.Run(keep+"/bare", func(b *testing.B) { benchHTTP(b, keep == "keep", false, "") })
		b.Run(keep+"/tables", func(b *testing.B) { benchHTTP(b, keep == "keep", true, "") })
		b.Run(keep+"/rules", func(b *testing.B) { benchHTTP(b, keep == "keep", true, "allow in tcp port 80") })
	}
}

func benchHTTP(b *testing.B, keep, tables bool, rule string) {
	na, nb := wire.Pair(wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 1}}, wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 2}})
	server, client := benchNet(b, "ip=10.0.0.1/24", na), benchNet(b, "ip=10.0.0.2/24", nb)
	if tables {
		withTables(b, server, rule)
	}
	l, err := gonet.ListenTCP(server.Stack(), tcpip.FullAddress{Port: 80}, header.IPv4ProtocolNumber)
	if err != nil {
		b.Fatal(err)
	}
	var listener stdnet.Listener = l
	if tables {
		listener = entered{l, server.Flows()}
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	defer s.Close()
	go s.Serve(listener)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: !keep, DialContext: func(ctx context.Context, _, _ string) (stdnet.Conn, error) {
		return gonet.DialContextTCP(ctx, client.Stack(), tcpip.FullAddress{Addr: tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), Port: 80}, header.IPv4ProtocolNumber)
	}}}
	defer c.CloseIdleConnections()
	for b.Loop() {
		r, err := c.Get("http://server/")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Fatal(err)
		}
		r.Body.Close()
	}
}

func benchNet(b *testing.B, line string, dev *wire.NIC) *net.Service {
	c, err := net.ParseCommandLine(line)
	if err != nil {
		b.Fatal(err)
	}
	n, err := net.New(net.Options{Config: c, Memory: 256 << 20})
	if err != nil {
		b.Fatal(err)
	}
	if err := n.Attach("eth0", dev); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(n.Close)
	if err := n.Start(); err != nil {
		b.Fatal(err)
	}
	<-n.Ready()
	return n
}

func withTables(b *testing.B, n *net.Service, rule string) {
	st, err := store.Open(b.Context(), vfs.NewMem(), store.Options{}, user.Tables()...)
	if err != nil {
		b.Fatal(err)
	}
	line, err := net.ParseCommandLine("ip=10.0.0.1/24")
	if err != nil {
		b.Fatal(err)
	}
	s, err := control.Open(b.Context(), st, control.Options{Network: n, Line: line, Quiet: time.Nanosecond})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		s.Close()
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	if rule != "" {
		if _, err := firewall.Parse(rule); err != nil {
			b.Fatal(err)
		}
		if _, err := s.SetRule(b.Context(), 0, rule, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// entered enters connections in the registry and counts their bytes, as sockets do.
type entered struct {
	stdnet.Listener
	flows *flow.Registry
}

func (e entered) Accept() (stdnet.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	local, remote := c.LocalAddr().(*stdnet.TCPAddr).AddrPort(), c.RemoteAddr().(*stdnet.TCPAddr).AddrPort()
	state := func() string { return "ESTABLISHED" }
	return &counted{c, e.flows.Connect(flow.TCP, true, unmap(local), unmap(remote), flow.Owner{}, state)}, nil
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

type counted struct {
	stdnet.Conn
	flow *flow.Connection
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.flow.Received.Add(uint64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.flow.Sent.Add(uint64(n))
	return n, err
}

func (c *counted) Close() error {
	c.flow.Close()
	return c.Conn.Close()
}
