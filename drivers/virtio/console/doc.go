// Package console drives virtio console devices (virtio 1.2, 5.3): their first
// port, as a Reader and Writer.
//
// It owns the receive buffers of the port. It imports drivers/virtio and
// drivers/mmio.
//
// It guarantees that nothing is lost for want of a reader: buffers go back to
// the device when they have been read, and until then the host waits. Write
// does not copy; it returns when the host has taken the bytes.
//
// It refuses VIRTIO_CONSOLE_F_MULTIPORT: more ports would need the control
// queues, and nothing here uses them.
package console
