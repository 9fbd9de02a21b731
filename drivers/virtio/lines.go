package virtio

import "fmt"

// lines are the interrupts of a device. Where the transport has a vector for
// each queue and one for the configuration, each has its own interrupt and its
// goroutine waits on it directly. Else all share vector 0, and a goroutine
// hands its interrupts to whoever waits, through one bell each.
type lines struct {
	own    []Interrupt // one per queue and one for the configuration, or nil
	shared Interrupt
	bells  []*bell
}

func (l *lines) open(d *Device, queues int) error {
	n := queues + 1
	if d.transport.Vectors() < n {
		n = 1
	}
	for v := range n {
		i, err := d.machine.NewInterrupt()
		if err != nil {
			return fmt.Errorf("interrupt %d: %w", v, err)
		}
		if err := d.transport.Bind(v, i); err != nil {
			return fmt.Errorf("vector %d: %w", v, err)
		}
		l.own = append(l.own, i)
	}
	if queues > 0 && n == 1 {
		l.shared, l.own = l.own[0], nil
		for range queues + 1 {
			l.bells = append(l.bells, &bell{d, make(chan struct{}, 1)})
		}
	}
	return d.transport.SetConfigVector(l.vector(queues))
}

// vector returns the vector of queue index, or, for the number of queues, that
// of the configuration.
func (l *lines) vector(index int) int {
	if l.shared != nil {
		return 0
	}
	return index
}

func (l *lines) waiter(d *Device, index int) Waiter {
	if l.shared != nil {
		return l.bells[index]
	}
	return line{d, l.own[index]}
}

// start runs the goroutine that serves a shared interrupt.
func (l *lines) start(d *Device) {
	if l.shared != nil {
		go l.serve(d)
	}
}

// serve acknowledges before it rings: what the device does after the
// acknowledgement raises the interrupt anew, what it did before is seen by
// whoever hears the bell.
func (l *lines) serve(d *Device) {
	err := l.shared.Wait(func() bool {
		d.transport.Ack()
		for _, b := range l.bells {
			b.strike()
		}
		return d.Err() != nil
	})
	if err != nil {
		d.Fail(fmt.Errorf("interrupt: %w", err))
	}
}

// wake has everybody who waits look again.
func (l *lines) wake() {
	for _, i := range l.own {
		i.Wake()
	}
	if l.shared != nil {
		l.shared.Wake()
	}
}

// QueueWaiter returns what to wait on for queue index; one goroutine at a time
// may. Its Wait returns the device's error when the device has failed.
func (d *Device) QueueWaiter(index int) Waiter { return d.lines.waiter(d, index) }

// ConfigWaiter returns what to wait on for changes of the configuration.
func (d *Device) ConfigWaiter() Waiter {
	if d.lines.shared != nil {
		return d.lines.bells[len(d.lines.bells)-1]
	}
	return line{d, d.lines.own[len(d.lines.own)-1]}
}

// line is an interrupt that also ends when the device does.
type line struct {
	device    *Device
	interrupt Interrupt
}

func (l line) Wake() { l.interrupt.Wake() }

func (l line) Wait(ready func() bool) error {
	err := l.interrupt.Wait(func() bool { return l.device.Err() != nil || ready() })
	if failed := l.device.Err(); failed != nil {
		return failed
	}
	return err
}

// bell passes a shared interrupt on. A strike that nobody hears is kept, two
// are one.
type bell struct {
	device *Device
	struck chan struct{}
}

func (b *bell) Wake() { b.strike() }

func (b *bell) strike() {
	select {
	case b.struck <- struct{}{}:
	default:
	}
}

func (b *bell) Wait(ready func() bool) error {
	for b.device.Err() == nil && !ready() {
		select {
		case <-b.struck:
		case <-b.device.dead:
		}
	}
	return b.device.Err()
}
