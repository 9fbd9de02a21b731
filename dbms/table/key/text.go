package key

import (
	"bytes"
)

const (
	escape    = 0x00
	escaped   = 0xff // after escape: a zero byte
	textEnd   = 0x01 // after escape: the end
	uuidBytes = 16
)

// Null is the encoding of null, NotNull what precedes a value of a column that
// can be null.
const (
	Null    = 0x00
	NotNull = 0x01
)

// AppendText appends the encoding of v to b.
func AppendText[T string | []byte](b []byte, v T) []byte {
	start := 0
	for i := 0; i < len(v); i++ {
		if v[i] == escape {
			b = append(b, v[start:i]...)
			b = append(b, escape, escaped)
			start = i + 1
		}
	}
	b = append(b, v[start:]...)
	return append(b, escape, textEnd)
}

// Text decodes text at the start of b, appends it to dst, and returns its size.
func Text(dst, b []byte) (v []byte, size int, err error) {
	for size < len(b) {
		n := bytes.IndexByte(b[size:], escape)
		if n < 0 || size+n+1 >= len(b) {
			break
		}
		dst = append(dst, b[size:size+n]...)
		size += n + 2
		switch b[size-1] {
		case textEnd:
			return dst, size, nil
		case escaped:
			dst = append(dst, escape)
		default:
			return dst, 0, ErrMalformed
		}
	}
	return dst, 0, ErrMalformed
}

// AppendUUID appends the encoding of v to b.
func AppendUUID(b []byte, v [uuidBytes]byte) []byte { return append(b, v[:]...) }

// UUID decodes a UUID at the start of b, and returns its size.
func UUID(b []byte) (v [uuidBytes]byte, size int, err error) {
	if len(b) < uuidBytes {
		return v, 0, ErrMalformed
	}
	return [uuidBytes]byte(b), uuidBytes, nil
}

// Invert inverts all bits of b, which turns an encoding into that of a
// descending column, or back.
func Invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}
