package uart

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"
)

// chip is a 16550 in software, with an edge-triggered interrupt line.
type chip struct {
	mu      sync.Mutex
	regs    [8]uint8
	rx      []byte // FIFO
	tx      []byte // FIFO
	sent    []byte
	lost    bool // overrun
	pending bool // transmit interrupt
	line    bool
	edge    chan struct{}
	fault   chan error
	fifo    bool
}

func newChip() *chip {
	return &chip{edge: make(chan struct{}, 1), fault: make(chan error, 1), fifo: true}
}

func (c *chip) reason() uint8 {
	switch {
	case c.regs[1]&ierReceive != 0 && len(c.rx) > 0:
		return 2 << 1
	case c.regs[1]&ierTransmit != 0 && c.pending:
		return iirTransmit
	}
	return iirNone
}

// update drives the line after a change.
func (c *chip) update() {
	level := c.reason() != iirNone
	if level && !c.line {
		select {
		case c.edge <- struct{}{}:
		default:
		}
	}
	c.line = level
}

func (c *chip) In8(port uint16) (v uint8) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.update()
	switch port - COM1 {
	case 0:
		if len(c.rx) > 0 {
			v, c.rx = c.rx[0], c.rx[1:]
		}
	case 2:
		v = c.reason()
		if v == iirTransmit {
			c.pending = false
		}
		if c.fifo {
			v |= iirFIFO
		}
	case 5:
		if len(c.rx) > 0 {
			v |= 1
		}
		if c.lost {
			v |= lsrOverrun
			c.lost = false
		}
		if len(c.tx) == 0 {
			v |= 1 << 5
		}
	default:
		v = c.regs[port-COM1]
	}
	return v
}

func (c *chip) Out8(port uint16, v uint8) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.update()
	r := port - COM1
	divisor := c.regs[3]&lcrDivisor != 0
	switch {
	case r == 0 && !divisor:
		if len(c.tx) == fifoSize || !c.fifo && len(c.tx) == 1 {
			panic("write to a full FIFO")
		}
		c.tx = append(c.tx, v)
		c.pending = false
	case r == 1 && !divisor:
		if v&^c.regs[1]&ierTransmit != 0 && len(c.tx) == 0 {
			c.pending = true
		}
		c.regs[1] = v
	default:
		c.regs[r] = v
	}
}

func (c *chip) Wait(ready func() bool) error {
	for !ready() {
		select {
		case <-c.edge:
		case err := <-c.fault:
			return err
		}
	}
	return nil
}

// shift sends what is in the transmit FIFO.
func (c *chip) shift() {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.update()
	if len(c.tx) > 0 {
		c.sent = append(c.sent, c.tx...)
		c.tx, c.pending = nil, true
	}
}

// arrive receives a byte; it reports whether there was room.
func (c *chip) arrive(b byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.update()
	if len(c.rx) == fifoSize {
		return false
	}
	c.rx = append(c.rx, b)
	return true
}

func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func TestWrite(t *testing.T) {
	for _, fifo := range []bool{true, false} {
		c := newChip()
		c.fifo = fifo
		p, err := Open(c, COM1, c)
		if err != nil {
			t.Fatal(err)
		}
		want := text(1000)
		done := make(chan struct{})
		go func() {
			if n, err := p.Write(want); n != len(want) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
			close(done)
		}()
		for writing := true; writing; {
			select {
			case <-done:
				writing = false
			default:
			}
			c.shift()
		}
		if !bytes.Equal(c.sent, want) {
			t.Errorf("FIFO %v: sent %d bytes, different from the %d written", fifo, len(c.sent), len(want))
		}
	}
}

// TestRead lets more come than the queue holds before anybody reads.
func TestRead(t *testing.T) {
	c := newChip()
	p, err := Open(c, COM1, c)
	if err != nil {
		t.Fatal(err)
	}
	want := text(3 * queueSize)
	full := make(chan struct{})
	go func() {
		for i, b := range want {
			for !c.arrive(b) {
				if i > queueSize {
					select {
					case <-full:
					default:
						close(full)
					}
				}
			}
		}
	}()
	<-full
	got := make([]byte, len(want))
	if _, err := io.ReadFull(iotest.OneByteReader(p), got[:10]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(p, got[10:]); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read differs, %v", err)
	}
	if p.Overruns() != 0 {
		t.Errorf("%d overruns", p.Overruns())
	}
}

func TestAbsent(t *testing.T) {
	if _, err := Open(void{}, COM1, nil); !errors.Is(err, ErrAbsent) {
		t.Error(err)
	}
}

type void struct{}

func (void) In8(uint16) uint8   { return 0xff }
func (void) Out8(uint16, uint8) {}

func TestInterruptFails(t *testing.T) {
	c := newChip()
	p, err := Open(c, COM1, c)
	if err != nil {
		t.Fatal(err)
	}
	c.fault <- io.ErrUnexpectedEOF
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
