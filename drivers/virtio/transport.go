package virtio

import "github.com/tuplix/tuplix/drivers/mmio"

// Transport is the way to a device: PCI or MMIO. Used by one goroutine at a
// time until the device runs; Notify functions, Config, Generation, Ack and
// SetStatus(0) at any time after.
type Transport interface {
	// ID returns the virtio device type (virtio 1.2, chapter 5).
	ID() uint32
	Features() uint64
	SetFeatures(f uint64)
	Status() uint8
	SetStatus(s uint8) // 0 resets
	// QueueMax returns the most descriptors of a queue, 0 if there is no
	// such queue.
	QueueMax(index int) int
	// EnableQueue tells the device where a queue is and which vector it
	// interrupts, and returns the function that notifies the device.
	EnableQueue(index int, a QueueAddress, vector int) (notify func(), err error)
	// Vectors returns how many vectors the device can raise, at least 1.
	Vectors() int
	// Bind directs a vector to an interrupt.
	Bind(vector int, i Interrupt) error
	// SetConfigVector chooses the vector for changes of configuration.
	SetConfigVector(vector int) error
	// Ack acknowledges an interrupt, before the queues are looked at.
	Ack()
	// Config returns the device-specific configuration.
	Config() mmio.Registers
	// Generation changes when the configuration does.
	Generation() uint32
}

// QueueAddress says where the parts of a ring are, in physical addresses.
type QueueAddress struct {
	Size              uint16
	Desc, Avail, Used uint64
}

// Device types (virtio 1.2, chapter 5).
const (
	IDNet     = 1
	IDBlock   = 2
	IDConsole = 3
	IDEntropy = 4
)

// Features of every device (virtio 1.2, chapter 6).
const (
	FeatureIndirect       = 1 << 28 // VIRTIO_F_INDIRECT_DESC
	FeatureEventIndex     = 1 << 29 // VIRTIO_F_EVENT_IDX
	FeatureVersion1       = 1 << 32 // VIRTIO_F_VERSION_1
	FeatureAccessPlatform = 1 << 33 // VIRTIO_F_ACCESS_PLATFORM
)

// Device status bits (virtio 1.2, 2.1).
const (
	statusAcknowledge = 1
	statusDriver      = 2
	statusDriverOK    = 4
	statusFeaturesOK  = 8
	statusNeedsReset  = 64
	statusFailed      = 128
)
