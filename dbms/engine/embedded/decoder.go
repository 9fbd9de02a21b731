package embedded

import "encoding/binary"

// decoder reads numbers and texts from bytes that nobody has checked. After a
// failure it gives zeros.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) fail() {
	d.rest, d.failed = nil, true
}

func (d *decoder) byte() byte {
	b := d.bytes(1)
	if d.failed {
		return 0
	}
	return b[0]
}

// bytes takes n bytes, without copying.
func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.fail()
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) version() version {
	b := d.bytes(versionSize)
	if d.failed {
		return 0
	}
	return readVersion(b)
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// limited is a uvarint of at most limit.
func (d *decoder) limited(limit uint64) uint64 {
	v := d.uvarint()
	if v > limit {
		d.fail()
		return 0
	}
	return v
}

// run is bytes with their length before them, without copying.
func (d *decoder) run() []byte { return d.bytes(int(d.limited(1 << 30))) }

func (d *decoder) text() string { return string(d.run()) }
