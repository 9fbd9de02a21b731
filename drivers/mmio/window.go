package mmio

import "fmt"

// window is a part of other registers.
type window struct {
	Registers
	off, size int
}

// Window returns the size bytes of r from off on, or an error if they are not
// all within r: offset and size may come from the device.
func Window(r Registers, off, size int) (Registers, error) {
	if off < 0 || size < 0 || off > r.Len() || size > r.Len()-off {
		return nil, fmt.Errorf("mmio: %#x bytes at %#x are not within the %#x bytes of the device", size, off, r.Len())
	}
	return window{r, off, size}, nil
}

func (w window) Len() int { return w.size }

func (w window) Read8(off int) uint8       { return w.Registers.Read8(w.at(off, 1)) }
func (w window) Read16(off int) uint16     { return w.Registers.Read16(w.at(off, 2)) }
func (w window) Read32(off int) uint32     { return w.Registers.Read32(w.at(off, 4)) }
func (w window) Write8(off int, v uint8)   { w.Registers.Write8(w.at(off, 1), v) }
func (w window) Write16(off int, v uint16) { w.Registers.Write16(w.at(off, 2), v) }
func (w window) Write32(off int, v uint32) { w.Registers.Write32(w.at(off, 4), v) }

func (w window) at(off, width int) int {
	check(w.size, off, width)
	return w.off + off
}
