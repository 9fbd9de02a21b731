package rng

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/internal/model"
)

func source(handle func(int, *model.Chain) (int, bool)) *model.Device {
	return &model.Device{Machine: &model.Machine{}, Type: virtio.IDEntropy, Offered: virtio.FeatureVersion1, Vector: 2, Handle: handle}
}

// TestRead has a host that gives a few bytes at a time.
func TestRead(t *testing.T) {
	next := byte(0)
	d := source(func(_ int, c *model.Chain) (int, bool) {
		b := make([]byte, min(c.Room(), 7))
		for i := range b {
			b[i] = next
			next++
		}
		return c.Write(0, b), false
	})
	dev, err := Open(d, d.Machine)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 200)
	if _, err := io.ReadFull(dev, got); err != nil {
		t.Fatal(err)
	}
	for i, b := range got {
		if b != byte(i) {
			t.Fatalf("byte %d is %d", i, b)
		}
	}
}

func TestBroken(t *testing.T) {
	for name, handle := range map[string]func(int, *model.Chain) (int, bool){
		"nothing":  func(_ int, c *model.Chain) (int, bool) { return 0, false },
		"too much": func(_ int, c *model.Chain) (int, bool) { return c.Room() + 1, false },
	} {
		d := source(handle)
		dev, err := Open(d, d.Machine)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		if n, err := dev.Read(b); n != 0 || !errors.Is(err, syscall.EIO) || !bytes.Equal(b, make([]byte, 10)) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}
