// Package net drives virtio network devices (virtio 1.2, 5.1).
//
// It owns the header of a frame and the buffers that frames are received into.
// It imports drivers/virtio and drivers/mmio, and knows nothing of the network
// stack that uses it.
//
// Sending copies nothing: descriptors point at the caller's parts. Frames are
// queued one by one and the device is told of many at once, unless it is looking
// anyway (event index). While frames come in without a pause, several senders share
// one notification, which waits for no more than eight frames or until the Go
// scheduler has run what is ready. The device tells of completion once for half a
// ring of frames, and otherwise only where somebody wants to know: a sender that
// waits for room, or whose frame is marked so. The rest is taken back in passing,
// when a frame is sent or frames are received.
//
// Receiving: the ring is filled with single pages; a frame longer than one page
// (the device joins TCP segments) comes as several, if the device has mergeable
// buffers. Frames are delivered in batches, and lend their pages to the receiver
// until the end of the batch, so that it can look at several frames before it
// copies any. A batch is at most a quarter of the ring. A receiver that is slow
// makes the device drop frames, not the system run out of memory.
//
// It guarantees that a Frame's header is consistent with its bytes: checksum
// positions lie inside, the GSO type is one that was negotiated. Frames for
// which this fails are dropped and counted.
//
// It refuses an MTU above one page on devices without mergeable buffers. One
// queue pair is used; more would be an array of what Device holds once.
package net
