package model

// Chain is a chain as the device sees it.
type Chain struct {
	Head     uint16
	Indirect bool
	queue    *Queue
	out, in  []piece
}

type piece struct {
	phys uint64
	n    int
}

func (c *Chain) add(p piece, write bool) {
	switch {
	case p.n == 0:
		panic("model: empty descriptor")
	case write:
		c.in = append(c.in, p)
	case len(c.in) > 0:
		panic("model: readable descriptor after a writable one")
	default:
		c.out = append(c.out, p)
	}
}

// Queue returns the chain's queue.
func (c *Chain) Queue() *Queue { return c.queue }

// Pieces returns how many descriptors the chain has.
func (c *Chain) Pieces() int { return len(c.out) + len(c.in) }

// Longest returns the length of the longest descriptor.
func (c *Chain) Longest() (n int) {
	for _, p := range append(append([]piece(nil), c.out...), c.in...) {
		n = max(n, p.n)
	}
	return n
}

// Read returns what the driver put into the readable part.
func (c *Chain) Read() []byte {
	var b []byte
	for _, p := range c.out {
		pieces(p.phys, p.n, func(m []byte) { b = append(b, m...) })
	}
	return b
}

// Room returns the size of the writable part.
func (c *Chain) Room() (n int) {
	for _, p := range c.in {
		n += p.n
	}
	return n
}

// Write puts b into the writable part at offset at, and returns how much fit.
func (c *Chain) Write(at int, b []byte) (n int) {
	for _, p := range c.in {
		pieces(p.phys, p.n, func(m []byte) {
			if at >= len(m) {
				at -= len(m)
				return
			}
			k := copy(m[at:], b)
			at, b, n = 0, b[k:], n+k
		})
	}
	return n
}
