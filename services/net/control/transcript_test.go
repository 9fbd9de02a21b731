package control_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/internal/transcript"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/net/flow"
	"github.com/tuplix/tuplix/services/user"
)

// TestTranscripts runs the procedures on a machine with one card, and shows what is
// wanted and what is.
func TestTranscripts(t *testing.T) {
	transcript.Run(t, "testdata/*.transcript", func(t *testing.T) func(string) string {
		x := &script{host: newHost(t, vfs.NewMem(), "", device()), open: map[string]interface{ Close() }{}}
		return x.verbs().Command(t, "")
	})
}

type script struct {
	*host
	open map[string]interface{ Close() } // sockets, by name
}

func number(text string) uint32 {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0 // which the procedures refuse where there must be one
	}
	return uint32(n)
}

func card(l transcript.Line) control.Interface {
	return control.Interface{Name: l.Arg(0), Mode: control.Mode(l.Arg(1)), MTU: uint16(number(l.Options["mtu"]))}
}

func way(l transcript.Line) control.Route {
	return control.Route{Destination: l.Arg(0), Interface: l.Arg(1), Gateway: l.Options["via"], Metric: number(l.Options["metric"])}
}

func (x *script) verbs() transcript.Verbs {
	type line = transcript.Line
	return transcript.Verbs{
		"interface":   func(ctx context.Context, l line) (string, error) { return "", x.SetInterface(ctx, card(l)) },
		"uninterface": func(ctx context.Context, l line) (string, error) { return "", x.RemoveInterface(ctx, l.Arg(0)) },
		"address":     func(ctx context.Context, l line) (string, error) { return "", x.AddAddress(ctx, l.Arg(0), l.Arg(1)) },
		"unaddress":   func(ctx context.Context, l line) (string, error) { return "", x.RemoveAddress(ctx, l.Arg(0), l.Arg(1)) },
		"route":       func(ctx context.Context, l line) (string, error) { return "", x.SetRoute(ctx, way(l)) },
		"unroute":     func(ctx context.Context, l line) (string, error) { return "", x.RemoveRoute(ctx, way(l)) },
		"resolvers":   func(ctx context.Context, l line) (string, error) { return "", x.SetResolvers(ctx, l.Args...) },
		"rule": func(ctx context.Context, l line) (string, error) {
			at, err := x.SetRule(ctx, number(l.Arg(0)), strings.Join(l.Args[1:], " "), l.Options["doc"])
			if err != nil {
				return "", err
			}
			return fmt.Sprint("rule ", at), nil
		},
		"unrule":   func(ctx context.Context, l line) (string, error) { return "", x.RemoveRule(ctx, number(l.Arg(0))) },
		"hostname": func(ctx context.Context, l line) (string, error) { return "", x.SetHostname(ctx, l.Arg(0)) },
		"times":    func(ctx context.Context, l line) (string, error) { return "", x.SetTimeServers(ctx, l.Args...) },
		"together": x.together,
		"instead":  x.instead,
		"listen": func(_ context.Context, l line) (string, error) {
			at, err := netip.ParseAddrPort(l.Arg(1))
			x.open[l.Arg(0)] = x.net.Flows().Listen(flow.TCP, at, flow.Owner{Program: "web"})
			return "", err
		},
		"connect": func(_ context.Context, l line) (string, error) {
			here, err1 := netip.ParseAddrPort(l.Arg(1))
			there, err2 := netip.ParseAddrPort(l.Arg(2))
			c := x.net.Flows().Connect(flow.TCP, true, here, there, flow.Owner{Program: "web", Task: "7"}, func() string { return "ESTABLISHED" })
			c.Received.Add(uint64(number(l.Options["in"])))
			c.Sent.Add(uint64(number(l.Options["out"])))
			x.open[l.Arg(0)] = c
			return "", errors.Join(err1, err2)
		},
		"close":  func(_ context.Context, l line) (string, error) { x.open[l.Arg(0)].Close(); return "", nil },
		"wanted": func(context.Context, line) (string, error) { return x.wanted(), nil },
		"is":     func(context.Context, line) (string, error) { return x.is(), nil },
		"seen":   func(context.Context, line) (string, error) { return x.seen(), nil },
	}
}

