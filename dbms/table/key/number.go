package key

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
)

// ErrMalformed refuses bytes that no value is encoded as.
var ErrMalformed = errors.New("malformed key")

const (
	uintWide = 0xf7 // larger first bytes: that much more is the number of bytes
	intZero  = 0x80 // first byte of 0
	intShort = 0x08 // smaller first bytes: that much less is the number of bytes
	signBit  = uint64(1) << 63
	nanBits  = uint64(0x7ff8000000000001)
)

// AppendBool appends the encoding of v to b.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// Bool decodes a bool at the start of b, and returns its size.
func Bool(b []byte) (v bool, size int, err error) {
	if len(b) == 0 || b[0] > 1 {
		return false, 0, ErrMalformed
	}
	return b[0] == 1, 1, nil
}

// AppendUint appends the encoding of v to b.
func AppendUint(b []byte, v uint64) []byte {
	if v <= uintWide {
		return append(b, byte(v))
	}
	return appendWide(b, uintWide, v)
}

// appendWide appends v in the fewest bytes, after their number.
func appendWide(b []byte, base byte, v uint64) []byte {
	n := (bits.Len64(v) + 7) / 8
	var wide [9]byte
	wide[0] = base + byte(n)
	binary.BigEndian.PutUint64(wide[1:], v<<(64-8*n))
	return append(b, wide[:1+n]...)
}

// Uint decodes an unsigned integer at the start of b, and returns its size.
func Uint(b []byte) (v uint64, size int, err error) {
	if len(b) == 0 {
		return 0, 0, ErrMalformed
	}
	if b[0] <= uintWide {
		return uint64(b[0]), 1, nil
	}
	n := int(b[0] - uintWide)
	if v, err = wide(b[1:], n); err != nil || v <= uintWide || v>>(8*(n-1)) == 0 {
		return 0, 0, ErrMalformed
	}
	return v, 1 + n, nil
}

// wide reads n bytes, big endian.
func wide(b []byte, n int) (uint64, error) {
	if len(b) < n {
		return 0, ErrMalformed
	}
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b) >> (64 - 8*n), nil
	}
	var v uint64
	for _, c := range b[:n] {
		v = v<<8 | uint64(c)
	}
	return v, nil
}

// AppendInt appends the encoding of v to b.
func AppendInt(b []byte, v int64) []byte {
	switch {
	case v >= intShort-intZero && v <= uintWide-intZero:
		return append(b, byte(v+intZero))
	case v > 0:
		return appendWide(b, uintWide, uint64(v))
	}
	n := (bits.Len64(^uint64(v)) + 7) / 8
	var low [9]byte
	low[0] = intShort - byte(n)
	binary.BigEndian.PutUint64(low[1:], uint64(v)<<(64-8*n))
	return append(b, low[:1+n]...)
}

// Int decodes a signed integer at the start of b, and returns its size.
func Int(b []byte) (v int64, size int, err error) {
	if len(b) == 0 {
		return 0, 0, ErrMalformed
	}
	switch first := b[0]; {
	case first > uintWide:
		n := int(first - uintWide)
		u, err := wide(b[1:], n)
		if err != nil || u <= uintWide-intZero || u > math.MaxInt64 || u>>(8*(n-1)) == 0 {
			return 0, 0, ErrMalformed
		}
		return int64(u), 1 + n, nil
	case first >= intShort:
		return int64(first) - intZero, 1, nil
	default:
		n := int(intShort - first)
		u, err := wide(b[1:], n)
		if n < 8 {
			u |= ^uint64(0) << (8 * n)
		}
		if err != nil || u < signBit || int64(u) >= intShort-intZero || ^u>>(8*(n-1)) == 0 {
			return 0, 0, ErrMalformed
		}
		return int64(u), 1 + n, nil
	}
}

// AppendFloat appends the encoding of v to b.
func AppendFloat(b []byte, v float64) []byte {
	u := math.Float64bits(v)
	switch {
	case v == 0:
		u = 0
	case v != v:
		u = nanBits
	}
	if u&signBit != 0 {
		u = ^u
	} else {
		u |= signBit
	}
	return binary.BigEndian.AppendUint64(b, u)
}

// Float decodes a floating-point number at the start of b, and returns its size.
func Float(b []byte) (v float64, size int, err error) {
	if len(b) < 8 {
		return 0, 0, ErrMalformed
	}
	u := binary.BigEndian.Uint64(b)
	if u&signBit != 0 {
		u ^= signBit
	} else {
		u = ^u
	}
	v = math.Float64frombits(u)
	if u == signBit || v != v && u != nanBits {
		return 0, 0, ErrMalformed
	}
	return v, 8, nil
}
