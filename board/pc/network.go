package pc

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/drivers/virtio"
	nic "github.com/tuplix/tuplix/drivers/virtio/net"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/kernel/cmdline"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/linux"
	"github.com/tuplix/tuplix/services/metric/figure"
	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/net/link"
)

// network is the network service, and what waits for the files.
type network struct {
	service  *net.Service
	line     net.Config        // what the command line says
	early    early             // what the volume knows
	settings map[string]string // of those of the network, what the command line says
	servers  chan resolver     // the latest name servers, until system takes them
	names    chan string       // the latest name of the machine, the same
}

type resolver struct {
	servers []netip.Addr
	search  []string
}

// startNetwork attaches every virtio network device as eth0, eth1 and so on, and has
// them configured as the command line says, without waiting for it: a lease comes
// while the files are mounted, and is not asked for where the tables said so when they
// were read last. Nothing that is new comes in before they have been read (follow).
func startNetwork(devices *metal.Inventory, options *cmdline.Line, e early) (*network, error) {
	line, err := net.ParseCommandLine(kernel.CommandLine())
	if err != nil {
		return nil, err
	}
	settings := config.Overrides(options, control.Settings()...)
	if name, ok := settings[control.Hostname.Name()]; ok && line.Hostname == "" {
		if err := net.CheckHostname(name); err != nil {
			return nil, err
		}
		line.Hostname = name
	}
	var cards []virtio.Transport
	var names []string
	for _, t := range devices.Virtio {
		if t.ID() == virtio.IDNet {
			names = append(names, fmt.Sprintf("eth%d", len(cards)))
			cards = append(cards, t)
		}
	}
	n := &network{line: line, early: e, settings: settings, servers: make(chan resolver, 1), names: make(chan string, 1)}
	n.service, err = net.New(net.Options{
		Config:    e.modes().Config(line, names),
		Memory:    kernel.ReadStats().MemoryTotal,
		Resolver:  func(servers []netip.Addr, search []string) { keepLatest(n.servers, resolver{servers, search}) },
		Hostname:  func(name string) { keepLatest(n.names, name) },
		Monotonic: kernel.Uptime,
		Log:       say,
	})
	if err != nil {
		return nil, err
	}
	for i, t := range cards {
		if err := n.attach(names[i], t); err != nil {
			say("%s: %v", names[i], err)
		}
	}
	n.service.SetFirewall([]firewall.Rule{{Action: firewall.Deny, Direction: firewall.In}})
	figure.Provide(n.service.Figures)
	return n, n.service.Start()
}

// follow has the network be as the store's tables say, from now on, and packets wait for
// what the store owes. If the tables cannot be read, the command line alone counts, and
// nothing new comes in: nobody knows what the firewall's rules are.
func (n *network) follow(s *store.Store) {
	n.service.SetStore(s)
	tables, err := control.Open(context.Background(), s, control.Options{
		Network: n.service, Line: n.line, Override: n.settings, Shift: kernel.ShiftWallClock, Early: n.early.keep, Log: say,
	})
	if err != nil {
		say("network: its tables: %v: nothing new is let in", err)
		if err := n.service.Apply(n.line); err != nil {
			say("%v", err)
		}
		return
	}
	control.Provide(tables)
}

// drain lets go out what was sent before the end of the program, all of which is durable
// by then.
func (n *network) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	n.service.Drain(ctx)
}

// drainPatience is long beside what frames take that wait for nothing any more.
const drainPatience = time.Second

func (n *network) attach(name string, t virtio.Transport) error {
	d, err := nic.Open(t, metal.Machine{})
	if err != nil {
		return err
	}
	figure.Provide(cardFigures(name, d))
	return n.service.Attach(name, link.Virtio(d))
}

// keepLatest puts v into a channel of capacity 1 in place of what is there. It is
// called by one goroutine at a time.
func keepLatest[T any](c chan T, v T) {
	select {
	case <-c:
	default:
	}
	c <- v
}

// configure writes into the files what the network learns, and names the machine,
// from now on.
func (n *network) configure(system *linux.System) {
	own := system.Hostname()
	select {
	case name := <-n.names: // known before the program begins
		system.SetHostname(cmp.Or(name, own))
	default:
	}
	go func() {
		for {
			select {
			case r := <-n.servers:
				text := net.ResolvConf(r.servers, r.search)
				if err := system.WriteFile("/etc/resolv.conf", text, 0o644); err != nil {
					say("network: /etc/resolv.conf: %v", err)
				}
			case name := <-n.names:
				system.SetHostname(cmp.Or(name, own))
			}
		}
	}()
}
