package control

import (
	"net"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/dbms/table"
	stack "github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/flow"
)

// state is the rows of all tables of what is seen but connections.
type state struct {
	network    Network
	interfaces []LiveInterface
	addresses  []LiveAddress
	routes     []LiveRoute
	resolvers  []LiveResolver
	leases     []Lease
	neighbors  []Neighbor
	listeners  []Listener
	hits       []Hits
	clock      []Clock
	servers    []TimeServer
}

// read makes the rows of what the network shows.
func (r *recorder) read() *state {
	snap := r.s.o.Network.Snapshot()
	st := &state{network: Network{Name: "machine", Hostname: snap.Hostname, Search: strings.Join(snap.Search, " "), Denied: snap.Denied}}
	for i := range snap.Interfaces {
		r.readInterface(st, &snap.Interfaces[i])
	}
	for i, x := range snap.Routes {
		st.routes = append(st.routes, LiveRoute{uint32(i + 1), x.Destination.String(), text(x.Gateway), x.Device})
	}
	for i, a := range snap.DNS {
		st.resolvers = append(st.resolvers, LiveResolver{uint32(i + 1), a.String()})
	}
	for _, l := range r.s.o.Network.Flows().Listeners() {
		st.listeners = append(st.listeners, listenerRow(l))
	}
	st.hits = r.readHits()
	r.readClock(st, &snap)
	return st
}

func (r *recorder) readInterface(st *state, i *stack.InterfaceState) {
	row := LiveInterface{
		Name: i.Name, Index: uint32(i.Index), MTU: uint32(i.MTU), Up: i.Up, Mode: modeName(i.Mode), State: i.State,
		Source:    r.s.source(i.Name),
		RxPackets: i.Counters.RxPackets, RxBytes: i.Counters.RxBytes,
		TxPackets: i.Counters.TxPackets, TxBytes: i.Counters.TxBytes, TxDropped: i.Counters.TxDropped,
	}
	if i.Loopback {
		row.Mode, row.Source = Static, fromDefault
	} else {
		row.MAC = net.HardwareAddr(i.MAC[:]).String()
	}
	if i.Err != nil {
		row.Problem = i.Err.Error()
	}
	st.interfaces = append(st.interfaces, row)
	for _, a := range i.Addresses {
		source := "automatic"
		switch {
		case slices.Contains(i.Static, a) || i.Loopback:
			source = "configured"
		case i.DHCP != nil && i.DHCP.Address == a:
			source = "dhcp"
		}
		st.addresses = append(st.addresses, LiveAddress{i.Name, a.String(), source})
	}
	for _, n := range i.Neighbors {
		st.neighbors = append(st.neighbors, Neighbor{i.Name, n.Address.String(), n.MAC, n.State})
	}
	if i.DHCP != nil {
		st.leases = append(st.leases, leaseRow(i.Name, i.DHCP))
	}
}

func modeName(m stack.Mode) Mode {
	return [...]Mode{stack.DHCP: DHCP, stack.Static: Static, stack.None: None, stack.Later: None}[m]
}

func leaseRow(name string, l *stack.LeaseState) Lease {
	return Lease{
		Interface: name, Address: l.Address.String(), Server: text(l.Server),
		Routers: texts(l.Routers), Resolvers: texts(l.DNS), TimeServers: texts(l.NTP),
		Domain: l.Domain, Hostname: l.Hostname,
		Obtained: stamp(l.Obtained), Renew: stamp(l.Renew), Rebind: stamp(l.Rebind), Expire: stamp(l.Expire),
	}
}

func listenerRow(l *flow.Listener) Listener {
	return Listener{
		ID: l.ID, Protocol: l.Protocol, Address: l.Local.Addr().String(), Port: l.Local.Port(),
		Program: l.Owner.Program, Task: l.Owner.Task, Opened: stamp(l.Opened),
	}
}

func (r *recorder) readHits() []Hits {
	positions, hits := r.s.ruleTexts(), r.s.o.Network.FirewallHits()
	if len(positions) != len(hits) {
		return nil // the rules are being changed, and another batch follows
	}
	rows := make([]Hits, len(hits))
	for i, n := range hits {
		rows[i] = Hits{positions[i].position, positions[i].text, n}
	}
	return rows
}

// write makes the tables say so, and returns how many rows differed.
func (st *state) write(tx *table.Tx) (changes int, err error) {
	for _, f := range []func() (int, error){
		func() (int, error) {
			return replace(tx, LiveInterfaces, st.interfaces, func(x *LiveInterface) string { return x.Name }, oneKey)
		},
		func() (int, error) {
			return replace(tx, LiveAddresses, st.addresses, func(x *LiveAddress) [2]string { return [2]string{x.Interface, x.Address} }, twoKeys)
		},
		func() (int, error) {
			return replace(tx, LiveRoutes, st.routes, func(x *LiveRoute) uint32 { return x.Position }, oneKey)
		},
		func() (int, error) {
			return replace(tx, LiveResolvers, st.resolvers, func(x *LiveResolver) uint32 { return x.Position }, oneKey)
		},
		func() (int, error) {
			return replace(tx, Leases, st.leases, func(x *Lease) string { return x.Interface }, oneKey)
		},
		func() (int, error) {
			return replace(tx, Neighbors, st.neighbors, func(x *Neighbor) [2]string { return [2]string{x.Interface, x.Address} }, twoKeys)
		},
		func() (int, error) {
			return replace(tx, Listeners, st.listeners, func(x *Listener) uint64 { return x.ID }, oneKey)
		},
		func() (int, error) {
			return replace(tx, Clocks, st.clock, func(x *Clock) string { return x.Name }, oneKey)
		},
		func() (int, error) {
			return replace(tx, TimeServers, st.servers, func(x *TimeServer) string { return x.Name }, oneKey)
		},
		func() (int, error) {
			return replace(tx, RuleHits, st.hits, func(x *Hits) uint32 { return x.Position }, oneKey)
		},
	} {
		n, err := f()
		changes += n
		if err != nil {
			return changes, err
		}
	}
	return changes, nil
}
