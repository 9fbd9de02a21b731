// Package fwcfg reads files that QEMU was told to hand to the machine (its
// option -fw_cfg), by the DMA interface of the device fw_cfg:
// docs/specs/fw_cfg in QEMU's sources.
//
// It owns that device's registers and the format of its directory. It imports
// the standard library only; ports and memory come in through the interface
// Machine.
//
// It guarantees that looking for the device writes to no port, so that it is safe
// on any machine, and that no length that the device names is believed beyond
// what the caller allows. What was read is wiped from the memory shared with the
// device.
//
// It refuses devices without DMA (QEMU before 2.4), and it writes nothing: a file
// that was read can be read again by whoever has the ports.
package fwcfg
