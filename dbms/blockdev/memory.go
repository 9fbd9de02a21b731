package blockdev

import (
	"errors"
	"fmt"
	"sync"
)

// ErrRange says that a transfer does not lie within the device, or is not in
// whole sectors.
var ErrRange = errors.New("blockdev: transfer out of range or not in whole sectors")

// CheckRange tells whether n bytes at off lie within a device of the given size
// and are whole sectors. It returns nil or an error that wraps ErrRange.
func CheckRange(off, n, size int64, sector int) error {
	s := int64(sector)
	if off < 0 || n < 0 || off > size || n > size-off || off%s != 0 || n%s != 0 {
		return fmt.Errorf("%w: %d bytes at %d of %d, sectors of %d", ErrRange, n, off, size, sector)
	}
	return nil
}

// pageBytes is the unit in which Memory takes memory.
const pageBytes = 64 << 10

// Memory is a device in memory. Pages that were never written, or were
// discarded, take none and read as zeros. Nothing survives the program.
type Memory struct {
	size   int64
	sector int

	mu    sync.RWMutex
	pages map[int64]*[pageBytes]byte
}

// NewMemory makes a device of size bytes, rounded down to whole sectors. sector
// is a power of two from 512 to 64 KiB; other values panic.
func NewMemory(size int64, sector int) *Memory {
	if sector < 512 || sector > pageBytes || sector&(sector-1) != 0 {
		panic(fmt.Sprintf("blockdev: sector size %d", sector))
	}
	return &Memory{size: size - size%int64(sector), sector: sector, pages: map[int64]*[pageBytes]byte{}}
}

// Size is the capacity in bytes.
func (m *Memory) Size() int64 { return m.size }

// SectorSize is the sector size in bytes.
func (m *Memory) SectorSize() int { return m.sector }

// Flush does nothing: there is no state more durable than memory.
func (m *Memory) Flush() error { return nil }

// ReadAt fills p from off.
func (m *Memory) ReadAt(p []byte, off int64) (int, error) {
	if err := CheckRange(off, int64(len(p)), m.size, m.sector); err != nil {
		return 0, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for n := 0; n < len(p); {
		page, at := m.pages[(off+int64(n))/pageBytes], (off+int64(n))%pageBytes
		k := min(len(p)-n, int(pageBytes-at))
		if page == nil {
			clear(p[n : n+k])
		} else {
			copy(p[n:n+k], page[at:])
		}
		n += k
	}
	return len(p), nil
}

// WriteAt writes p at off.
func (m *Memory) WriteAt(p []byte, off int64) (int, error) {
	if err := CheckRange(off, int64(len(p)), m.size, m.sector); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := 0; n < len(p); {
		i, at := (off+int64(n))/pageBytes, (off+int64(n))%pageBytes
		if m.pages[i] == nil {
			m.pages[i] = new([pageBytes]byte)
		}
		n += copy(m.pages[i][at:], p[n:])
	}
	return len(p), nil
}

// Discard gives the memory of whole pages back and zeroes them.
func (m *Memory) Discard(off, n int64) error {
	if err := CheckRange(off, n, m.size, m.sector); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := (off + pageBytes - 1) / pageBytes; (i+1)*pageBytes <= off+n; i++ {
		delete(m.pages, i)
	}
	return nil
}

// Clone makes an independent device of the same content.
func (m *Memory) Clone() *Memory {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c := &Memory{size: m.size, sector: m.sector, pages: make(map[int64]*[pageBytes]byte, len(m.pages))}
	for i, page := range m.pages {
		copied := *page
		c.pages[i] = &copied
	}
	return c
}
