package pc

import (
	"time"

	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/rng"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/kernel/cmdline"
)

// How much entropy the host is asked for, and how often after the start.
const (
	entropyBytes    = 64
	entropyInterval = 10 * time.Minute
)

// startEntropy has the first entropy device add to the kernel's random numbers
// from now on, unless the command line says entropy=none.
func startEntropy(devices *metal.Inventory, line *cmdline.Line) {
	if v, _ := line.Get("entropy"); v == "none" {
		return
	}
	for _, t := range devices.Virtio {
		if t.ID() != virtio.IDEntropy {
			continue
		}
		d, err := rng.Open(t, metal.Machine{})
		if err != nil {
			say("entropy: %v", err)
			return
		}
		go addEntropy(d)
		return
	}
}

func addEntropy(d *rng.Device) {
	p := make([]byte, entropyBytes)
	for {
		n, err := d.Read(p)
		if err != nil {
			say("entropy: %v", err)
			return
		}
		kernel.AddEntropy(p[:n])
		time.Sleep(entropyInterval)
	}
}
