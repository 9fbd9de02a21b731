// Package virtio drives virtio 1.x devices: the transports (PCI and MMIO), the
// handshake, and the virtqueue that every virtio driver shares.
//
// It owns the split virtqueue, the negotiation of features, the life of a
// device from reset to failure, and the interrupts of its queues. The packages
// below it (blk, net, rng, console) know only the format of their requests.
//
// It imports drivers/mmio and drivers/pci. The machine (memory for DMA,
// translation of addresses, interrupts) is behind the small interfaces of
// machine.go; drivers/metal satisfies them on the metal, and the tests satisfy
// them with a device written in Go.
//
// It guarantees:
//   - payloads are not copied: descriptors point at the pages of the caller's
//     memory, which stays referenced until the device has returned it;
//   - what the device writes (ring indexes, descriptor ids, lengths, its
//     configuration and capabilities) is checked before use. A device that
//     breaks the rules is reset and marked failed, everybody who waits gets an
//     error that wraps syscall.EIO, and nothing panics;
//   - a chain that the device has not returned is never handed back to its
//     owner while the device could still write to it: failure resets the device
//     first.
//
// It refuses:
//   - legacy devices (virtio 0.9, MMIO version 1, PCI without the modern
//     capabilities);
//   - VIRTIO_F_ACCESS_PLATFORM: it means that the device sees memory through an
//     IOMMU or only in part (encrypted guests), and this system has neither
//     IOMMU tables nor bounce buffers. A device that offers it and works
//     without it is used; one that insists is refused by name;
//   - packed rings and INTx.
//
// # Memory ordering
//
// Driver and device share the rings in coherent memory. Three orders matter:
//
//  1. descriptors and ring entries are written before the index that publishes
//     them (store, store);
//  2. the used index is read before the entries it publishes (load, load);
//  3. the available index is stored before the device's event field is read,
//     and the driver's own event field is stored before the used index is read
//     again (store, load): else both sides can miss each other and sleep.
//
// On amd64, orders 1 and 2 hold by themselves (TSO) as long as the compiler
// keeps them; order 3 does not: a store waits in the store buffer while a later
// load passes it. All index and event fields are therefore accessed as the
// aligned 32-bit words around them with package sync/atomic: its stores are
// XCHG on amd64, a full barrier, and its operations are sequentially consistent
// on every architecture (STLR and LDAR on arm64), which gives all three orders.
// A write to a device register cannot pass earlier stores on amd64 (uncached
// memory); arm64 needs a DMB before it, which belongs in mmio there.
//
// # Locks
//
// Queue has a lock of its own, held for a few memory accesses and never while a
// callback runs or a register is accessed. Device.mu guards the list of failure
// callbacks only. Drivers may hold their own lock while calling a Queue, not
// the other way round.
package virtio
