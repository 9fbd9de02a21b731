// Package net drives virtio network devices (virtio 1.2, 5.1).
//
// It owns the header of a frame and the buffers that frames are received into.
// It imports drivers/virtio and drivers/mmio, and knows nothing of the network
// stack that uses it.
//
// Sending copies nothing: descriptors point at the caller's parts. The device
// is told of each frame unless it is looking anyway (event index), and tells of
// completion once for half a ring of frames or when all are sent, not for each.
//
// Receiving: the ring is filled with single pages; a frame longer than one page
// (the device joins TCP segments) comes as several, if the device has mergeable
// buffers. A Frame lends its pages to the receiver until Release. There are
// twice as many pages as the ring holds, allocated when first needed; a receiver
// that keeps them all makes the device drop frames, not the system run out of
// memory.
//
// It guarantees that a Frame's header is consistent with its bytes: checksum
// positions lie inside, the GSO type is one that was negotiated. Frames for
// which this fails are dropped and counted.
//
// It refuses an MTU above one page on devices without mergeable buffers. One
// queue pair is used; more would be an array of what Device holds once.
package net
