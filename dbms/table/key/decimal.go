package key

import (
	"math/big"
)

// MaxDigits is the most significant decimal digits that a decimal may have.
const MaxDigits = 1000

// MaxExponent bounds the exponent e of 0.d1d2d3... * 10^e, either way.
const MaxExponent = 1000

const (
	negative = 0x01
	zero     = 0x02
	positive = 0x03
)

// AppendDecimal appends the encoding of coefficient * 10^exponent to b. It
// fails with ErrRange beyond MaxDigits and MaxExponent.
func AppendDecimal(b []byte, coefficient *big.Int, exponent int) ([]byte, error) {
	sign := coefficient.Sign()
	if sign == 0 {
		return append(b, zero), nil
	}
	if coefficient.BitLen() > MaxDigits*4 {
		return b, ErrRange
	}
	var text [64]byte
	digits := coefficient.Append(text[:0], 10)
	if sign < 0 {
		digits = digits[1:]
	}
	e := exponent + len(digits)
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	if len(digits) > MaxDigits || e > MaxExponent || e < -MaxExponent {
		return b, ErrRange
	}
	if sign > 0 {
		return appendDigits(append(b, positive), e, digits), nil
	}
	b = append(b, negative)
	start := len(b)
	b = appendDigits(b, e, digits)
	Invert(b[start:])
	return b, nil
}

func appendDigits(b []byte, e int, digits []byte) []byte {
	b = AppendInt(b, int64(e))
	for i := 0; i < len(digits); i += 2 {
		pair := (digits[i] - '0') * 10
		if i+1 < len(digits) {
			pair += digits[i+1] - '0'
		}
		b = append(b, pair+1)
	}
	return append(b, 0)
}

// Decimal decodes a decimal at the start of b, and returns its size. The
// coefficient has no zeros at its end.
func Decimal(b []byte) (coefficient *big.Int, exponent, size int, err error) {
	if len(b) == 0 {
		return nil, 0, 0, ErrMalformed
	}
	switch b[0] {
	case zero:
		return new(big.Int), 0, 1, nil
	case positive:
		coefficient, exponent, size, err = magnitude(b[1:], 0)
	case negative:
		coefficient, exponent, size, err = magnitude(b[1:], 0xff)
	default:
		err = ErrMalformed
	}
	if err != nil {
		return nil, 0, 0, err
	}
	if b[0] == negative {
		coefficient.Neg(coefficient)
	}
	return coefficient, exponent, size + 1, nil
}

// magnitude decodes what follows the sign, inverted by mask.
func magnitude(b []byte, mask byte) (coefficient *big.Int, exponent, size int, err error) {
	var head [9]byte
	n := copy(head[:], b)
	if mask != 0 {
		Invert(head[:n])
	}
	e, size, err := Int(head[:n])
	if err != nil || e > MaxExponent || e < -MaxExponent {
		return nil, 0, 0, ErrMalformed
	}
	var text [64]byte
	digits := text[:0]
	for ; ; size++ {
		if size >= len(b) || b[size]^mask > 100 || len(digits) > MaxDigits {
			return nil, 0, 0, ErrMalformed
		}
		pair := b[size] ^ mask
		if pair == 0 {
			size++
			break
		}
		digits = append(digits, '0'+(pair-1)/10, '0'+(pair-1)%10)
	}
	if len(digits) == 0 || digits[0] == '0' {
		return nil, 0, 0, ErrMalformed
	}
	if digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	if digits[len(digits)-1] == '0' || len(digits) > MaxDigits {
		return nil, 0, 0, ErrMalformed
	}
	coefficient, _ = new(big.Int).SetString(string(digits), 10)
	return coefficient, int(e) - len(digits), size, nil
}
