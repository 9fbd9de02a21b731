package virtio_test

import (
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/internal/model"
)

const ring = virtio.FeatureVersion1 | virtio.FeatureIndirect | virtio.FeatureEventIndex

// echo is a device that copies what it reads to where it may write.
func echo(vectors int) *model.Device {
	return &model.Device{
		Machine: &model.Machine{},
		Type:    virtio.IDBlock,
		Offered: ring,
		Vector:  vectors,
		Max:     16,
		Space:   make([]byte, 16),
		Handle: func(_ int, c *model.Chain) (int, bool) {
			return c.Write(0, c.Read()), false
		},
	}
}

// exchange sends messages through a queue from several goroutines, and checks
// the echoes.
func exchange(t *testing.T, d *model.Device, transport virtio.Transport, queues int) *virtio.Device {
	t.Helper()
	dev, err := virtio.Open(transport, d.Machine, virtio.Options{Type: virtio.IDBlock, Queues: queues})
	if err != nil {
		t.Fatal(err)
	}
	var list []*virtio.Queue[chan int]
	for i := range queues {
		q, err := virtio.NewQueue[chan int](dev, i, virtio.QueueConfig{Size: 16, Indirect: 4})
		if err != nil {
			t.Fatal(err)
		}
		dev.OnFail(func(err error) { q.Drain(err) })
		list = append(list, q)
	}
	dev.Start()
	var wg sync.WaitGroup
	for i, q := range list {
		go q.Serve(func(done chan int, n int) { done <- n }, nil)
		for range 4 {
			wg.Go(func() { echoes(t, d.Machine, q, i) })
		}
	}
	wg.Wait()
	return dev
}

func echoes(t *testing.T, m virtio.Memory, q *virtio.Queue[chan int], seed int) {
	c := virtio.NewChain(m, 0)
	done := make(chan int, 1)
	for i := range 200 {
		out, in := []byte{byte(seed), byte(i), 3}, make([]byte, 3)
		c.Reset()
		c.Out(out)
		c.In(in)
		if err := q.Submit(c, done); err != nil {
			t.Error(err)
			return
		}
		q.Kick()
		if n := <-done; n != 3 || string(in) != string(out) {
			t.Errorf("echo of %v is %v, %d bytes", out, in, n)
			return
		}
	}
}

func TestVectors(t *testing.T) {
	for _, vectors := range []int{1, 2, 3, 8} {
		d := echo(vectors)
		dev := exchange(t, d, d, 2)
		dev.Fail(errors.New("enough"))
	}
}

func TestMMIO(t *testing.T) {
	d := echo(1)
	transport, err := virtio.NewMMIO(d.MMIO(5, 2), virtio.Line{GSI: 5})
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, d, transport, 2)
	if d.Accepted() != ring {
		t.Errorf("features %#x", d.Accepted())
	}
}

func TestMMIORefused(t *testing.T) {
	d := echo(1)
	if _, err := virtio.NewMMIO(d.MMIO(5, 1), virtio.Line{}); err == nil || !strings.Contains(err.Error(), "force-legacy=false") {
		t.Errorf("legacy device: %v", err)
	}
	if _, err := virtio.NewMMIO(d.MMIO(5, 3), virtio.Line{}); err == nil {
		t.Error("version 3 accepted")
	}
	d.Type = 0
	if _, err := virtio.NewMMIO(d.MMIO(5, 2), virtio.Line{}); !errors.Is(err, virtio.ErrNoDevice) {
		t.Errorf("empty slot: %v", err)
	}
	small, _ := mmio.Window(d.MMIO(5, 2), 0, 0x80)
	if _, err := virtio.NewMMIO(small, virtio.Line{}); err == nil {
		t.Error("small slot accepted")
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(d *model.Device)
		want   string
	}{
		"legacy":          {func(d *model.Device) { d.Offered = 0 }, "legacy"},
		"type":            {func(d *model.Device) { d.Type = virtio.IDNet }, "this driver"},
		"features":        {func(d *model.Device) { d.Refuse = true }, "refuses"},
		"access platform": {func(d *model.Device) { d.Refuse = true; d.Offered |= virtio.FeatureAccessPlatform }, "IOMMU"},
	} {
		d := echo(2)
		c.change(d)
		_, err := virtio.Open(d, d.Machine, virtio.Options{Type: virtio.IDBlock, Queues: 1})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if d.Status()&128 == 0 {
			t.Errorf("%s: device is not marked failed", name)
		}
	}
	d := echo(2)
	d.Offered |= virtio.FeatureAccessPlatform
	if _, err := virtio.Open(d, d.Machine, virtio.Options{Type: virtio.IDBlock, Queues: 1}); err != nil || d.Accepted() != ring {
		t.Errorf("device that does not insist on ACCESS_PLATFORM: %v, accepted %#x", err, d.Accepted())
	}
}

