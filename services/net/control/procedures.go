package control

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/user"
)

// In changes what is wanted as a part of a transaction. What it refuses changes
// nothing; what it takes holds a moment after the commit.
type In struct {
	tx  *table.Tx
	err error
}

// InTx returns the procedures for a transaction. The caller must have the right to
// write the system's part "net"; if not, they all fail.
func InTx(tx *table.Tx, caller user.Caller) *In {
	return &In{tx, user.Check(tx, caller, user.Write, user.Object{Kind: user.KindSystem, Name: "net"})}
}

// Change runs f as one transaction, and returns when the network is as it says.
// Errors: user.ErrDenied, what f returns, what the network cannot do.
func (s *Service) Change(ctx context.Context, name string, f func(in *In) error) error {
	caller := user.From(ctx)
	if err := s.prepare(ctx); err != nil {
		return err
	}
	v, err := s.store.Update(ctx, caller.Op(name), func(tx *table.Tx) error {
		in := InTx(tx, caller)
		if in.err != nil {
			return in.err
		}
		return f(in)
	})
	if err != nil {
		return err
	}
	return s.wait(ctx, v)
}

// try makes a change unless it leaves a row out that was not left out before.
func (in *In) try(change func() error) error {
	if in.err != nil {
		return in.err
	}
	before, err := readPlan(in.tx)
	if err != nil {
		return err
	}
	mark := in.tx.Savepoint()
	if err := change(); err != nil {
		return err
	}
	after, err := readPlan(in.tx)
	if err != nil {
		return err
	}
	known := map[Problem]bool{}
	for _, p := range before.problems {
		known[p] = true
	}
	for _, p := range after.problems {
		if !known[p] {
			in.tx.RollbackTo(mark)
			return fmt.Errorf("%s, row %s: %s", p.Table, p.Row, p.Problem)
		}
	}
	return nil
}

// gone is nil for a row that was not there.
func gone(err error) error {
	if errors.Is(err, table.ErrNotFound) {
		return nil
	}
	return err
}

// SetInterface says how an interface is to be, or "*" all others.
func (in *In) SetInterface(row Interface) error {
	return in.try(func() error { return Interfaces.Put(in.tx, &row) })
}

// RemoveInterface removes the row: the interface is as "*" says, or uses DHCP.
func (in *In) RemoveInterface(name string) error {
	return in.try(func() error { return gone(Interfaces.Delete(in.tx, name)) })
}

// AddAddress gives an interface an address with its subnet's length, as 192.0.2.7/24.
func (in *In) AddAddress(name, address string) error {
	return in.try(func() error { return Addresses.Put(in.tx, &Address{name, canonical(address)}) })
}

// RemoveAddress takes it away. It is an error if it was not configured.
func (in *In) RemoveAddress(name, address string) error {
	return in.try(func() error { return Addresses.Delete(in.tx, name, canonical(address)) })
}

// canonical is an address as the tables have it. What does not parse is left to be
// refused.
func canonical(prefix string) string {
	if p, err := netip.ParsePrefix(prefix); err == nil {
		return p.String()
	}
	return prefix
}

// SetRoute adds a route, or changes its metric. "default" is the destination of all
// that no other route has.
func (in *In) SetRoute(row Route) error {
	row.Destination = row.destination()
	return in.try(func() error { return Routes.Put(in.tx, &row) })
}

// RemoveRoute removes a route. It is an error if it was not configured.
func (in *In) RemoveRoute(row Route) error {
	return in.try(func() error { return Routes.Delete(in.tx, row.destination(), row.Interface, row.Gateway) })
}

// destination is the route's as the table has it.
func (r *Route) destination() string {
	if r.Destination != "default" {
		if p, err := netip.ParsePrefix(r.Destination); err == nil {
			return p.Masked().String()
		}
		return r.Destination
	}
	if gw, err := netip.ParseAddr(r.Gateway); err == nil && gw.Is6() {
		return "::/0"
	}
	return "0.0.0.0/0"
}

// SetResolvers names the name servers; none: those that are learnt.
func (in *In) SetResolvers(addresses ...string) error {
	return in.try(func() error {
		if _, err := Resolvers.DeleteRange(in.tx, table.Span{}); err != nil {
			return err
		}
		for i, a := range addresses {
			if err := Resolvers.Insert(in.tx, &Resolver{uint32(i + 1), a}); err != nil {
				return err
			}
		}
		return nil
	})
}

// between is the distance of rules that are appended.
const between = 10

