package virtio

import "unsafe"

const pageSize = 4096

// segment is a physically contiguous piece of memory.
type segment struct {
	phys uint64
	len  uint32
}

// Chain is the list of memory pieces of one request: first what the device
// reads, then what it writes. It holds addresses, not references: whoever
// submits it keeps the memory referenced (in the token) until it comes back.
// A Chain can be used again after Reset. Not safe for concurrent use.
type Chain struct {
	mem      Memory
	limit    uint32
	out, in  []segment
	writable uint64
}

// NewChain returns an empty chain for memory m, no piece of which is longer
// than limit bytes (0: no limit but that of the format).
func NewChain(m Memory, limit uint32) *Chain {
	if limit == 0 {
		limit = 1 << 31
	}
	return &Chain{mem: m, limit: limit}
}

// Reset empties the chain.
func (c *Chain) Reset() { c.out, c.in, c.writable = c.out[:0], c.in[:0], 0 }

// Len returns the number of descriptors the chain needs.
func (c *Chain) Len() int { return len(c.out) + len(c.in) }

// Out appends memory that the device reads.
func (c *Chain) Out(p []byte) { c.out = c.add(c.out, p) }

// In appends memory that the device writes.
func (c *Chain) In(p []byte) {
	c.in = c.add(c.in, p)
	c.writable += uint64(len(p))
}

// OutAt appends n bytes of contiguous memory, from AllocDMA, that the device
// reads.
func (c *Chain) OutAt(phys uint64, n int) { c.out = c.join(c.out, phys, uint32(n)) }

// InAt appends n bytes of contiguous memory, from AllocDMA, that the device
// writes.
func (c *Chain) InAt(phys uint64, n int) {
	c.in = c.join(c.in, phys, uint32(n))
	c.writable += uint64(n)
}

// add cuts p at page boundaries, for only within a page is memory contiguous,
// and joins what turns out to be adjacent.
func (c *Chain) add(segs []segment, p []byte) []segment {
	for len(p) > 0 {
		first := unsafe.Pointer(&p[0])
		n := min(len(p), pageSize-int(uintptr(first)%pageSize))
		segs = c.join(segs, c.mem.PhysicalAddress(first), uint32(n))
		p = p[n:]
	}
	return segs
}

func (c *Chain) join(segs []segment, phys uint64, n uint32) []segment {
	if k := len(segs) - 1; k >= 0 && segs[k].phys+uint64(segs[k].len) == phys {
		more := min(n, c.limit-segs[k].len)
		segs[k].len += more
		phys, n = phys+uint64(more), n-more
	}
	for n > 0 {
		part := min(n, c.limit)
		segs = append(segs, segment{phys, part})
		phys, n = phys+uint64(part), n-part
	}
	return segs
}

// write puts the chain into descriptors: entry k goes to table[at(k)], and at
// must return each index of the table at most once.
func (c *Chain) write(table []descriptor, at func(k int) uint16) {
	n := c.Len()
	for k := range n {
		d := descriptor{}
		if k < len(c.out) {
			d.addr, d.len = c.out[k].phys, c.out[k].len
		} else {
			s := c.in[k-len(c.out)]
			d.addr, d.len, d.flags = s.phys, s.len, descWrite
		}
		if k+1 < n {
			d.flags |= descNext
			d.next = at(k + 1)
		}
		table[at(k)] = d
	}
}
