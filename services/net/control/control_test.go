package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/net/flow"
	"github.com/tuplix/tuplix/services/net/link"
	"github.com/tuplix/tuplix/services/net/wire"
	"github.com/tuplix/tuplix/services/user"
)

// host is a machine's network with its tables.
type host struct {
	*testing.T
	*control.Service
	store *store.Store
	net   *net.Service
}

// newHost makes one on a volume; nil devices: only lo.
func newHost(t *testing.T, fs vfs.FS, line string, dev link.Device, configure ...func(*control.Options)) *host {
	t.Helper()
	h := &host{T: t}
	c, err := net.ParseCommandLine(line)
	if err != nil {
		t.Fatal(err)
	}
	if h.store, err = store.Open(t.Context(), fs, store.Options{}, user.Tables()...); err != nil {
		t.Fatal(err)
	}
	if h.net, err = net.New(net.Options{Config: c, Memory: 256 << 20}); err != nil {
		t.Fatal(err)
	}
	if dev != nil {
		if err := h.net.Attach("eth0", dev); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.net.Start(); err != nil {
		t.Fatal(err)
	}
	o := control.Options{Network: h.net, Line: c, Log: t.Logf, Delay: time.Millisecond}
	for _, f := range configure {
		f(&o)
	}
	if h.Service, err = control.Open(t.Context(), h.store, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

// close ends it, and proves the store. It may be called twice.
func (h *host) close() {
	if h.store == nil {
		return
	}
	h.Service.Close()
	h.net.Close()
	err := h.store.Check(context.Background(), func(p engine.Problem) { h.Error(p) })
	if err := errors.Join(err, h.store.Close()); err != nil {
		h.Error(err)
	}
	h.store = nil
}

func (h *host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// rows are those of a table, after what is seen has been written.
func rows[T any](h *host, t *table.Table[T]) (list []T) {
	h.Helper()
	h.must(h.Flush(h.Context()))
	h.must(h.store.View(h.Context(), func(tx *table.Tx) error {
		list = nil
		for row, err := range t.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			list = append(list, row)
		}
		return nil
	}))
	return list
}

func (h *host) addresses() (list []string) {
	h.Helper()
	for _, a := range rows(h, control.LiveAddresses) {
		if a.Interface == "eth0" && a.Source == "configured" {
			list = append(list, a.Address)
		}
	}
	return list
}

// eventually waits until what is seen is so.
func (h *host) eventually(what string, ok func() bool) {
	h.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.Fatalf("never: %s", what)
		}
	}
}

func device() link.Device {
	a, _ := wire.Pair(wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 1}}, wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 2}})
	return a
}

// Configuration holds when its transaction has committed, and a restore undoes it.
func TestChangeAndRestore(t *testing.T) {
	h := newHost(t, vfs.NewMem(), "", device())
	h.must(h.Change(t.Context(), "test", func(in *control.In) error {
		return errors.Join(
			in.SetInterface(control.Interface{Name: "eth0", Mode: control.Static}),
			in.AddAddress("eth0", "10.0.0.1/24"),
			in.SetRoute(control.Route{Destination: "default", Interface: "eth0", Gateway: "10.0.0.254"}),
			in.SetResolvers("10.0.0.53"),
		)
	}))
	var before engine.Version
	h.must(h.store.View(t.Context(), func(tx *table.Tx) error { before = tx.Version(); return nil }))
	check := func(address, gateway, resolver, hostname string, rules int) bool {
		snap := h.net.Snapshot()
		var gateways []string
		for _, r := range snap.Routes {
			if r.Gateway.IsValid() {
				gateways = append(gateways, r.Gateway.String())
			}
		}
		var own []string
		for _, p := range snap.Interfaces[1].Static {
			own = append(own, p.String())
		}
		return slices.Equal(own, strings.Fields(address)) && slices.Equal(gateways, strings.Fields(gateway)) &&
			fmt.Sprint(snap.DNS) == "["+resolver+"]" && snap.Hostname == hostname && len(h.net.FirewallHits()) == rules
	}
	if !check("10.0.0.1/24", "10.0.0.254", "10.0.0.53", "tuplix", 0) {
		t.Fatalf("%+v", h.net.Snapshot())
	}
	h.must(h.AddAddress(t.Context(), "eth0", "10.0.7.1/16"))
	h.must(h.RemoveAddress(t.Context(), "eth0", "10.0.0.1/24"))
	h.must(h.SetResolvers(t.Context(), "10.0.0.54", "10.0.0.55"))
	h.must(h.SetHostname(t.Context(), "box"))
	if _, err := h.SetRule(t.Context(), 0, "deny in tcp port 22", "not from here"); err != nil {
		t.Fatal(err)
	}
	if !check("10.0.7.1/16", "10.0.0.254", "10.0.0.54 10.0.0.55", "box", 1) {
		t.Fatalf("changed: %+v", h.net.Snapshot())
	}
	_, err := h.store.Update(t.Context(), &engine.Op{Name: "restore"}, func(tx *table.Tx) error { return tx.RestoreAll(before) })
	h.must(err)
	h.eventually("the restore is followed", func() bool {
		return check("10.0.0.1/24", "10.0.0.254", "10.0.0.53", "tuplix", 0)
	})
	h.eventually("what is seen is written again", func() bool { return slices.Equal(h.addresses(), []string{"10.0.0.1/24"}) })
}

