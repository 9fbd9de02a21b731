package linux

import (
	"crypto/rand"
	"syscall"

	"golang.org/x/sys/unix"
)

// The character devices, by their Linux numbers.
var (
	deviceNull    = unix.Mkdev(1, 3)
	deviceZero    = unix.Mkdev(1, 5)
	deviceFull    = unix.Mkdev(1, 7)
	deviceRandom  = unix.Mkdev(1, 8)
	deviceURandom = unix.Mkdev(1, 9)
	deviceTTY     = unix.Mkdev(5, 0)
	deviceConsole = unix.Mkdev(5, 1)
)

// openDevice opens what a device node stands for; ENXIO if there is nothing.
func (s *System) openDevice(n node, number uint64) (Description, error) {
	d := &device{n: n}
	switch number {
	case deviceNull:
		d.fill, d.take = nothing, everything
	case deviceZero:
		d.fill, d.take = zeros, everything
	case deviceFull:
		d.fill, d.take = zeros, noSpace
	case deviceRandom, deviceURandom:
		d.fill, d.take = rand.Read, everything
	case deviceTTY, deviceConsole:
		if s.console == nil {
			return nil, syscall.ENXIO
		}
		return s.console(), nil
	default:
		return nil, syscall.ENXIO
	}
	if err := pin(n); err != nil {
		return nil, err
	}
	return d, nil
}

func nothing([]byte) (int, error)      { return 0, nil }
func everything(p []byte) (int, error) { return len(p), nil }
func noSpace([]byte) (int, error)      { return 0, syscall.ENOSPC }

func zeros(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// device is an open character device without state.
type device struct {
	n          node
	fill, take func([]byte) (int, error)
}

func (d *device) node() node                             { return d.n }
func (d *device) Read(p []byte) (int, error)             { return d.fill(p) }
func (d *device) Write(p []byte) (int, error)            { return d.take(p) }
func (d *device) ReadAt(p []byte, _ int64) (int, error)  { return d.fill(p) }
func (d *device) WriteAt(p []byte, _ int64) (int, error) { return d.take(p) }
func (d *device) Ready() uint32                          { return syscall.EPOLLIN | syscall.EPOLLOUT }
func (d *device) Close() error                           { return unpin(d.n) }

func (d *device) Append(p []byte) (int, int64, error) {
	n, err := d.take(p)
	return n, 0, err
}

// The size of a device is nothing, so that every seek leads to its offset.
func (d *device) Size() (int64, error)              { return 0, nil }
func (d *device) SeekData(off int64) (int64, error) { return 0, syscall.EINVAL }
func (d *device) SeekHole(off int64) (int64, error) { return 0, syscall.EINVAL }

func (d *device) Stat(st *syscall.Stat_t) error {
	a := d.n.Attr()
	fillStat(st, d.n.device(), &a)
	return nil
}
