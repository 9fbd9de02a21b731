package fwcfg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// Machine is what the driver needs of the machine.
type Machine interface {
	In32(port uint16) uint32
	Out32(port uint16, v uint32)
	// AllocDMA returns n bytes of memory that devices reach, and their physical
	// address.
	AllocDMA(n int) ([]byte, uint64, error)
}

// DiskKey is the name of the file by which the host hands over the key of the
// machine's encrypted disk: a passphrase, the content of a key file, or a recovery
// key.
const DiskKey = "opt/org.tuplix/key"

var (
	// ErrAbsent says that the machine has no such device.
	ErrAbsent = errors.New("fwcfg: no device")
	// ErrNoFile says that the device has no file of that name.
	ErrNoFile = errors.New("fwcfg: no such file")
	// ErrDevice says that the device does not keep to its specification.
	ErrDevice = errors.New("fwcfg: bad answer of the device")
)

// The DMA address register: 64 bits, big endian. Reading gives a signature;
// writing the lower half starts a transfer.
const (
	portHigh = 0x514
	portLow  = 0x518

	signatureHigh = "QEMU"
	signatureLow  = " CFG"
)

// A transfer is described in memory, big endian:
//
//	offset size
//	   0    4   control: bits below, and an item's number in bits 16 to 31; the
//	            device sets it to 0 at the end, or to an error
//	   4    4   bytes
//	   8    8   physical address of the bytes
const (
	accessBytes = 16

	controlError  = 1 << 0
	controlRead   = 1 << 1
	controlSelect = 1 << 3
)

// The directory, item 0x19, is a count and so many entries, big endian:
//
//	offset size
//	   0    4   count
//
//	   0    4   size of the file in bytes
//	   4    2   its item
//	   6    2   zero
//	   8   56   name, ends with a zero
const (
	itemDirectory = 0x19
	entryBytes    = 64
	nameStart     = 8

	// maxFiles bounds the directory; QEMU has some tens of files.
	maxFiles = 1024
)

const (
	// memoryBytes is the memory that is shared with the device.
	memoryBytes = 4096
	// maxPolls bounds the wait for a transfer, which QEMU does at once.
	maxPolls = 1_000_000
)

// Device is the device. It may be used by several goroutines.
type Device struct {
	m    Machine
	mu   sync.Mutex // guards the registers and the memory
	mem  []byte     // accessBytes, then data
	phys uint64
}

// Open finds the device. It returns ErrAbsent if there is none.
func Open(m Machine) (*Device, error) {
	var b [8]byte
	binary.LittleEndian.PutUint32(b[:], m.In32(portHigh))
	binary.LittleEndian.PutUint32(b[4:], m.In32(portLow))
	if string(b[:]) != signatureHigh+signatureLow {
		return nil, ErrAbsent
	}
	mem, phys, err := m.AllocDMA(memoryBytes)
	if err != nil {
		return nil, fmt.Errorf("fwcfg: %w", err)
	}
	return &Device{m: m, mem: mem[:memoryBytes], phys: phys}, nil
}

// ReadFile returns the content of a file of at most limit bytes; the caller wipes
// it if it is secret. It returns ErrNoFile if there is none of that name.
func (d *Device) ReadFile(name string, limit int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer clear(d.mem)
	e, err := d.find(name)
	if err != nil {
		return nil, err
	}
	if int64(e.size) > int64(limit) {
		return nil, fmt.Errorf("fwcfg: %s has %d bytes, at most %d are wanted", name, e.size, limit)
	}
	p := make([]byte, e.size)
	if err := d.read(p, uint32(e.item)<<16|controlSelect); err != nil {
		return nil, err
	}
	return p, nil
}

// find looks a name up.
func (d *Device) find(name string) (entry, error) {
	var count [4]byte
	if err := d.read(count[:], itemDirectory<<16|controlSelect); err != nil {
		return entry{}, err
	}
	n := binary.BigEndian.Uint32(count[:])
	if n > maxFiles {
		return entry{}, fmt.Errorf("%w: %d files", ErrDevice, n)
	}
	entries := make([]byte, n*entryBytes)
	if err := d.read(entries, 0); err != nil {
		return entry{}, err
	}
	return lookup(entries, name)
}

// entry is one of the directory; see the map above.
type entry struct {
	size uint32
	item uint16
}

// lookup finds a name among whole entries.
func lookup(entries []byte, name string) (entry, error) {
	for ; len(entries) >= entryBytes; entries = entries[entryBytes:] {
		field := entries[nameStart:entryBytes]
		end := 0
		for end < len(field) && field[end] != 0 {
			end++
		}
		if end < len(field) && string(field[:end]) == name {
			return entry{binary.BigEndian.Uint32(entries), binary.BigEndian.Uint16(entries[4:])}, nil
		}
	}
	return entry{}, fmt.Errorf("%w: %s", ErrNoFile, name)
}

// read fills p from where the selected item was read last, or from the start of
// the one that control selects.
func (d *Device) read(p []byte, control uint32) error {
	for first := true; first || len(p) > 0; first = false {
		n := min(len(p), memoryBytes-accessBytes)
		if err := d.transfer(n, control|controlRead); err != nil {
			return err
		}
		copy(p, d.mem[accessBytes:][:n])
		p, control = p[n:], 0
	}
	return nil
}

// transfer has the device fill n bytes of the memory.
func (d *Device) transfer(n int, control uint32) error {
	be := binary.BigEndian
	be.PutUint32(d.mem, control)
	be.PutUint32(d.mem[4:], uint32(n))
	be.PutUint64(d.mem[8:], d.phys+accessBytes)
	d.m.Out32(portHigh, swap(uint32(d.phys>>32)))
	d.m.Out32(portLow, swap(uint32(d.phys)))
	for range maxPolls {
		switch c := be.Uint32(d.mem); {
		case c == 0:
			return nil
		case c&controlError != 0:
			return fmt.Errorf("%w: transfer of %d bytes refused", ErrDevice, n)
		}
		// Reading a port takes the processor out to the device.
		d.m.In32(portHigh)
	}
	return fmt.Errorf("%w: transfer never ends", ErrDevice)
}

// swap is for a register that is big endian.
func swap(v uint32) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return binary.LittleEndian.Uint32(b[:])
}
