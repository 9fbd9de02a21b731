package link

// Header is the per-frame header of virtio-net, decoded (virtio 1.2, 5.1.6):
// what of the frame's checksum and segmentation is left to the other side.
type Header struct {
	Flags          uint8
	GSOType        uint8
	HeaderLen      uint16 // Ethernet to transport headers, in bytes; a hint
	GSOSize        uint16 // payload bytes of each segment
	ChecksumStart  uint16 // where summing starts, from the frame's start
	ChecksumOffset uint16 // where the sum goes, from ChecksumStart
}

// Flags of a Header.
const (
	NeedsChecksum = 1 // the sum at ChecksumStart+ChecksumOffset is partial
	DataValid     = 2 // the device has verified the checksum
)

// GSO types of a Header.
const (
	GSONone  = 0
	GSOTCPv4 = 1
	GSOTCPv6 = 4
)

// Offloads is what was negotiated with the device.
type Offloads struct {
	TxChecksum bool // takes frames with NeedsChecksum
	TSO4, TSO6 bool // takes TCP segments of up to 64 KiB
	RxChecksum bool // may deliver NeedsChecksum and DataValid
	RxGRO      bool // may deliver TCP segments of up to 64 KiB
}

// Device is an Ethernet interface.
type Device interface {
	// MAC is the station's address.
	MAC() [6]byte
	// MTU is the largest IP packet in bytes.
	MTU() int
	Offloads() Offloads
	// Transmit queues one Ethernet frame; it goes out with the next Flush at
	// the latest. The parts, and the slice that holds them, stay unchanged
	// until done is called, on any goroutine: soon after the device is done
	// if prompt is set, else with a later frame sent or received. It blocks
	// while the device's ring is full. After an error done is not called.
	Transmit(h Header, parts [][]byte, prompt bool, done func()) error
	// Flush sends what is queued. It follows each series of Transmit.
	Flush()
	// Receive delivers frames on the calling goroutine until the device
	// fails, and calls flush when there are no more, or many. The parts
	// belong to the device again when flush returns.
	Receive(deliver func(h Header, parts [][]byte), flush func()) error
}