// A change that the network could not make is refused as a whole; rows that get there
// by another way are left out, and named until they are mended.
func TestRefused(t *testing.T) {
	h := newHost(t, vfs.NewMem(), "", device())
	ctx := t.Context()
	h.must(h.SetInterface(ctx, control.Interface{Name: "eth0", Mode: control.Static, MTU: 1400}))
	h.must(h.AddAddress(ctx, "eth0", "10.0.0.1/24"))
	for name, err := range map[string]error{
		"an address":         h.AddAddress(ctx, "eth0", "10.0.0.1"),
		"everybody's":        h.AddAddress(ctx, "*", "10.0.0.9/24"),
		"multicast":          h.AddAddress(ctx, "eth0", "224.0.0.1/24"),
		"twice":              h.AddAddress(ctx, "eth1", "10.0.0.1/24"),
		"a mode":             h.SetInterface(ctx, control.Interface{Name: "eth0", Mode: "pppoe"}),
		"an MTU":             h.SetInterface(ctx, control.Interface{Name: "eth0", Mode: control.DHCP, MTU: 500}),
		"no name":            h.SetInterface(ctx, control.Interface{Mode: control.DHCP}),
		"a far router":       h.SetRoute(ctx, control.Route{Destination: "default", Interface: "eth0", Gateway: "10.0.1.1"}),
		"another family":     h.SetRoute(ctx, control.Route{Destination: "fd00::/8", Interface: "eth0", Gateway: "10.0.0.2"}),
		"no subnet":          h.SetRoute(ctx, control.Route{Destination: "here", Interface: "eth0"}),
		"a resolver":         h.SetResolvers(ctx, "10.0.0.53", "dns"),
		"a name":             h.SetHostname(ctx, "not a name"),
		"an absent address":  h.RemoveAddress(ctx, "eth0", "10.0.0.2/24"),
		"an absent rule":     h.RemoveRule(ctx, 10),
		"removing a gateway": h.Change(ctx, "test", func(in *control.In) error { return gateway(in) }),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := h.SetRule(ctx, 0, "deny sideways", ""); err == nil {
		t.Error("a rule is taken")
	}
	if got := h.addresses(); !slices.Equal(got, []string{"10.0.0.1/24"}) {
		t.Errorf("the interface has %q", got)
	}
	_, err := h.store.Update(ctx, &engine.Op{Name: "by hand"}, func(tx *table.Tx) error {
		return errors.Join(
			control.Addresses.Put(tx, &control.Address{Interface: "eth0", Address: "nonsense"}),
			control.Addresses.Put(tx, &control.Address{Interface: "eth0", Address: "10.0.0.2/24"}),
			control.Rules.Put(tx, &control.Rule{Position: 1, Action: "deny", Direction: "in", Peer: "who"}),
			control.Rules.Put(tx, &control.Rule{Position: 2, Action: "allow", Direction: "in", Peer: "who"}),
		)
	})
	h.must(err)
	h.eventually("the good row holds", func() bool { return len(h.addresses()) == 2 })
	h.eventually("the others are named", func() bool {
		p := rows(h, control.Problems)
		return len(p) == 3 && p[0].Table == "os.addresses" && p[0].Row == "eth0 nonsense" && p[1].Table == "os.firewall" && p[2].Row == "2"
	})
	h.eventually("who cannot be told apart is not let in", func() bool {
		hits := rows(h, control.RuleHits)
		return len(hits) == 1 && hits[0].Rule == "deny in"
	})
	_, err = h.store.Update(ctx, &engine.Op{Name: "by hand"}, func(tx *table.Tx) error {
		return errors.Join(control.Addresses.Delete(tx, "eth0", "nonsense"), control.Rules.Delete(tx, uint32(1)), control.Rules.Delete(tx, uint32(2)))
	})
	h.must(err)
	h.eventually("nothing is wrong any more", func() bool { return len(rows(h, control.Problems)) == 0 })
}

// gateway takes away the address by which a router is reached.
func gateway(in *control.In) error {
	if err := in.SetRoute(control.Route{Destination: "default", Interface: "eth0", Gateway: "10.0.0.254"}); err != nil {
		return nil // the test sees that this is taken elsewhere
	}
	return in.RemoveAddress("eth0", "10.0.0.1/24")
}

// The command line goes before the tables, for what it names.
func TestCommandLine(t *testing.T) {
	fs := vfs.NewMem()
	h := newHost(t, fs, "", device())
	h.must(h.SetInterface(t.Context(), control.Interface{Name: "eth0", Mode: control.Static}))
	h.must(h.AddAddress(t.Context(), "eth0", "10.0.0.1/24"))
	h.must(h.SetHostname(t.Context(), "box"))
	h.close()
	h = newHost(t, fs, "ip=10.9.0.1/24 hostname=other", device())
	if got := h.addresses(); !slices.Equal(got, []string{"10.9.0.1/24"}) {
		t.Errorf("the interface has %q", got)
	}
	for _, i := range rows(h, control.LiveInterfaces) {
		if i.Name == "eth0" && i.Source != "command line" {
			t.Errorf("%+v", i)
		}
	}
	if n := rows(h, control.Networks); len(n) != 1 || n[0].Hostname != "other" {
		t.Errorf("%+v", n)
	}
	h.close()
	h = newHost(t, fs, "", device())
	if got := h.addresses(); !slices.Equal(got, []string{"10.0.0.1/24"}) {
		t.Errorf("at the next boot the interface has %q", got)
	}
	if name := h.net.Snapshot().Hostname; name != "box" {
		t.Errorf("the name is %q", name)
	}
}

// Who has no right changes nothing.
func TestRights(t *testing.T) {
	h := newHost(t, vfs.NewMem(), "ip=none", nil)
	ctx := user.With(t.Context(), user.Caller{User: "eve"})
	if _, err := h.SetRule(ctx, 0, "allow in", ""); !errors.Is(err, user.ErrDenied) {
		t.Errorf("a rule: %v", err)
	}
	if err := h.RemoveInterface(ctx, "eth0"); !errors.Is(err, user.ErrDenied) {
		t.Errorf("an interface: %v", err)
	}
	if err := h.SetHostname(ctx, "eve"); !errors.Is(err, user.ErrDenied) {
		t.Errorf("a name: %v", err)
	}
}

// connect enters a connection as a socket does, with some bytes.
func connect(h *host, n uint16) *flow.Connection {
	c := h.net.Flows().Connect(flow.TCP, n%2 == 0, netip.MustParseAddrPort("10.0.0.1:80"),
		netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), n), flow.Owner{Program: "web", Task: "7"}, func() string { return "ESTABLISHED" })
	c.Received.Add(uint64(n))
	c.Sent.Add(2 * uint64(n))
	return c
}

