package rng

import (
	"fmt"
	"sync"
	"syscall"

	"github.com/tuplix/tuplix/drivers/virtio"
)

// chunk is the most bytes asked for at once; hosts limit the rate.
const chunk = 64

// Device is a virtio entropy device.
type Device struct {
	dev    *virtio.Device
	queue  *virtio.Queue[struct{}]
	answer chan int // bytes; closed when the device fails

	mu    sync.Mutex // one request at a time; guards what follows
	chain *virtio.Chain
	buf   []byte
}

// Open starts the entropy device behind t.
func Open(t virtio.Transport, m virtio.Machine) (*Device, error) {
	dev, err := virtio.Open(t, m, virtio.Options{Type: virtio.IDEntropy, Queues: 1})
	if err != nil {
		return nil, err
	}
	q, err := virtio.NewQueue[struct{}](dev, 0, virtio.QueueConfig{Size: 2})
	if err != nil {
		dev.Fail(err)
		return nil, err
	}
	d := &Device{dev: dev, queue: q, answer: make(chan int, 1), chain: virtio.NewChain(m, 0), buf: make([]byte, chunk)}
	dev.OnFail(func(err error) { q.Drain(err) })
	dev.Start()
	go d.serve()
	return d, nil
}

// serve hands on what comes. Only when it has ended can nothing come any more.
func (d *Device) serve() {
	d.queue.Serve(func(_ struct{}, n int) { d.answer <- n }, nil)
	close(d.answer)
}

// Read fills p with random bytes from the host. It blocks for as long as the
// host has none. Safe for concurrent use.
func (d *Device) Read(p []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n < len(p) {
		k, err := d.read(p[n:])
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

func (d *Device) read(p []byte) (int, error) {
	want := d.buf[:min(len(p), chunk)]
	d.chain.Reset()
	d.chain.In(want)
	if err := d.queue.Submit(d.chain, struct{}{}); err != nil {
		return 0, err
	}
	d.queue.Kick()
	n, alive := <-d.answer
	if !alive {
		return 0, d.dev.Err()
	}
	if n == 0 {
		return 0, fmt.Errorf("virtio-rng: device answered without data: %w", syscall.EIO)
	}
	copy(p, want[:n])
	clear(want)
	return n, nil
}
