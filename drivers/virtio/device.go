package virtio

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"

	"github.com/tuplix/tuplix/drivers/mmio"
)

// Device is a virtio device in its life:
//
//	       Open                  NewQueue, Waiter...    Start
//	(any) -----> features agreed -----------------------------> running
//	                                                               | Fail
//	                                                               v
//	                                                             failed (reset)
//
// Open, NewQueue, the Waiter calls and Start belong to the one goroutine that
// sets the device up. The rest is safe for concurrent use.
type Device struct {
	transport Transport
	machine   Machine
	features  uint64
	lines     lines

	dead chan struct{} // closed by Fail once the device is reset
	err  error         // written before dead is closed, read after

	mu      sync.Mutex
	failing bool
	onFail  []func(error)
}

// Options say what a driver wants of a device.
type Options struct {
	Type     uint32 // device type, checked
	Features uint64 // device features that the driver can use
	Queues   int    // how many queues it will set up, from index 0 on
}

// resetPolls bounds the wait for a reset. A reset is quick; each poll of a
// virtual device is an exit to the hypervisor of a microsecond or more.
const resetPolls = 1_000_000

// Open resets the device, agrees on features and allocates its interrupts. On
// error the device is left in failed state.
func Open(t Transport, m Machine, o Options) (*Device, error) {
	d := &Device{transport: t, machine: m, dead: make(chan struct{})}
	if err := d.open(o); err != nil {
		t.SetStatus(t.Status() | statusFailed)
		return nil, fmt.Errorf("virtio: device of type %d: %w", t.ID(), err)
	}
	return d, nil
}

func (d *Device) open(o Options) error {
	if id := d.transport.ID(); id != o.Type {
		return fmt.Errorf("this driver is for type %d", o.Type)
	}
	if err := d.reset(); err != nil {
		return err
	}
	d.addStatus(statusAcknowledge)
	d.addStatus(statusDriver)
	if err := d.negotiate(o.Features); err != nil {
		return err
	}
	return d.lines.open(d, o.Queues)
}

func (d *Device) reset() error {
	d.transport.SetStatus(0)
	for range resetPolls {
		if d.transport.Status() == 0 {
			return nil
		}
		runtime.Gosched()
	}
	return errors.New("does not reset")
}

func (d *Device) addStatus(s uint8) { d.transport.SetStatus(d.transport.Status() | s) }

func (d *Device) negotiate(want uint64) error {
	offered := d.transport.Features()
	if offered&FeatureVersion1 == 0 {
		return errors.New("is a legacy device: it does not offer VIRTIO_F_VERSION_1")
	}
	d.features = offered & (want | FeatureVersion1 | FeatureIndirect | FeatureEventIndex)
	d.transport.SetFeatures(d.features)
	d.addStatus(statusFeaturesOK)
	if d.transport.Status()&statusFeaturesOK != 0 {
		return nil
	}
	if offered&FeatureAccessPlatform != 0 {
		return errors.New("insists on VIRTIO_F_ACCESS_PLATFORM: it sits behind an IOMMU or sees only part of memory, which is not supported (QEMU: iommu_platform=off)")
	}
	return fmt.Errorf("refuses the features %#x of the %#x that it offers", d.features, offered)
}

// Has reports whether all of a set of features was agreed on.
func (d *Device) Has(features uint64) bool { return d.features&features == features }

// Memory returns the memory of the machine that the device is in.
func (d *Device) Memory() Memory { return d.machine }

func (d *Device) addQueue(index int, a QueueAddress) (func(), error) {
	notify, err := d.transport.EnableQueue(index, a, d.lines.vector(index))
	if err != nil {
		return nil, fmt.Errorf("virtio: queue %d: %w", index, err)
	}
	return notify, nil
}

// Start lets the device run.
func (d *Device) Start() {
	d.addStatus(statusDriverOK)
	d.lines.start(d)
}

// OnFail has f called with the reason when the device fails, after it was
// reset, on the goroutine that found out. If it has failed already, at once.
func (d *Device) OnFail(f func(error)) {
	d.mu.Lock()
	if !d.failing {
		d.onFail = append(d.onFail, f)
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	<-d.dead
	f(d.err)
}

// Fail gives the device up for the reason cause: it is reset, so that it no
// longer touches memory, and everybody who waits for it is told. Only the first
// call counts. Not to be called with a lock held that a failure callback takes.
// A device that does not even reset is beyond the driver's power: the error says
// so, and its chains are given back all the same.
func (d *Device) Fail(cause error) {
	d.mu.Lock()
	if d.failing {
		d.mu.Unlock()
		return
	}
	d.failing = true
	callbacks := d.onFail
	d.onFail = nil
	d.mu.Unlock()

	err := fmt.Errorf("virtio: device of type %d failed: %w (%w)", d.transport.ID(), cause, syscall.EIO)
	d.addStatus(statusFailed)
	if stuck := d.reset(); stuck != nil {
		err = fmt.Errorf("%w; it %w", err, stuck)
	}
	d.err = err
	close(d.dead)
	for _, f := range callbacks {
		f(d.err)
	}
	d.lines.wake()
}

// Err returns why the device failed, or nil.
func (d *Device) Err() error {
	select {
	case <-d.dead:
		return d.err
	default:
		return nil
	}
}

// configReads bounds the attempts at a consistent configuration.
const configReads = 1000

// Config runs read on the first n or more bytes of the device's configuration,
// again for as long as it changed meanwhile.
func (d *Device) Config(n int, read func(r mmio.Registers)) error {
	r := d.transport.Config()
	if r.Len() < n {
		return fmt.Errorf("virtio: device of type %d has %d bytes of configuration, not %d", d.transport.ID(), r.Len(), n)
	}
	for range configReads {
		before := d.transport.Generation()
		read(r)
		if d.transport.Generation() == before {
			return nil
		}
	}
	return fmt.Errorf("virtio: configuration of device of type %d never settles", d.transport.ID())
}

// Read64 reads a 64-bit field of a configuration.
func Read64(r mmio.Registers, off int) uint64 {
	return uint64(r.Read32(off)) | uint64(r.Read32(off+4))<<32
}