// SetRule puts a rule, as package firewall's Parse reads it, at a position, or with 0
// behind all others, and returns where.
func (in *In) SetRule(position uint32, text, doc string) (uint32, error) {
	r, err := firewall.Parse(text)
	if err != nil {
		return 0, err
	}
	if in.err != nil {
		return 0, in.err
	}
	if position == 0 {
		last, err := Rules.First(in.tx, table.Span{}.Reverse())
		if gone(err) != nil {
			return 0, err
		}
		position = last.Position + between
	}
	row := Rule{
		Position: position, Action: string(r.Action), Direction: string(r.Direction), Protocol: string(r.Protocol),
		Peer: firewall.PeerText(r.Peer), FirstPort: r.First, LastPort: r.Last, Program: r.Program, Doc: doc,
	}
	return position, in.try(func() error { return Rules.Put(in.tx, &row) })
}

// RemoveRule removes the rule at a position. It is an error if there is none.
func (in *In) RemoveRule(position uint32) error {
	return in.try(func() error { return Rules.Delete(in.tx, position) })
}

// Text is the rule as firewall.Parse reads it, or what is wrong with it.
func (r *Rule) Text() string {
	rule, err := r.parse()
	if err != nil {
		return err.Error()
	}
	return rule.String()
}

// SetInterface is In.SetInterface as a transaction.
func (s *Service) SetInterface(ctx context.Context, row Interface) error {
	return s.Change(ctx, "net.SetInterface", func(in *In) error { return in.SetInterface(row) })
}

// RemoveInterface is In.RemoveInterface as a transaction.
func (s *Service) RemoveInterface(ctx context.Context, name string) error {
	return s.Change(ctx, "net.RemoveInterface", func(in *In) error { return in.RemoveInterface(name) })
}

// AddAddress is In.AddAddress as a transaction.
func (s *Service) AddAddress(ctx context.Context, name, address string) error {
	return s.Change(ctx, "net.AddAddress", func(in *In) error { return in.AddAddress(name, address) })
}

// RemoveAddress is In.RemoveAddress as a transaction.
func (s *Service) RemoveAddress(ctx context.Context, name, address string) error {
	return s.Change(ctx, "net.RemoveAddress", func(in *In) error { return in.RemoveAddress(name, address) })
}

// SetRoute is In.SetRoute as a transaction.
func (s *Service) SetRoute(ctx context.Context, row Route) error {
	return s.Change(ctx, "net.SetRoute", func(in *In) error { return in.SetRoute(row) })
}

// RemoveRoute is In.RemoveRoute as a transaction.
func (s *Service) RemoveRoute(ctx context.Context, row Route) error {
	return s.Change(ctx, "net.RemoveRoute", func(in *In) error { return in.RemoveRoute(row) })
}

// SetResolvers is In.SetResolvers as a transaction.
func (s *Service) SetResolvers(ctx context.Context, addresses ...string) error {
	return s.Change(ctx, "net.SetResolvers", func(in *In) error { return in.SetResolvers(addresses...) })
}

// SetRule is In.SetRule as a transaction.
func (s *Service) SetRule(ctx context.Context, position uint32, text, doc string) (at uint32, err error) {
	err = s.Change(ctx, "net.SetRule", func(in *In) error {
		at, err = in.SetRule(position, text, doc)
		return err
	})
	return at, err
}

// RemoveRule is In.RemoveRule as a transaction.
func (s *Service) RemoveRule(ctx context.Context, position uint32) error {
	return s.Change(ctx, "net.RemoveRule", func(in *In) error { return in.RemoveRule(position) })
}

// SetHostname names the machine; "": as a lease says. It holds when the call returns,
// unless the command line names it.
func (s *Service) SetHostname(ctx context.Context, name string) error {
	return s.set(ctx, Hostname.Name(), name)
}

// SetTimeServers names the time servers; none: those of leases; "none": the clock is
// left alone. They are asked from now on.
func (s *Service) SetTimeServers(ctx context.Context, names ...string) error {
	return s.set(ctx, TimeServersSetting.Name(), strings.Join(names, " "))
}

// set changes a setting, or goes back to its default, and returns when that holds.
func (s *Service) set(ctx context.Context, name, text string) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	var value *string
	if text != "" {
		value = &text
	}
	if err := s.config.Set(ctx, name, value); err != nil {
		return err
	}
	var now engine.Version
	err := s.store.View(ctx, func(tx *table.Tx) error { now = tx.Version(); return nil })
	return errors.Join(err, s.wait(ctx, now))
}