// Connections that come and go are told, with counters, also those that nobody saw
// open; and so are listeners.
func TestConnections(t *testing.T) {
	h := newHost(t, vfs.NewMem(), "ip=none", nil)
	l := h.net.Flows().Listen(flow.TCP, netip.MustParseAddrPort("[::]:80"), flow.Owner{Program: "web"})
	stays := connect(h, 1)
	var clients sync.WaitGroup
	for part := range uint16(4) {
		clients.Go(func() {
			for i := range uint16(250) {
				c := connect(h, 2+part*250+i)
				if rand.IntN(4) == 0 {
					time.Sleep(time.Millisecond)
				}
				c.Close()
			}
		})
	}
	clients.Wait()
	all := rows(h, control.Connections)
	if len(all) != 1001 {
		t.Fatalf("%d connections", len(all))
	}
	for _, c := range all {
		n := uint64(c.PeerPort)
		if c.Closed.Valid == (n == 1) || c.Received != n || c.Sent != 2*n || c.Task != "7" || c.State != "ESTABLISHED" || c.Inbound != (n%2 == 0) {
			t.Fatalf("%+v", c)
		}
	}
	if ls := rows(h, control.Listeners); len(ls) != 1 || ls[0].Port != 80 || ls[0].Program != "web" {
		t.Errorf("%+v", ls)
	}
	stays.Received.Add(1000)
	if c := rows(h, control.Connections)[0]; c.Received != 1001 || c.Closed.Valid {
		t.Errorf("%+v", c)
	}
	l.Close()
	stays.Close()
	if ls := rows(h, control.Listeners); len(ls) != 0 {
		t.Errorf("%+v", ls)
	}
	if n := rows(h, control.Networks)[0]; n.Open != 0 || n.Skipped != 0 {
		t.Errorf("%+v", n)
	}
}

