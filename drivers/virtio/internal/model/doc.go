// Package model is virtio devices in software, for the tests of the drivers.
//
// It owns a machine (memory whose pages are scrambled, so that what is adjacent
// in virtual memory is not in physical memory; interrupts that are Go channels)
// and a device that reads the rings from that memory as hardware would, behind
// virtio.Transport or behind the registers of the MMIO transport.
//
// It imports drivers/virtio and drivers/mmio, and is imported by tests only. It
// panics where a driver breaks the specification.
package model
