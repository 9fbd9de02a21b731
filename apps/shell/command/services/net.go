package services

import (
	"context"
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/system"
)

func network(open Open) *command.Command {
	return command.Group("net", "the network: how it is, and how it is to be",
		netInterfaces(open), netConnections(open), netListeners(open), netProblems(open),
		netMode(open), netAddress(open), netRoute(open), netDNS(open))
}

// seen is listed, after what is seen has been written.
func seen[T any](open Open, name, summary string, t *table.Table[T], columns []string, row func(*T) []any) *command.Command {
	return open.verb(name, "[--json]", summary, func(c *command.Call) (job, error) {
		o := c.Options()
		json := o.Flag("json", jsonHelp)
		_, err := o.Parse(0, 0)
		return func(ctx context.Context, s *system.System) error {
			if err := s.Net.Flush(ctx); err != nil {
				return err
			}
			list := c.List(*json, columns...)
			err := listTable(ctx, s, t, table.Span{}, func(r T) error { return list.Row(row(&r)...) })
			return errors.Join(err, list.End())
		}, err
	})
}

func netInterfaces(open Open) *command.Command {
	return seen(open, "list", "list the interfaces", control.LiveInterfaces,
		[]string{"interface", "up", "mode", "source", "state", "mtu", "received", "sent", "problem"},
		func(i *control.LiveInterface) []any {
			return []any{i.Name, i.Up, string(i.Mode), i.Source, i.State, i.MTU, i.RxBytes, i.TxBytes, i.Problem}
		})
}

func netConnections(open Open) *command.Command {
	return seen(open, "connections", "list connections, those that were closed lately, too", control.Connections,
		[]string{"id", "protocol", "begun", "address", "port", "peer", "peer_port", "state", "program", "task", "received", "sent", "closed"},
		func(x *control.Connection) []any {
			begun := "out"
			if x.Inbound {
				begun = "in"
			}
			var closed any
			if x.Closed.Valid {
				closed = x.Closed.V
			}
			return []any{x.ID, x.Protocol, begun, x.Address, x.Port, x.Peer, x.PeerPort, x.State, x.Program, x.Task, x.Received, x.Sent, closed}
		})
}

func netListeners(open Open) *command.Command {
	return seen(open, "listeners", "list who listens", control.Listeners, []string{"protocol", "address", "port", "program", "task", "since"},
		func(l *control.Listener) []any {
			return []any{l.Protocol, l.Address, l.Port, l.Program, l.Task, l.Opened}
		})
}

func netProblems(open Open) *command.Command {
	return seen(open, "problems", "list what is configured and cannot be done", control.Problems, []string{"table", "row", "problem"},
		func(p *control.Problem) []any { return []any{p.Table, p.Row, p.Problem} })
}

func netMode(open Open) *command.Command {
	return open.verb("mode", "[--mtu n] interface dhcp|static|none|default", "say how an interface gets its address; \"*\": those of which nothing is said",
		func(c *command.Call) (job, error) {
			o := c.Options()
			mtu := o.Int("mtu", "N", 0, 0, "the largest packet in bytes; 0: what the device can")
			args, err := o.Parse(2, 2)
			if err == nil && *mtu > 0xffff {
				err = command.Usagef("--mtu: a packet has at most 65535 bytes")
			}
			return func(ctx context.Context, s *system.System) error {
				if args[1] == "default" {
					return s.Net.RemoveInterface(ctx, args[0])
				}
				return s.Net.SetInterface(ctx, control.Interface{Name: args[0], Mode: control.Mode(args[1]), MTU: uint16(*mtu)})
			}, err
		})
}

// addOrRemove reads the first of a verb's arguments.
func addOrRemove(word string) (add bool, err error) {
	switch word {
	case "add":
		return true, nil
	case "remove":
		return false, nil
	}
	return false, command.Usagef("%q is neither add nor remove", word)
}

func netAddress(open Open) *command.Command {
	return open.verb("address", "add|remove interface address/bits", "give an interface an address, or take it away", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(3, 3)
		add := false
		if err == nil {
			add, err = addOrRemove(args[0])
		}
		return func(ctx context.Context, s *system.System) error {
			if add {
				return s.Net.AddAddress(ctx, args[1], args[2])
			}
			return absent(s.Net.RemoveAddress(ctx, args[1], args[2]), "address", control.Addresses.Name())
		}, err
	})
}

// absent says in words that something was not configured.
func absent(err error, what, name string) error {
	if errors.Is(err, table.ErrNotFound) {
		return fmt.Errorf("there is no such %s; rows %s shows all", what, name)
	}
	return err
}

func netRoute(open Open) *command.Command {
	return open.verb("route", "[-m metric] add|remove default|subnet/bits interface [router]", "add or remove a way to a subnet", func(c *command.Call) (job, error) {
		o := c.Options()
		metric := o.Int("m,metric", "N", 0, 0, "of two ways to a subnet the one with the lesser is taken")
		args, err := o.Parse(3, 4)
		add := false
		if err == nil {
			add, err = addOrRemove(args[0])
		}
		return func(ctx context.Context, s *system.System) error {
			r := control.Route{Destination: args[1], Interface: args[2], Metric: uint32(*metric)}
			if len(args) == 4 {
				r.Gateway = args[3]
			}
			if add {
				return s.Net.SetRoute(ctx, r)
			}
			return absent(s.Net.RemoveRoute(ctx, r), "route", control.Routes.Name())
		}, err
	})
}

func netDNS(open Open) *command.Command {
	return open.verb("dns", "[address...]", "name the name servers; none: those that are learnt", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(0, -1)
		return func(ctx context.Context, s *system.System) error { return s.Net.SetResolvers(ctx, args...) }, err
	})
}
