// Package metal ties the drivers to the kernel: it is the one package of drivers
// that runs on the bare machine only.
//
// It owns the adapters from package kernel to the small interfaces of the other
// driver packages, and the search for the machine's devices: PCI by MCFG or by
// ports, virtio over MMIO by ACPI or by the command line.
//
// It imports package kernel, kernel/cmdline and the other packages of drivers.
//
// It guarantees that a device or table that cannot be understood costs only
// itself: it is named in Inventory.Problems, and the others are found.
//
// It refuses to choose: which disk is the store and which network is the
// outside is the board's business.
package metal
