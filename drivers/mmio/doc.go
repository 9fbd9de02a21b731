// Package mmio is access to the registers of devices that appear in memory.
//
// It owns the Registers interface, by which every driver of this tree reaches
// its device, and Region, which satisfies it for registers mapped at a virtual
// address. Drivers depend on the interface, so that their logic runs on a Linux
// host against a device model.
//
// It imports the standard library only.
//
// It guarantees that each call makes exactly one access of exactly the named
// width, in program order, and that no access leaves the region. It refuses
// unaligned offsets: a device may tear them.
package mmio
