package uart

import (
	"errors"
	"sync"

	reg "github.com/usbarmory/tamago/soc/intel/uart"
)

// Ports are the machine's I/O ports.
type Ports interface {
	In8(port uint16) uint8
	Out8(port uint16, v uint8)
}

// Interrupt is the interrupt of the port, routed already.
type Interrupt interface {
	// Wait calls ready at once and after each interrupt until it returns
	// true.
	Wait(ready func() bool) error
}

// The first serial port of a PC: its base, and its ISA interrupt.
const (
	COM1 = 0x3f8
	IRQ1 = 4
)

// Registers and bits that TamaGo does not name.
const (
	regIIR     = 0x02 // reading FCR's address
	regScratch = 0x07

	ierReceive  = 1 << 0
	ierTransmit = 1 << 1

	iirNone     = 1 << 0 // no reason
	iirReason   = 7 << 1
	iirTransmit = 1 << 1
	iirFIFO     = 3 << 6

	fcrEnable  = 1 << 0
	fcrReset   = 3 << 1 // both FIFOs
	fcrTrigger = 2 << 6 // interrupt at 8 bytes, or when the line pauses

	lcrDivisor = 1 << 7
	lcr8N1     = 3

	lsrOverrun = 1 << 1
)

const (
	queueSize = 4096 // received bytes that wait for a reader
	fifoSize  = 16

	// maxReasons bounds the reasons that one interrupt may have in turn.
	maxReasons = 256
)

// ErrAbsent says that there is no port at an address.
var ErrAbsent = errors.New("uart: no 16550 at this address")

// Port is a serial port. Its methods are safe for concurrent use: whole Writes
// follow each other, Reads share what comes.
type Port struct {
	ports Ports
	base  uint16
	depth int // of the transmit FIFO

	writing sync.Mutex // one Write at a time; taken before mu

	mu       sync.Mutex // guards the registers and what follows
	received sync.Cond
	drained  sync.Cond
	queue    []byte
	ier      uint8
	overruns int
	err      error
}

// Open sets the port at base up and serves its interrupt.
func Open(ports Ports, base uint16, i Interrupt) (*Port, error) {
	p := &Port{ports: ports, base: base}
	p.received.L, p.drained.L = &p.mu, &p.mu
	if !p.present() {
		return nil, ErrAbsent
	}
	p.setUp()
	go p.serve(i)
	return p, nil
}

// in and out access the port's registers.
func (p *Port) in(r uint16) uint8     { return p.ports.In8(p.base + r) }
func (p *Port) out(r uint16, v uint8) { p.ports.Out8(p.base+r, v) }

// present tries the scratch register, which everything since the 16450 has.
func (p *Port) present() bool {
	for _, v := range []uint8{0x55, 0xaa} {
		p.out(regScratch, v)
		if p.in(regScratch) != v {
			return false
		}
	}
	return true
}

func (p *Port) setUp() {
	p.out(reg.IER, 0)
	p.out(reg.LCR, lcrDivisor)
	p.out(reg.RBR, 1) // divisor 1: 115200
	p.out(reg.IER, 0)
	p.out(reg.LCR, lcr8N1)
	fcr := uint8(fcrEnable | fcrTrigger)
	if p.in(regIIR)&iirFIFO != iirFIFO {
		fcr |= fcrReset
	}
	// What waits in a FIFO that is on already was typed while the system
	// started, and stays.
	p.out(reg.FCR, fcr)
	p.depth = 1
	if p.in(regIIR)&iirFIFO == iirFIFO {
		p.depth = fifoSize
	}
	p.out(reg.MCR, 1<<reg.MCR_DTR|1<<reg.MCR_RTS|1<<reg.MCR_INTEN)
	p.receive()
	p.enable(ierReceive)
}

// enable switches interrupts on, disable off. With mu, or before serve.
func (p *Port) enable(bits uint8)  { p.setIER(p.ier | bits) }
func (p *Port) disable(bits uint8) { p.setIER(p.ier &^ bits) }

func (p *Port) setIER(v uint8) {
	if v != p.ier {
		p.ier = v
		p.out(reg.IER, v)
	}
}

// serve follows the interrupt for ever.
func (p *Port) serve(i Interrupt) {
	err := i.Wait(func() bool {
		p.handle()
		return false
	})
	p.mu.Lock()
	p.err = err
	p.received.Broadcast()
	p.drained.Broadcast()
	p.mu.Unlock()
}

// handle deals with all reasons for an interrupt.
func (p *Port) handle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range maxReasons {
		reason := p.in(regIIR)
		if reason&iirNone != 0 {
			return
		}
		if reason&iirReason == iirTransmit {
			p.disable(ierTransmit)
			p.drained.Signal()
		}
		p.receive()
	}
}

// receive empties the FIFO into the queue, as far as there is room, and clears
// the line status.
func (p *Port) receive() {
	got := false
	for range maxReasons {
		status := p.in(reg.LSR)
		if status&lsrOverrun != 0 {
			p.overruns++
		}
		if status>>reg.LSR_DR&1 == 0 {
			break
		}
		if len(p.queue) >= queueSize {
			p.disable(ierReceive)
			break
		}
		p.queue = append(p.queue, p.in(reg.RBR))
		got = true
	}
	if got {
		p.received.Broadcast()
	}
}

// Read waits for at least one byte and returns what has come.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.received.Wait()
	}
	n := copy(b, p.queue)
	p.queue = p.queue[:copy(p.queue, p.queue[n:])]
	if p.ier&ierReceive == 0 {
		p.receive()
		p.enable(ierReceive)
	}
	return n, nil
}

// Write sends b, waiting for the FIFO as needed.
func (p *Port) Write(b []byte) (n int, err error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for n < len(b) {
		if err := p.waitDrained(); err != nil {
			return n, err
		}
		for end := min(len(b), n+p.depth); n < end; n++ {
			p.out(reg.THR, b[n])
		}
	}
	return n, nil
}

// waitDrained waits until the transmit FIFO is empty. Switching the interrupt on
// while it is empty raises it, so that no end of sending is missed.
func (p *Port) waitDrained() error {
	for p.in(reg.LSR)>>reg.LSR_THRE&1 == 0 {
		if p.err != nil {
			return p.err
		}
		p.enable(ierTransmit)
		p.drained.Wait()
	}
	return nil
}

// Overruns returns how often the hardware had to drop received bytes.
func (p *Port) Overruns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.overruns
}
