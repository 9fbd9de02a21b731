package pci

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/tuplix/tuplix/drivers/mmio"
)

// Function is one PCI function. Its methods may be used by one goroutine at a
// time.
type Function struct {
	Address
	Vendor uint16
	Device uint16
	Class  uint32 // class<<16 | subclass<<8 | programming interface

	header uint8
	config Config
	mapper Mapper
	sized  *[maxBARs]register // what probeBARs found, nil before
}

const maxBARs = 6

// register is a base address register: its value, and which of its bits can be
// written.
type register struct{ value, mask uint32 }

// Read32 reads the configuration word that contains offset off.
func (f *Function) Read32(off int) uint32 { return f.config.Read32(f.Address, off&^3) }

// Read16 reads two bytes of configuration space at an even offset.
func (f *Function) Read16(off int) uint16 { return uint16(f.Read32(off) >> (off & 2 * 8)) }

// Read8 reads one byte of configuration space.
func (f *Function) Read8(off int) uint8 { return uint8(f.Read32(off) >> (off & 3 * 8)) }

// Write32 writes a configuration word at an offset that is a multiple of 4.
func (f *Function) Write32(off int, v uint32) { f.config.Write32(f.Address, off&^3, v) }

// SubsystemID returns the subsystem device id.
func (f *Function) SubsystemID() uint16 { return f.Read16(regSubsystem + 2) }

// Enable lets the function answer at its addresses and access memory, and
// turns its INTx line off.
func (f *Function) Enable() { f.command(commandMemory|commandIO|commandMaster|commandNoINTx, 0) }

// command sets and clears bits of the command register. The upper half of the
// word is the status, whose bits are cleared by writing ones: zeros are written.
func (f *Function) command(set, clear uint32) {
	f.Write32(regCommand, f.Read32(regCommand)&0xffff&^clear|set)
}

// BAR is a base address register, decoded.
type BAR struct {
	Address uint64
	Size    uint64 // power of two
	IO      bool   // in I/O space; else in memory
	Wide    bool   // 64-bit: takes the next register too
}

// ErrNoBAR says that a function does not have the asked-for base address.
var ErrNoBAR = errors.New("no such base address register")

// ErrUnassigned says that the firmware gave a base address no address.
var ErrUnassigned = errors.New("the firmware assigned no address to this base address register, and this system assigns none")

// BAR returns base address register i (0-5, bridges 0-1). The first call finds
// the sizes of all by writing ones; the function does not answer meanwhile.
func (f *Function) BAR(i int) (BAR, error) {
	b, err := f.bar(i)
	if err != nil {
		return BAR{}, fmt.Errorf("%v: BAR %d: %w", f.Address, i, err)
	}
	return b, nil
}

func (f *Function) bars() int {
	if f.header&headerType == headerBridge {
		return 2
	}
	return maxBARs
}

func (f *Function) bar(i int) (BAR, error) {
	if i < 0 || i >= f.bars() {
		return BAR{}, ErrNoBAR
	}
	if f.sized == nil {
		f.probeBARs()
	}
	low := f.sized[i]
	b := BAR{IO: low.value&1 != 0, Wide: low.value&7 == 4}
	value, mask := uint64(low.value), uint64(low.mask)
	if b.Wide {
		if i+1 >= f.bars() {
			return BAR{}, errors.New("claims 64 bits in the last register")
		}
		high := f.sized[i+1]
		value |= uint64(high.value) << 32
		mask |= uint64(high.mask) << 32
	}
	flags := uint64(0xf)
	if b.IO {
		flags = 0x3
	}
	b.Address = value &^ flags
	if mask &^= flags; mask == 0 {
		return BAR{}, ErrNoBAR
	}
	// Bits above the size may read as zero in I/O space and in 32-bit
	// registers: the lowest that sticks is the size.
	b.Size = 1 << bits.TrailingZeros64(mask)
	return b, b.check()
}

// probeBARs looks at all registers while the function does not decode. Once, and
// all at once: each time that decoding changes, a hypervisor rebuilds its map of
// memory, which takes it longer than all the rest.
func (f *Function) probeBARs() {
	f.sized = new([maxBARs]register)
	command := f.Read32(regCommand) & 0xffff
	f.Write32(regCommand, command&^(commandMemory|commandIO))
	for i := range f.bars() {
		off := regBAR + 4*i
		value := f.Read32(off)
		f.Write32(off, absent)
		f.sized[i] = register{value, f.Read32(off)}
		f.Write32(off, value)
	}
	f.Write32(regCommand, command)
}

func (b BAR) check() error {
	switch {
	case b.Address == 0:
		return ErrUnassigned
	case b.Address%b.Size != 0 || b.Address+b.Size < b.Address:
		return fmt.Errorf("address %#x with size %#x", b.Address, b.Size)
	}
	return nil
}

// Map maps n bytes at offset off of the memory that base address i names.
func (f *Function) Map(i int, off uint64, n int) (mmio.Registers, error) {
	b, err := f.BAR(i)
	if err != nil {
		return nil, err
	}
	if b.IO {
		return nil, fmt.Errorf("%v: BAR %d: is in I/O space, memory is needed", f.Address, i)
	}
	if n <= 0 || off > b.Size || uint64(n) > b.Size-off {
		return nil, fmt.Errorf("%v: BAR %d: %#x bytes at %#x are not within its %#x", f.Address, i, n, off, b.Size)
	}
	return f.mapper.MapDevice(b.Address+off, n)
}