// Too many connections are counted, and old ones go.
func TestManyConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 20,000 connections")
	}
	h := newHost(t, vfs.NewMem(), "ip=none", nil)
	stays := connect(h, 1)
	const batches, each = 9, control.MaxBatch + 500
	for range batches {
		for i := range each {
			connect(h, uint16(i)).Close()
		}
		h.must(h.Flush(t.Context()))
	}
	n := rows(h, control.Networks)[0]
	kept := len(rows(h, control.Connections))
	if n.Open != 1 || n.Skipped > batches*500 || kept > control.KeepClosed*5/4+1 || kept < control.KeepClosed {
		t.Errorf("%+v, %d rows", n, kept)
	}
	if c := rows(h, control.Connections)[0]; c.Closed.Valid {
		t.Errorf("the one that is open has gone: %+v", c)
	}
	stays.Close()
}

// Connections of a boot that ended without a word are lost, and new ones go on behind
// them.
func TestLost(t *testing.T) {
	fs := vfs.NewMem()
	h := newHost(t, fs, "ip=none", nil)
	connect(h, 5)
	if n := len(rows(h, control.Connections)); n != 1 {
		t.Fatalf("%d rows", n)
	}
	h.close()
	h = newHost(t, fs, "ip=none", nil)
	connect(h, 6)
	all := rows(h, control.Connections)
	if len(all) != 2 || all[0].State != "LOST" || !all[0].Closed.Valid || all[1].ID <= all[0].ID || all[1].PeerPort != 6 {
		t.Errorf("%+v", all)
	}
}

// A restore of what is seen is made good: connections, listeners and neighbours are
// again those that there are.
func TestRestoreOfSeen(t *testing.T) {
	h := newHost(t, vfs.NewMem(), "ip=10.0.0.1/24", device())
	<-h.net.Ready()
	listen := func(port uint16) *flow.Listener {
		return h.net.Flows().Listen(flow.TCP, netip.AddrPortFrom(netip.IPv6Unspecified(), port), flow.Owner{Program: "web"})
	}
	neighbor := func(n byte) tcpip.Address { return tcpip.AddrFrom4([4]byte{10, 0, 0, n}) }
	meet := func(n byte) {
		if err := h.net.Stack().AddStaticNeighbor(net.LoopbackNIC+1, header.IPv4ProtocolNumber, neighbor(n), tcpip.LinkAddress("\x02\x00\x00\x00\x00"+string(rune(n)))); err != nil {
			t.Fatal(err)
		}
	}
	seen := func() string { return fmt.Sprint(openPorts(h), listeners(h), stations(h)) }
	gone, closed := connect(h, 5), listen(80)
	meet(5)
	h.must(h.Flush(t.Context()))
	if got := seen(); got != "[5] [80] [10.0.0.5]" {
		t.Fatalf("at first %s", got)
	}
	var before engine.Version
	h.must(h.store.View(t.Context(), func(tx *table.Tx) error { before = tx.Version(); return nil }))
	gone.Close()
	closed.Close()
	if err := h.net.Stack().RemoveNeighbor(net.LoopbackNIC+1, header.IPv4ProtocolNumber, neighbor(5)); err != nil {
		t.Fatal(err)
	}
	idle, open := connect(h, 6), listen(81)
	meet(6)
	h.must(h.Flush(t.Context()))
	const is = "[6] [81] [10.0.0.6]"
	if got := seen(); got != is {
		t.Fatalf("after the changes %s", got)
	}
	_, err := h.store.Update(t.Context(), &engine.Op{Name: "restore"}, func(tx *table.Tx) error { return tx.RestoreAll(before) })
	h.must(err)
	h.eventually("the tables say what is", func() bool { return seen() == is })
	idle.Close()
	open.Close()
}

