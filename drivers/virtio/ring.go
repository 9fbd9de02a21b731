package virtio

import (
	"sync/atomic"
	"unsafe"
)

// The split ring (virtio 1.2, 2.7), little-endian, one allocation, n = size:
//
//	descriptors           available            used
//	0  addr   u64  \      0  flags u16         0  flags u16
//	8  len    u32  | x n  2  idx   u16         2  idx   u16
//	12 flags  u16  |      4  ring  u16 x n     4  ring  {id u32, len u32} x n
//	14 next   u16  /      .. used_event u16    .. avail_event u16
//
// The driver writes the first two, the device the third. Each part is aligned
// to 4 (descriptors to 16), n is a power of two of at least 2, and a spare u16
// follows each event field, so that {flags, idx} and {event, spare} are aligned
// 32-bit words.
type ring struct {
	size  uint16
	desc  []descriptor
	avail []byte
	used  []byte
	addr  QueueAddress
}

// descriptor names one piece of memory to the device.
type descriptor struct {
	addr  uint64
	len   uint32
	flags uint16
	next  uint16
}

const (
	descNext     = 1 // the chain goes on at next
	descWrite    = 2 // the device writes
	descIndirect = 4 // the piece is a table of descriptors

	descSize = 16

	availNoInterrupt = 1 // availFlags: spare the driver interrupts
	usedNoNotify     = 1 // usedFlags: spare the device notifications
)

// maxQueueSize is the largest ring this driver sets up; the specification
// allows 32768.
const maxQueueSize = 1024

func alignUp(n, to int) int { return (n + to - 1) &^ (to - 1) }

func newRing(m Memory, size uint16) (ring, error) {
	n := int(size)
	availAt := n * descSize
	usedAt := alignUp(availAt+4+2*n+4, 64)
	total := usedAt + 4 + 8*n + 4
	mem, phys, err := m.AllocDMA(total)
	if err != nil {
		return ring{}, err
	}
	return ring{
		size:  size,
		desc:  descriptors(mem[:availAt]),
		avail: mem[availAt:usedAt],
		used:  mem[usedAt:total],
		addr:  QueueAddress{Size: size, Desc: phys, Avail: phys + uint64(availAt), Used: phys + uint64(usedAt)},
	}, nil
}

// descriptors views memory, aligned to 16, as descriptors.
func descriptors(mem []byte) []descriptor {
	return unsafe.Slice((*descriptor)(unsafe.Pointer(&mem[0])), len(mem)/descSize)
}

// word returns the 32-bit word at off, which the layout aligns to 4.
func word(mem []byte, off int) *uint32 { return (*uint32)(unsafe.Pointer(&mem[off : off+4][0])) }

// setAvail puts a chain's head into slot idx of the available ring; invisible
// to the device until publish.
func (r *ring) setAvail(idx, head uint16) {
	*(*uint16)(unsafe.Pointer(&r.avail[4+2*int(idx&(r.size-1))])) = head
}

// publish makes the entries before idx visible. The driver's flags are always
// 0: without event index it takes every interrupt.
func (r *ring) publish(idx uint16) { atomic.StoreUint32(word(r.avail, 0), uint32(idx)<<16) }

// usedIdx returns how many chains the device says it has used, modulo 2^16.
func (r *ring) usedIdx() uint16 { return uint16(atomic.LoadUint32(word(r.used, 0)) >> 16) }

// notifyWanted reports whether the device, without event index, wants to be
// told of new chains.
func (r *ring) notifyWanted() bool { return atomic.LoadUint32(word(r.used, 0))&usedNoNotify == 0 }

// usedElem returns used entry idx, each field read once.
func (r *ring) usedElem(idx uint16) (id, n uint32) {
	off := 4 + 8*int(idx&(r.size-1))
	return atomic.LoadUint32(word(r.used, off)), atomic.LoadUint32(word(r.used, off+4))
}

// setUsedEvent asks for an interrupt when used entry idx is written.
func (r *ring) setUsedEvent(idx uint16) {
	atomic.StoreUint32(word(r.avail, 4+2*int(r.size)), uint32(idx))
}

// availEvent returns the available entry of which the device wants to be told.
func (r *ring) availEvent() uint16 {
	return uint16(atomic.LoadUint32(word(r.used, 4+8*int(r.size))))
}

// crossed reports whether an index that moved from old to idx has passed event
// (virtio 1.2, 2.7.7.2), modulo 2^16.
func crossed(event, idx, old uint16) bool { return idx-event-1 < idx-old }
