package key

import (
	"bytes"
	"errors"
)

// ErrRange refuses a value that is too large for its encoding.
var ErrRange = errors.New("value out of range")

// Form is how values of some type are encoded.
type Form uint8

// The forms; the package comment draws them.
const (
	FormBool Form = iota
	FormUint
	FormInt
	FormFloat
	FormDecimal
	FormText
	FormUUID
)

// Column is what is to be known of a column in order to find its end.
type Column struct {
	Form       Form
	Nullable   bool
	Descending bool
}

// Skip returns the size of the value of column c at the start of b. It looks at
// no more than it must: the bytes it passes may still be malformed.
func Skip(b []byte, c Column) (int, error) {
	mask, size := byte(0), 0
	if c.Descending {
		mask = 0xff
	}
	if c.Nullable {
		switch {
		case len(b) == 0 || b[0]^mask > NotNull:
			return 0, ErrMalformed
		case b[0]^mask == Null:
			return 1, nil
		}
		size = 1
	}
	n, err := skip(b[size:], c.Form, mask)
	if err != nil || size+n > len(b) {
		return 0, ErrMalformed
	}
	return size + n, nil
}

func skip(b []byte, f Form, mask byte) (int, error) {
	if len(b) == 0 {
		return 0, ErrMalformed
	}
	first := b[0] ^ mask
	switch f {
	case FormBool:
		return 1, nil
	case FormFloat:
		return 8, nil
	case FormUUID:
		return uuidBytes, nil
	case FormUint:
		return 1 + max(0, int(first)-uintWide), nil
	case FormInt:
		return 1 + max(0, int(first)-uintWide, intShort-int(first)), nil
	case FormText:
		return skipText(b, mask)
	case FormDecimal:
		return skipDecimal(b, first, mask)
	}
	return 0, ErrMalformed
}

func skipText(b []byte, mask byte) (int, error) {
	for size := 0; ; size += 2 {
		n := bytes.IndexByte(b[size:], escape^mask)
		if n < 0 || size+n+1 >= len(b) {
			return 0, ErrMalformed
		}
		size += n
		if b[size+1]^mask == textEnd {
			return size + 2, nil
		}
	}
}

func skipDecimal(b []byte, sign, mask byte) (int, error) {
	switch sign {
	case zero:
		return 1, nil
	case negative:
		mask ^= 0xff
	case positive:
	default:
		return 0, ErrMalformed
	}
	e, err := skip(b[1:], FormInt, mask)
	if err != nil || 1+e > len(b) {
		return 0, ErrMalformed
	}
	n := bytes.IndexByte(b[1+e:], mask)
	if n < 0 {
		return 0, ErrMalformed
	}
	return 1 + e + n + 1, nil
}