// scan reads a table as it is, without having it written first.
func scan[T any](h *host, t *table.Table[T], fn func(T)) {
	h.Helper()
	h.must(h.store.View(h.Context(), func(tx *table.Tx) error {
		for row, err := range t.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			fn(row)
		}
		return nil
	}))
}

func openPorts(h *host) (ports []uint16) {
	scan(h, control.Connections, func(c control.Connection) {
		if !c.Closed.Valid {
			ports = append(ports, c.PeerPort)
		}
	})
	return ports
}

func listeners(h *host) (ports []uint16) {
	scan(h, control.Listeners, func(l control.Listener) { ports = append(ports, l.Port) })
	return ports
}

func stations(h *host) (addresses []string) {
	scan(h, control.Neighbors, func(n control.Neighbor) { addresses = append(addresses, n.Address) })
	return addresses
}

// A rule takes effect by its row, on packets; a restore takes it back.
func TestFirewallRows(t *testing.T) {
	na, nb := wire.Pair(wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 1}}, wire.Options{MAC: [6]byte{2, 0, 0, 0, 0, 2}})
	server := newHost(t, vfs.NewMem(), "ip=10.0.0.1/24", na)
	client := newHost(t, vfs.NewMem(), "ip=10.0.0.2/24", nb)
	<-server.net.Ready()
	<-client.net.Ready()
	l, err := gonet.ListenTCP(server.net.Stack(), tcpip.FullAddress{Port: 80}, header.IPv4ProtocolNumber)
	server.must(err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	reaches := func(patience time.Duration) bool {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, err := gonet.DialContextTCP(ctx, client.net.Stack(), tcpip.FullAddress{Addr: tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), Port: 80}, header.IPv4ProtocolNumber)
		if err != nil {
			return false
		}
		_, err = io.Copy(io.Discard, c)
		return errors.Join(err, c.Close()) == nil
	}
	if !reaches(10 * time.Second) {
		t.Fatal("there is no connection at first")
	}
	at, err := server.SetRule(t.Context(), 0, "deny in tcp from 10.0.0.2 port 80", "")
	server.must(err)
	hits := rows(server, control.RuleHits)
	for len(hits) == 1 && hits[0].Hits == 0 { // a busy host may not come to ask within that time
		if reaches(200 * time.Millisecond) {
			t.Fatal("the rule does not hold")
		}
		hits = rows(server, control.RuleHits)
	}
	if len(hits) != 1 || hits[0].Position != at || hits[0].Rule != "deny in tcp from 10.0.0.2 port 80" {
		t.Errorf("%+v", hits)
	}
	if n := rows(server, control.Networks)[0]; n.Denied == 0 {
		t.Errorf("%+v", n)
	}
	server.must(server.RemoveRule(t.Context(), at))
	if !reaches(10 * time.Second) {
		t.Error("the rule holds after it was removed")
	}
	neighbors := rows(server, control.Neighbors)
	if !slices.ContainsFunc(neighbors, func(n control.Neighbor) bool { return n.Address == "10.0.0.2" && n.MAC == "02:00:00:00:00:02" }) {
		t.Errorf("%+v", neighbors)
	}
}

// What a row says and what the firewall's text says is the same.
func TestRuleText(t *testing.T) {
	h := newHost(t, vfs.NewMem(), "ip=none", nil)
	for _, text := range []string{"deny in", "allow in tcp from 10.0.0.0/8 port 80-90 program web", "deny out udp to fd00::1 port 53"} {
		if _, err := h.SetRule(t.Context(), 0, text, ""); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range rows(h, control.Rules) {
		if _, err := firewall.Parse(r.Text()); err != nil || r.Position != uint32(10*(i+1)) {
			t.Errorf("%+v: %q, %v", r, r.Text(), err)
		}
	}
}
