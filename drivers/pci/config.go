package pci

import (
	"fmt"
	"sync"

	"github.com/tuplix/tuplix/drivers/mmio"
)

// Address is where a function sits: bus, device (0-31), function (0-7).
type Address struct {
	Bus, Device, Function uint8
}

func (a Address) String() string {
	return fmt.Sprintf("pci %02x:%02x.%d", a.Bus, a.Device, a.Function)
}

// Config is access to configuration space, in aligned 32-bit words at byte
// offset off. Reading what is not there gives all ones, writing it does
// nothing. Safe for concurrent use.
type Config interface {
	Read32(a Address, off int) uint32
	Write32(a Address, off int, v uint32)
	// Size returns how many bytes of configuration space a function has:
	// 256 or 4096.
	Size() int
}

// IO is the machine's I/O ports.
type IO interface {
	In32(port uint16) uint32
	Out32(port uint16, v uint32)
}

const (
	portAddress = 0xcf8
	portData    = 0xcfc
)

// Ports is Config by the I/O ports 0xcf8 (address) and 0xcfc (data):
//
//	31 enable   23-16 bus   15-11 device   10-8 function   7-2 word   1-0 zero
type Ports struct {
	mu sync.Mutex // an access is two port accesses
	io IO
}

// NewPorts returns access by the I/O ports of the machine.
func NewPorts(io IO) *Ports { return &Ports{io: io} }

// Size returns 256.
func (p *Ports) Size() int { return 256 }

// Read32 reads a word.
func (p *Ports) Read32(a Address, off int) uint32 {
	if off < 0 || off >= p.Size() {
		return absent
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.io.Out32(portAddress, portWord(a, off))
	return p.io.In32(portData)
}

// Write32 writes a word.
func (p *Ports) Write32(a Address, off int, v uint32) {
	if off < 0 || off >= p.Size() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.io.Out32(portAddress, portWord(a, off))
	p.io.Out32(portData, v)
}

func portWord(a Address, off int) uint32 {
	return 1<<31 | uint32(a.Bus)<<16 | uint32(a.Device&31)<<11 | uint32(a.Function&7)<<8 | uint32(off)&0xfc
}

const absent = ^uint32(0)

// Mapper makes device registers at a physical address accessible.
type Mapper interface {
	MapDevice(phys uint64, n int) (mmio.Registers, error)
}

const (
	ecamFunction = 4096
	ecamBus      = 256 * ecamFunction
)

// ECAM is Config by memory: function f of device d on bus b has its 4096 bytes
// at base + (b<<20 | d<<15 | f<<12). Buses are mapped when first used.
type ECAM struct {
	mapper     Mapper
	base       uint64 // physical address of bus 0, even if it starts later
	first, end int    // buses [first, end)

	mu    sync.Mutex
	buses map[uint8]mmio.Registers // nil value: cannot be mapped
}

// NewECAM returns access to the buses first to last of the region that the MCFG
// table says is at base.
func NewECAM(m Mapper, base uint64, first, last uint8) (*ECAM, error) {
	if first > last || base%ecamBus != 0 || base+256*ecamBus < base {
		return nil, fmt.Errorf("pci: ECAM region at %#x for buses %d to %d", base, first, last)
	}
	return &ECAM{mapper: m, base: base, first: int(first), end: int(last) + 1, buses: map[uint8]mmio.Registers{}}, nil
}

// Size returns 4096.
func (e *ECAM) Size() int { return ecamFunction }

// Read32 reads a word.
func (e *ECAM) Read32(a Address, off int) uint32 {
	r, at := e.at(a, off)
	if r == nil {
		return absent
	}
	return r.Read32(at)
}

// Write32 writes a word.
func (e *ECAM) Write32(a Address, off int, v uint32) {
	if r, at := e.at(a, off); r != nil {
		r.Write32(at, v)
	}
}

func (e *ECAM) at(a Address, off int) (mmio.Registers, int) {
	if int(a.Bus) < e.first || int(a.Bus) >= e.end || off < 0 || off >= ecamFunction {
		return nil, 0
	}
	return e.bus(a.Bus), int(a.Device&31)<<15 | int(a.Function&7)<<12 | off&^3
}

func (e *ECAM) bus(n uint8) mmio.Registers {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, known := e.buses[n]
	if !known {
		mapped, err := e.mapper.MapDevice(e.base+uint64(n)*ecamBus, ecamBus)
		if err == nil {
			r = mapped
		}
		e.buses[n] = r
	}
	return r
}

// PortsPresent reports whether the machine has configuration access by ports:
// the address register then keeps what is written to it.
func PortsPresent(io IO) bool {
	const probe = 1 << 31
	io.Out32(portAddress, probe)
	return io.In32(portAddress) == probe
}
