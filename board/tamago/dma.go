//go:build tuplix

package tamago

import (
	"fmt"
	"strconv"

	"github.com/usbarmory/tamago/dma"

	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/kernel/cmdline"
)

// Sizes of the region, in MiB.
const (
	usual = 8
	most  = 1024
)

func init() {
	if !kernel.Booted() {
		return
	}
	if err := setAside(); err != nil {
		panic(fmt.Errorf("memory for TamaGo's drivers: %w", err))
	}
}

func setAside() error {
	n, err := size()
	if err != nil {
		return err
	}
	address, err := kernel.AllocIdentity(n)
	if err != nil {
		return fmt.Errorf("%d MiB: %w", n>>20, err)
	}
	return dma.Init(uint(address), n)
}

// size returns how many bytes the command line wants.
func size() (int, error) {
	line, err := cmdline.Parse(kernel.CommandLine())
	if err != nil {
		return 0, err
	}
	text, given := line.Get("tamago.dma")
	if !given {
		return usual << 20, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("tamago.dma=%s: want a number of MiB from 1 to %d", text, most)
	}
	return n << 20, nil
}
