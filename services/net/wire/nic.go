package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/tuplix/tuplix/services/net/link"
)

// Options describes one end of the cable.
type Options struct {
	MAC      [6]byte
	MTU      int // of IP packets; 0 means 1500
	Offloads link.Offloads
	Loss     float64 // share of the frames sent that are lost
	Seed     uint64  // of the loss
}

// partSize is how large the pieces of a received frame are: as small as
// mergeable receive buffers may be, so that frames arrive in several parts.
const partSize = 1536

const queueLen = 512

// batch is how many frames are lent to the receiver at most.
const batch = 64

type frame struct {
	header link.Header
	data   []byte
}

// NIC is one end. It implements link.Device and io.Closer.
type NIC struct {
	opts   Options
	peer   *NIC
	in     chan frame
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	rand     *rand.Rand
	breaches []error
	counts   Counts
}

// Counts tells what an end has sent.
type Counts struct {
	Frames  int // as handed in
	Large   int // of these, TCP segments left to segmentation
	Partial int // of these, with a checksum left to the device
	Lost    int
}

var errClosed = errors.New("wire: closed")

// Pair joins two devices.
func Pair(a, b Options) (*NIC, *NIC) {
	na, nb := newNIC(a), newNIC(b)
	na.peer, nb.peer = nb, na
	return na, nb
}

func newNIC(o Options) *NIC {
	if o.MTU == 0 {
		o.MTU = 1500
	}
	return &NIC{
		opts:   o,
		in:     make(chan frame, queueLen),
		closed: make(chan struct{}),
		rand:   rand.New(rand.NewPCG(o.Seed, 1)),
	}
}

// MAC implements link.Device.
func (n *NIC) MAC() [6]byte { return n.opts.MAC }

// MTU implements link.Device.
func (n *NIC) MTU() int { return n.opts.MTU }

// Offloads implements link.Device.
func (n *NIC) Offloads() link.Offloads { return n.opts.Offloads }

// Breaches returns how the sender broke the rules of its offload headers.
func (n *NIC) Breaches() []error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]error(nil), n.breaches...)
}

// Counts returns what was sent so far.
func (n *NIC) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts
}

// Close ends Receive at both ends.
func (n *NIC) Close() error {
	for _, end := range []*NIC{n, n.peer} {
		end.once.Do(func() { close(end.closed) })
	}
	return nil
}

// Transmit implements link.Device.
func (n *NIC) Transmit(h link.Header, parts [][]byte, _ bool, done func()) error {
	select {
	case <-n.closed:
		return errClosed
	default:
	}
	data := bytes.Join(parts, nil)
	frames, err := n.finish(h, data)
	if err != nil {
		n.breach(err)
		done()
		return nil
	}
	for _, f := range frames {
		if err := n.put(f); err != nil {
			return err
		}
	}
	done()
	return nil
}

func (n *NIC) breach(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.breaches = append(n.breaches, err)
}

func (n *NIC) put(f frame) error {
	n.mu.Lock()
	lose := n.rand.Float64() < n.opts.Loss
	if lose {
		n.counts.Lost++
	}
	n.mu.Unlock()
	if lose {
		return nil
	}
	select {
	case n.peer.in <- f:
		return nil
	case <-n.closed:
		return errClosed
	}
}

// Receive implements link.Device.
func (n *NIC) Receive(deliver func(h link.Header, parts [][]byte), flush func()) error {
	var lent [][]byte
	for {
		select {
		case f := <-n.in:
			deliver(f.header, split(f.data))
			lent = append(lent, f.data)
		case <-n.closed:
			return errClosed
		}
		if len(lent) < batch && len(n.in) > 0 {
			continue
		}
		flush()
		for _, b := range lent { // the device's buffers are reused
			for i := range b {
				b[i] = 0xdd
			}
		}
		lent = lent[:0]
	}
}

// Flush implements link.Device: frames leave at once.
func (n *NIC) Flush() {}

func split(data []byte) [][]byte {
	var parts [][]byte
	for len(data) > partSize {
		parts = append(parts, data[:partSize:partSize])
		data = data[partSize:]
	}
	return append(parts, data)
}

// finish does what the sender left to the device.
func (n *NIC) finish(h link.Header, data []byte) ([]frame, error) {
	n.mu.Lock()
	n.counts.Frames++
	if h.GSOType != link.GSONone {
		n.counts.Large++
	}
	if h.Flags&link.NeedsChecksum != 0 {
		n.counts.Partial++
	}
	n.mu.Unlock()
	if err := n.check(h, data); err != nil {
		return nil, fmt.Errorf("wire: %w (%d bytes, header %+v)", err, len(data), h)
	}
	rx := n.peer.opts.Offloads
	if h.GSOType != link.GSONone && !rx.RxGRO {
		return n.segment(h, data)
	}
	return n.complete(h, data, rx.RxChecksum)
}
