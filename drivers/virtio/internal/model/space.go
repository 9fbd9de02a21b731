package model

import "encoding/binary"

// space is a device's configuration as registers.
type space struct{ d *Device }

func (s space) Len() int { return len(s.d.Space) }

func (s space) read(off, n int) []byte {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return append([]byte(nil), s.d.Space[off:off+n]...)
}

func (s space) Read8(off int) uint8   { return s.read(off, 1)[0] }
func (s space) Read16(off int) uint16 { return binary.LittleEndian.Uint16(s.read(off, 2)) }
func (s space) Read32(off int) uint32 { return binary.LittleEndian.Uint32(s.read(off, 4)) }
func (s space) Write8(int, uint8)     { panic("model: configuration is read-only") }
func (s space) Write16(int, uint16)   { panic("model: configuration is read-only") }
func (s space) Write32(int, uint32)   { panic("model: configuration is read-only") }
