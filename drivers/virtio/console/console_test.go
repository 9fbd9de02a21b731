package console

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"syscall"
	"testing"

	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/internal/model"
)

// host is the other side of a console; it echoes.
type host struct {
	model.Device
	mu      sync.Mutex
	changed sync.Cond
	room    []*model.Chain
	waiting []byte
}

func newHost(vectors int) *host {
	h := &host{}
	h.changed.L = &h.mu
	h.Machine = &model.Machine{}
	h.Type, h.Vector = virtio.IDConsole, vectors
	h.Offered = virtio.FeatureVersion1 | virtio.FeatureEventIndex | featureSize
	h.Space = []byte{80, 0, 25, 0}
	h.Handle = func(queue int, c *model.Chain) (int, bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if queue == queueRx {
			h.room = append(h.room, c)
			h.send()
			return 0, true
		}
		h.waiting = append(h.waiting, c.Read()...)
		h.send()
		return 0, false
	}
	return h
}

// send fills receive buffers with what waits.
func (h *host) send() {
	for len(h.room) > 0 && len(h.waiting) > 0 {
		c := h.room[0]
		h.room = h.room[1:]
		n := c.Write(0, h.waiting)
		h.waiting = h.waiting[n:]
		c.Queue().Return(c, n)
	}
}

func TestEcho(t *testing.T) {
	for _, vectors := range []int{1, 3} {
		h := newHost(vectors)
		d, err := Open(&h.Device, h.Machine)
		if err != nil {
			t.Fatal(err)
		}
		if c, r := d.Size(); c != 80 || r != 25 {
			t.Errorf("size %d x %d", c, r)
		}
		want := bytes.Repeat([]byte("hello, console\n"), 2000)
		if n, err := d.Write(want); n != len(want) || err != nil {
			t.Fatal(n, err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(d, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("echo differs, %v", err)
		}
	}
}

func TestHostile(t *testing.T) {
	for _, vectors := range []int{1, 3} {
		h := newHost(vectors)
		h.Handle = func(int, *model.Chain) (int, bool) { return 0, true }
		d, err := Open(&h.Device, h.Machine)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, err := d.Read(make([]byte, 10))
			ended <- err
		}()
		go func() {
			_, err := d.Write(make([]byte, 10))
			ended <- err
		}()
		h.Queue(queueRx).Lie(500, 1, 1)
		for range 2 {
			if err := <-ended; !errors.Is(err, syscall.EIO) {
				t.Error(err)
			}
		}
	}
}

// FuzzReceive lets the device return buffers as it likes.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{0, 5, 1, 0, 2, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		h := newHost(3)
		h.Handle = func(int, *model.Chain) (int, bool) { return 0, true }
		d, err := Open(&h.Device, h.Machine)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for b := make([]byte, 100); err == nil; _, err = d.Read(b) {
			}
		}()
		q := h.Queue(queueRx)
		for ; len(ops) >= 2; ops = ops[2:] {
			q.Lie(uint32(ops[0]), uint32(ops[1])*2, 1)
		}
		d.dev.Fail(errors.New("end"))
		<-ended
	})
}
