// Package pci finds the devices on PCI and PCI Express buses and makes them
// usable: configuration access, base addresses, capabilities, MSI-X.
//
// It owns the configuration space. Access to it is behind the Config interface,
// with two ways: ECAM (memory-mapped, from the ACPI table MCFG) and Ports (I/O
// ports 0xcf8 and 0xcfc, the only one on machines without MCFG).
//
// It imports drivers/mmio. The machine is behind Mapper and IO.
//
// It guarantees that nothing a device says is used unchecked: lists of
// capabilities that loop or leave the configuration space, base addresses that
// are unassigned, and structures that lie outside their base address are
// errors; bridges that point back are not followed.
//
// It refuses to assign addresses: that is the firmware's work, and its windows
// are known to the firmware only. A device left without an address gets an
// error that says so. It drives no INTx and no plain MSI, and does not follow
// host bridges that are no PCI device below bus 0 of the segment (QEMU's pxb).
//
// Sources: PCI Local Bus Specification 3.0, chapter 6; PCI Express Base
// Specification 5.0, 7.2.2 (ECAM) and 7.7.2 (MSI-X).
package pci
