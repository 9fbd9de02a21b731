package virtio_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/pci"
	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/internal/model"
)

func function(t testing.TB, c pci.Config, m pci.Mapper) *pci.Function {
	t.Helper()
	list := pci.Scan(c, m, 0)
	if len(list) != 1 {
		t.Fatalf("%d functions", len(list))
	}
	return list[0]
}

func TestPCI(t *testing.T) {
	for _, vectors := range []int{1, 3, 4} {
		d := echo(vectors)
		transport, err := virtio.NewPCI(function(t, d.Card(), d.Machine))
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, d, transport, 2)
		if d.Accepted() != ring {
			t.Errorf("features %#x", d.Accepted())
		}
	}
}

func TestPCIType(t *testing.T) {
	for id, want := range map[uint32]uint32{0x1042: 2, 0x1001: 7, 0x1000: 7, 0x1040: 0, 0x1080: 0, 0xfff: 0} {
		c := echo(1).Card()
		binary.LittleEndian.PutUint32(c.Space[0:], id<<16|virtio.VendorPCI)
		c.Space[0x2e] = 7
		if got := virtio.PCIDevice(function(t, c, nil)); got != want {
			t.Errorf("device %#x is of type %d, want %d", id, got, want)
		}
	}
}

func TestPCIRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *model.Card)
		want   string
	}{
		"no capabilities": {func(c *model.Card) { c.Space[0x34] = 0 }, "no modern"},
		"no MSI-X":        {func(c *model.Card) { c.Space[0x69] = 0 }, "MSI-X"},
		"loop":            {func(c *model.Card) { c.Space[0x7d] = 0x40 }, "broken"},
		"short common":    {func(c *model.Card) { c.Space[0x4c] = 55 }, "55 bytes"},
		"outside":         {func(c *model.Card) { c.Space[0x4a] = 1 }, "not within"},
		"no such BAR":     {func(c *model.Card) { c.Space[0x44] = 3 }, "BAR 3"},
		"BAR 200":         {func(c *model.Card) { c.Space[0x44] = 200 }, "BAR 200"},
		"unaligned":       {func(c *model.Card) { c.Space[0x48] = 2 }, "at 0x2"},
		"unassigned":      {func(c *model.Card) { clear(c.Space[0x10:0x14]) }, "firmware assigned no address"},
	} {
		d := echo(1)
		card := d.Card()
		c.change(card)
		if _, err := virtio.NewPCI(function(t, card, d.Machine)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDoorbellOutside(t *testing.T) {
	d := echo(3)
	card := d.Card()
	card.Space[0x64+2] = 1 // multiplier
	transport, err := virtio.NewPCI(function(t, card, d.Machine))
	if err != nil {
		t.Fatal(err)
	}
	dev, err := virtio.Open(transport, d.Machine, virtio.Options{Type: virtio.IDBlock, Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := virtio.NewQueue[int](dev, 1, virtio.QueueConfig{Size: 8}); err == nil || !strings.Contains(err.Error(), "doorbell") {
		t.Error(err)
	}
}

// anything maps to registers that hold the same byte everywhere.
type anything struct{ fill byte }

func (a anything) MapDevice(_ uint64, n int) (mmio.Registers, error) { return constant{a.fill, n}, nil }

type constant struct {
	fill byte
	n    int
}

func (c constant) Len() int            { return c.n }
func (c constant) Read8(int) uint8     { return c.fill }
func (c constant) Read16(int) uint16   { return uint16(c.fill) * 0x101 }
func (c constant) Read32(int) uint32   { return uint32(c.fill) * 0x1010101 }
func (c constant) Write8(int, uint8)   {}
func (c constant) Write16(int, uint16) {}
func (c constant) Write32(int, uint32) {}

// FuzzPCI puts any bytes behind the header of a virtio device.
func FuzzPCI(f *testing.F) {
	card := echo(1).Card()
	f.Add(card.Space[4:], byte(0xff))
	f.Add(card.Space[4:], byte(0))
	f.Fuzz(func(t *testing.T, b []byte, fill byte) {
		d := echo(1)
		card := d.Card()
		copy(card.Space[4:], b)
		fn := function(t, card, anything{fill})
		transport, err := virtio.NewPCI(fn)
		if err != nil {
			return
		}
		transport.Features()
		transport.Generation()
		for i := range 3 {
			if transport.QueueMax(i) > 0 {
				transport.EnableQueue(i, virtio.QueueAddress{Size: 8}, 0)
			}
		}
		if c := transport.Config(); c.Len() > 4 {
			c.Read32(0)
		}
	})
}
