package blk

import "sync/atomic"

// Stats count the requests that the device has answered since it was opened.
type Stats struct {
	Reads, Writes, Flushes  uint64 // requests
	BytesRead, BytesWritten uint64
	Errors                  uint64 // requests of any kind that it failed
}

// counts are what Stats are read from.
type counts struct {
	reads, writes, flushes, read, written, errors atomic.Uint64
}

// Stats returns what was counted until now.
func (d *Device) Stats() Stats {
	c := &d.counts
	return Stats{
		Reads: c.reads.Load(), Writes: c.writes.Load(), Flushes: c.flushes.Load(),
		BytesRead: c.read.Load(), BytesWritten: c.written.Load(), Errors: c.errors.Load(),
	}
}

// add counts a request that was answered.
func (c *counts) add(r *request, err error) {
	switch {
	case err != nil:
		c.errors.Add(1)
	case r.kind == typeIn:
		c.reads.Add(1)
		c.read.Add(uint64(len(r.data)))
	case r.kind == typeOut:
		c.writes.Add(1)
		c.written.Add(uint64(len(r.data)))
	case r.kind == typeFlush:
		c.flushes.Add(1)
	}
}
