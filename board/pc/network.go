package pc

import (
	"fmt"
	"net/netip"

	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/drivers/virtio"
	nic "github.com/tuplix/tuplix/drivers/virtio/net"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/services/linux"
	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/link"
)

// network is the network service, and what waits for the files.
type network struct {
	service *net.Service
	config  net.Config
	servers chan resolver // the latest name servers, until system takes them
}

type resolver struct {
	servers []netip.Addr
	search  []string
}

// startNetwork attaches every virtio network device as eth0, eth1 and so on,
// and has them configured as the command line says, without waiting for it: a
// lease comes while the files are mounted.
func startNetwork(devices *metal.Inventory) (*network, error) {
	config, err := net.ParseCommandLine(kernel.CommandLine())
	if err != nil {
		return nil, err
	}
	n := &network{config: config, servers: make(chan resolver, 1)}
	n.service, err = net.New(net.Options{
		Config:    config,
		Memory:    kernel.ReadStats().MemoryTotal,
		Resolver:  n.learn,
		Monotonic: kernel.Uptime,
		Log:       say,
	})
	if err != nil {
		return nil, err
	}
	count := 0
	for _, t := range devices.Virtio {
		if t.ID() != virtio.IDNet {
			continue
		}
		name := fmt.Sprintf("eth%d", count)
		count++
		if err := n.attach(name, t); err != nil {
			say("%s: %v", name, err)
		}
	}
	return n, n.service.Start()
}

func (n *network) attach(name string, t virtio.Transport) error {
	d, err := nic.Open(t, metal.Machine{})
	if err != nil {
		return err
	}
	return n.service.Attach(name, link.Virtio(d))
}

// learn keeps the latest name servers. It is called by one goroutine at a time.
func (n *network) learn(servers []netip.Addr, search []string) {
	select {
	case <-n.servers:
	default:
	}
	n.servers <- resolver{servers, search}
}

// configure writes into the files what the network learns, from now on.
func (n *network) configure(system *linux.System) {
	if n.config.Hostname != "" {
		system.SetHostname(n.config.Hostname)
	}
	go func() {
		for r := range n.servers {
			text := net.ResolvConf(r.servers, r.search)
			if err := system.WriteFile("/etc/resolv.conf", text, 0o644); err != nil {
				say("network: /etc/resolv.conf: %v", err)
			}
		}
	}()
}