// together makes an interface, its address and its route one transaction; "fail" has
// it fail in the end.
func (x *script) together(ctx context.Context, l transcript.Line) (string, error) {
	return "", x.Change(ctx, "test", func(in *control.In) error {
		err := errors.Join(
			in.SetInterface(control.Interface{Name: "eth0", Mode: control.Static}),
			in.AddAddress("eth0", l.Arg(0)),
			in.SetRoute(control.Route{Destination: "default", Interface: "eth0", Gateway: l.Arg(1)}),
		)
		if l.Arg(2) == "fail" {
			err = errors.Join(err, errors.New("the transaction was told to fail"))
		}
		return err
	})
}

// instead removes an interface, its address, its route and a rule, and names a resolver
// and another rule, in a transaction of the caller's own; "fail" has it fail in the end.
func (x *script) instead(ctx context.Context, l transcript.Line) (string, error) {
	_, err := x.store.Update(ctx, nil, func(tx *table.Tx) error {
		in := control.InTx(tx, user.From(ctx))
		_, err := in.SetRule(0, "allow in tcp port 80", "")
		err = errors.Join(
			err,
			in.RemoveRule(10),
			in.RemoveRoute(control.Route{Destination: "default", Interface: "eth0", Gateway: l.Arg(1)}),
			in.RemoveAddress("eth0", l.Arg(0)),
			in.RemoveInterface("eth0"),
			in.SetResolvers("10.0.0.55"),
		)
		if l.Arg(2) == "fail" {
			err = errors.Join(err, errors.New("the transaction was told to fail"))
		}
		return err
	})
	return "", err
}

// wanted shows the tables that people write.
func (x *script) wanted() string {
	var b strings.Builder
	for _, r := range rows(x.host, control.Interfaces) {
		fmt.Fprintln(&b, "interface", r.Name, r.Mode, r.MTU)
	}
	for _, r := range rows(x.host, control.Addresses) {
		fmt.Fprintln(&b, "address", r.Interface, r.Address)
	}
	for _, r := range rows(x.host, control.Routes) {
		fmt.Fprintln(&b, "route", r.Destination, r.Interface, r.Gateway, r.Metric)
	}
	for _, r := range rows(x.host, control.Resolvers) {
		fmt.Fprintln(&b, "resolver", r.Position, r.Address)
	}
	for _, r := range rows(x.host, control.Rules) {
		fmt.Fprintln(&b, "rule", r.Position, r.Text(), r.Doc)
	}
	return b.String()
}

// is shows the network itself, without what interfaces learn by themselves.
func (x *script) is() string {
	var b strings.Builder
	s := x.net.Snapshot()
	for _, i := range s.Interfaces {
		if i.Name == "eth0" {
			fmt.Fprintln(&b, "eth0", i.MTU, i.Static)
		}
	}
	for _, r := range s.Routes {
		if r.Gateway.IsValid() {
			fmt.Fprintln(&b, "route", r.Destination, "via", r.Gateway)
		}
	}
	fmt.Fprintln(&b, "name", s.Hostname, "servers", s.DNS)
	fmt.Fprintln(&b, "rules", len(x.net.FirewallHits()))
	return b.String()
}

// seen shows tables that the service writes.
func (x *script) seen() string {
	var b strings.Builder
	for _, r := range rows(x.host, control.Listeners) {
		fmt.Fprintln(&b, "listener", r.Protocol, r.Address, r.Port, r.Program)
	}
	all := rows(x.host, control.Connections)
	slices.SortFunc(all, func(a, b control.Connection) int { return int(a.PeerPort) - int(b.PeerPort) })
	for _, r := range all {
		closed := "open"
		if r.Closed.Valid {
			closed = "closed"
		}
		fmt.Fprintln(&b, "connection", r.Protocol, r.Peer, r.PeerPort, "task", r.Task, closed, "in", r.Received, "out", r.Sent)
	}
	return b.String()
}
