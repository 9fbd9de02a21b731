// Package blk drives virtio block devices (virtio 1.2, 5.2).
//
// It owns the format of block requests and their cutting to what the device
// takes. It imports drivers/virtio and drivers/mmio.
//
// It guarantees: any number of goroutines may have requests in flight, data is
// not copied (but for single sectors that cross a page, on devices that take
// one piece per request), a completion wakes exactly the goroutine that waits
// for it, and an error of the device is an error of the call: EIO for a failed
// request, EOPNOTSUPP for one the device does not know, EROFS for a write to a
// read-only device, EINVAL for one outside the device or off its sectors. All
// wrap the errno.
//
// Who waits for a request that is alone polls for the answer where that was measured
// to cost less than an interrupt (poll.go).
//
// Durability: a write is durable when a Flush that began after it ended has
// returned. A device that does not offer VIRTIO_BLK_F_FLUSH is write-through by
// the specification: each write is durable when it returns, and Flush does
// nothing.
//
// It refuses sizes that make no sense, and does not follow later changes of the
// device's size. It uses one queue; VIRTIO_BLK_F_MQ would go into Open.
package blk
