package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/dbms/store"
	stack "github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/net/flow"
	"github.com/tuplix/tuplix/services/net/wire"
	"github.com/tuplix/tuplix/services/user"
)

const (
	requestsFor   = time.Second // of one turn
	serverAddress = "10.0.0.1"
	stackMemory   = 256 << 20
)

// networkContests are what it costs packets that the network is written down.
func networkContests() []contest {
	const nothing = "nothing written down"
	return []contest{
		{spec{"requests on a connection that stays", "1/s", higher, 0.95}, nothing, wired{keep: true, tables: true}.rate, wired{keep: true}.rate, false},
		{spec{"requests on connections of their own", "1/s", higher, record}, nothing, wired{tables: true}.rate, wired{}.rate, false},
	}
}

// wired is two hosts on a cable, of which one asks the other for pages.
type wired struct {
	keep   bool // one connection for all requests
	tables bool // the server writes down what it sees
}

// rate is how many requests are answered in a second.
func (w wired) rate(ctx context.Context) (rate float64, err error) {
	a, b := wire.Pair(wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 1}}, wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 2}})
	server, err := station("ip="+serverAddress+"/24", a)
	if err != nil {
		return 0, err
	}
	defer server.Close()
	client, err := station("ip=10.0.0.2/24", b)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	listen, err := gonet.ListenTCP(server.Stack(), tcpip.FullAddress{Port: 80}, header.IPv4ProtocolNumber)
	if err != nil {
		return 0, err
	}
	var listener net.Listener = listen
	if w.tables {
		end, err := writeDown(ctx, server)
		if err != nil {
			return 0, errors.Join(err, listen.Close())
		}
		defer func() { err = errors.Join(err, end()) }()
		listener = entered{listen, server.Flows()}
	}
	pages := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello") // who has gone is not told
	})}
	served := make(chan error, 1)
	go func() { served <- pages.Serve(listener) }()
	rate, err = w.ask(ctx, client)
	err = errors.Join(err, pages.Close())
	if s := <-served; !errors.Is(s, http.ErrServerClosed) {
		err = errors.Join(err, s)
	}
	return rate, err
}

func (w wired) ask(ctx context.Context, from *stack.Service) (rate float64, err error) {
	to := tcpip.FullAddress{Addr: tcpip.AddrFrom4(netip.MustParseAddr(serverAddress).As4()), Port: 80}
	c := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: !w.keep,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return gonet.DialContextTCP(ctx, from.Stack(), to, header.IPv4ProtocolNumber)
		},
	}}
	defer c.CloseIdleConnections()
	begun, n := time.Now(), 0
	for time.Since(begun) < requestsFor && ctx.Err() == nil {
		r, err := c.Get("http://server/")
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(begun).Seconds(), ctx.Err()
}

// station is a network stack with a static address at one end of a cable.
func station(line string, end *wire.NIC) (*stack.Service, error) {
	c, err := stack.ParseCommandLine(line)
	if err != nil {
		return nil, err
	}
	s, err := stack.New(stack.Options{Config: c, Memory: stackMemory})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.Attach("eth0", end), s.Start()); err != nil {
		s.Close()
		return nil, err
	}
	<-s.Ready()
	return s, nil
}

// writeDown has what a host sees written to the tables of a store in memory, until end.
func writeDown(ctx context.Context, s *stack.Service) (end func() error, err error) {
	line, err := stack.ParseCommandLine("ip=" + serverAddress + "/24")
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, vfs.NewMem(), store.Options{}, user.Tables()...)
	if err != nil {
		return nil, err
	}
	c, err := control.Open(ctx, st, control.Options{Network: s, Line: line, Quiet: time.Nanosecond})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return func() error {
		c.Close()
		return st.Close()
	}, nil
}

// entered enters connections in the registry and counts their bytes, as sockets do.
type entered struct {
	net.Listener
	flows *flow.Registry
}

func (e entered) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	state := func() string { return "ESTABLISHED" }
	return &counted{c, e.flows.Connect(flow.TCP, true, addressOf(c.LocalAddr()), addressOf(c.RemoteAddr()), flow.Owner{}, state)}, nil
}

func addressOf(a net.Addr) netip.AddrPort {
	p := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

type counted struct {
	net.Conn
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
