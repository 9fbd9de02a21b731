package console

import (
	"fmt"
	"sync"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/virtio"
)

const featureSize = 1 << 0 // the configuration holds columns u16, rows u16

const (
	queueRx = 0
	queueTx = 1

	bufferSize = 256
	buffers    = 16 // one page
)

// Device is the first port of a virtio console.
type Device struct {
	dev *virtio.Device
	rx  *virtio.Queue[*buffer]
	tx  *virtio.Queue[*output]

	received chan *buffer // filled; as large as there are buffers
	reading  sync.Mutex   // guards current
	current  *buffer      // partly read

	writing sync.Mutex // one Write at a time; guards out
	out     output
}

// buffer receives.
type buffer struct {
	mem   []byte
	chain *virtio.Chain
	rest  []byte // received and not read
}

// output is what a Write has in flight.
type output struct {
	data  []byte
	chain *virtio.Chain
	done  chan struct{}
}

// Open starts the console behind t.
func Open(t virtio.Transport, m virtio.Machine) (*Device, error) {
	dev, err := virtio.Open(t, m, virtio.Options{Type: virtio.IDConsole, Features: featureSize, Queues: 2})
	if err != nil {
		return nil, err
	}
	d := &Device{dev: dev, received: make(chan *buffer, buffers)}
	d.out = output{chain: virtio.NewChain(m, 0), done: make(chan struct{}, 1)}
	if err := d.start(m); err != nil {
		dev.Fail(err)
		return nil, err
	}
	return d, nil
}

func (d *Device) start(m virtio.Machine) (err error) {
	if d.rx, err = virtio.NewQueue[*buffer](d.dev, queueRx, virtio.QueueConfig{Size: buffers}); err != nil {
		return err
	}
	if d.tx, err = virtio.NewQueue[*output](d.dev, queueTx, virtio.QueueConfig{Size: buffers}); err != nil {
		return err
	}
	mem, phys, err := m.AllocDMA(buffers * bufferSize)
	if err != nil {
		return fmt.Errorf("virtio-console: buffers: %w", err)
	}
	d.dev.OnFail(d.fail)
	d.dev.Start()
	for i := range min(buffers, d.rx.Size()) {
		b := &buffer{mem: mem[i*bufferSize : (i+1)*bufferSize], chain: virtio.NewChain(m, 0)}
		b.chain.InAt(phys+uint64(i*bufferSize), bufferSize)
		if err := d.rx.Submit(b.chain, b); err != nil {
			return err
		}
	}
	d.rx.Kick()
	go d.receive()
	go d.tx.Serve(func(o *output, _ int) { o.done <- struct{}{} }, nil)
	return nil
}

// receive queues what comes; received has room for all buffers.
func (d *Device) receive() {
	d.rx.Serve(func(b *buffer, n int) {
		b.rest = b.mem[:n]
		d.received <- b
	}, nil)
	close(d.received)
}

func (d *Device) fail(err error) {
	d.rx.Drain(err)
	for _, o := range d.tx.Drain(err) {
		o.done <- struct{}{}
	}
}

// Read waits for at least one byte and returns what has come.
func (d *Device) Read(p []byte) (int, error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	for len(p) > 0 {
		if d.current == nil {
			b, alive := <-d.received
			if !alive {
				return 0, d.dev.Err()
			}
			d.current = b
		}
		n := copy(p, d.current.rest)
		d.current.rest = d.current.rest[n:]
		if len(d.current.rest) == 0 {
			d.recycle()
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// recycle gives the buffer that was read back to the device. If that has
// failed, the next wait says so.
func (d *Device) recycle() {
	b := d.current
	d.current = nil
	if d.rx.Submit(b.chain, b) == nil {
		d.rx.Kick()
	}
}

// maxWrite is the most bytes given to the host at once: with all pages apart
// they still fit the ring.
const maxWrite = 4096

// Write sends p. It blocks until the host has taken it; p must not change
// meanwhile.
func (d *Device) Write(p []byte) (n int, err error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	for n < len(p) {
		k := min(len(p)-n, maxWrite)
		if err := d.write(p[n : n+k]); err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

func (d *Device) write(p []byte) error {
	o := &d.out
	o.data = p
	defer func() { o.data = nil }()
	o.chain.Reset()
	o.chain.Out(p)
	if err := d.tx.Submit(o.chain, o); err != nil {
		return err
	}
	d.tx.Kick()
	<-o.done
	return d.dev.Err()
}

// Size returns the size of the terminal in characters, 0 if the host does not
// say.
func (d *Device) Size() (columns, rows int) {
	if !d.dev.Has(featureSize) {
		return 0, 0
	}
	err := d.dev.Config(4, func(r mmio.Registers) { columns, rows = int(r.Read16(0)), int(r.Read16(2)) })
	if err != nil {
		return 0, 0
	}
	return columns, rows
}

// Err returns why the device failed for good, or nil.
func (d *Device) Err() error { return d.dev.Err() }