// stubborn does not reset.
type stubborn struct{ virtio.Transport }

func (stubborn) Status() uint8 { return 1 }

func TestNoReset(t *testing.T) {
	d := echo(1)
	_, err := virtio.Open(stubborn{d}, d.Machine, virtio.Options{Type: virtio.IDBlock, Queues: 1})
	if err == nil || !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	d := echo(2)
	dev, err := virtio.Open(d, d.Machine, virtio.Options{Type: virtio.IDBlock, Queues: 1})
	if err != nil {
		t.Fatal(err)
	}
	rounds := 0
	err = dev.Config(16, func(r mmio.Registers) {
		if rounds++; rounds < 3 {
			d.ChangeConfig(func(b []byte) { b[0]++ })
		}
		r.Read32(0)
	})
	if err != nil || rounds != 3 {
		t.Errorf("%d rounds, %v", rounds, err)
	}
	if err := dev.Config(17, func(mmio.Registers) {}); err == nil {
		t.Error("read beyond the configuration")
	}
	err = dev.Config(16, func(mmio.Registers) { d.ChangeConfig(func(b []byte) { b[0]++ }) })
	if err == nil {
		t.Error("configuration that never settles")
	}
}

// TestFailWakes checks that failure ends every wait, also those for an interrupt
// that will not come.
func TestFailWakes(t *testing.T) {
	for _, vectors := range []int{1, 3} {
		d := echo(vectors)
		dev, err := virtio.Open(d, d.Machine, virtio.Options{Type: virtio.IDBlock, Queues: 2})
		if err != nil {
			t.Fatal(err)
		}
		dev.Start()
		ended := make(chan error)
		for _, w := range []virtio.Waiter{dev.QueueWaiter(0), dev.QueueWaiter(1), dev.ConfigWaiter()} {
			go func() { ended <- w.Wait(func() bool { return false }) }()
		}
		dev.Fail(errors.New("test"))
		dev.Fail(errors.New("again"))
		for range 3 {
			select {
			case err := <-ended:
				if !errors.Is(err, syscall.EIO) {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("somebody still waits")
			}
		}
		late := make(chan error, 1)
		dev.OnFail(func(err error) { late <- err })
		if err := <-late; err != dev.Err() {
			t.Error(err)
		}
	}
}

func TestParseSlot(t *testing.T) {
	for value, want := range map[string]virtio.Slot{
		"512@0xfeb00000:5":  {Address: 0xfeb00000, Size: 512, Line: virtio.Line{GSI: 5}},
		"4K@0xd0000000:5":   {Address: 0xd0000000, Size: 4096, Line: virtio.Line{GSI: 5}},
		"4k@0xd0000000:5:3": {Address: 0xd0000000, Size: 4096, Line: virtio.Line{GSI: 5}},
		"0x200@123456:47":   {Address: 123456, Size: 512, Line: virtio.Line{GSI: 47}},
	} {
		if got, err := virtio.ParseSlot(value); err != nil || got != want {
			t.Errorf("%s: %+v, %v", value, got, err)
		}
	}
	for _, bad := range []string{"", "512", "512@1", "1@0x1000:5", "4G@0x1000:5", "512@0xffffffffffffffff:5", "512@x:5", "512@1:5:6:7", "512@1:-1", "K@1:1"} {
		if s, err := virtio.ParseSlot(bad); err == nil {
			t.Errorf("%q is %+v", bad, s)
		}
	}
}

func FuzzParseSlot(f *testing.F) {
	f.Add("512@0xfeb00000:5")
	f.Add("4K@0xd0000000:5:3")
	f.Fuzz(func(t *testing.T, value string) {
		s, err := virtio.ParseSlot(value)
		if err == nil && (s.Size < 0x100 || s.Address+uint64(s.Size) < s.Address) {
			t.Errorf("%q is %+v", value, s)
		}
	})
}
