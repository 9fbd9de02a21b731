// Package link joins a network device to gVisor's stack: Ethernet framing,
// checksum and segmentation offload, and the lifetime of packet memory.
//
// It owns the endpoint that the stack writes to and reads from, and the
// device interface that it needs, whose shapes are those of virtio-net
// (virtio 1.2, section 5.1.6). It imports gVisor's stack, package firewall and no
// driver: the board hands a device in, tests hand in package wire's.
//
// A firewall's filter, if there is one, sees each frame before all else here does.
//
// Between the two, what a device does not do is done here: large TCP packets
// are cut into segments as late as possible (GSO), received segments are merged
// as early as possible (GRO), and frames go out many to a notification, so that
// the stack's costs are paid per batch and not per segment.
//
// Acknowledgements that the next data of their connection would carry anyway
// are held back for a moment (delay), since the stack sends one for each segment
// and a packet costs the same empty as full.
//
// While the store owes something (Store), frames wait for it in the outbox, so that none
// tells of what a loss of power could undo.
//
// Guarantees: an outgoing payload is not copied, its memory stays unchanged
// until the device has said done. An incoming frame is copied once, out of the
// device's buffers into the stack's pooled ones, because gVisor's buffers can
// not refer to foreign memory; the device's buffers are free again at the end of
// each batch. Merging keeps the order of a connection's frames and loses no
// byte and no repeated acknowledgement. A checksum is taken for verified only if
// the device negotiated that and said so of this frame, or if it was verified
// here, and the IPv4 header's is always verified here.
//
// It refuses frames that are shorter than an Ethernet header, longer than an
// IP packet can be, or addressed to another station.
package link
