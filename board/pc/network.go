package pc

import (
	"fmt"

	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/drivers/virtio"
	nic "github.com/tuplix/tuplix/drivers/virtio/net"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/services/linux"
	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/link"
)

// startNetwork attaches every virtio network device as eth0, eth1 and so on,
// and has them configured as the command line says, without waiting for it.
func startNetwork(devices *metal.Inventory) (*net.Service, error) {
	config, err := net.ParseCommandLine(kernel.CommandLine())
	if err != nil {
		return nil, err
	}
	s, err := net.New(net.Options{Config: config, Memory: kernel.ReadStats().MemoryTotal, Log: say})
	if err != nil {
		return nil, err
	}
	n := 0
	for _, t := range devices.Virtio {
		if t.ID() != virtio.IDNet {
			continue
		}
		name := fmt.Sprintf("eth%d", n)
		n++
		d, err := nic.Open(t, metal.Machine{})
		if err == nil {
			err = s.Attach(name, link.Virtio(d))
		}
		if err != nil {
			say("%s: %v", name, err)
		}
	}
	return s, s.Start()
}

var _ linux.Network = nil
