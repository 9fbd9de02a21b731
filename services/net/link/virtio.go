package link

import (
	virtio "github.com/tuplix/tuplix/drivers/virtio/net"
)

// virtioDevice makes the virtio-net driver a Device. The driver's types have
// the same fields.
type virtioDevice struct{ *virtio.Device }

// Virtio is the Device of a virtio-net driver.
func Virtio(d *virtio.Device) Device { return virtioDevice{d} }

func (d virtioDevice) Offloads() Offloads { return Offloads(d.Device.Offloads()) }

func (d virtioDevice) Transmit(h Header, parts [][]byte, prompt bool, done func()) error {
	return d.Device.Transmit(virtio.Header(h), parts, prompt, done)
}

func (d virtioDevice) Receive(deliver func(h Header, parts [][]byte), flush func()) error {
	return d.Device.Receive(func(f *virtio.Frame) { deliver(Header(f.Header), f.Parts) }, flush)
}
