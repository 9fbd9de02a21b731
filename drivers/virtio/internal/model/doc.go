// Package model is virtio devices in software, for the tests of the drivers.
//
// It owns a machine (memory whose pages are scrambled, so that what is adjacent
// in virtual memory is not in physical memory; interrupts that are Go channels)
// and a device that reads the rings from that memory as hardware would, behind
// virtio.Transport or behind the registers of the MMIO transport.
//
// It imports drivers/virtio, drivers/pci and drivers/mmio, and is imported by
// tests only.
//
// It guarantees that its side of the rings is written from the specification and
// shares no code with the driver's, and that after a reset it touches no memory
// any more. It can be told to lie.
//
// It refuses a driver that breaks the specification, by a panic that says how.
package model
