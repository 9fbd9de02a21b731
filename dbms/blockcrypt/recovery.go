package blockcrypt

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
)

// A recovery key is 32 random bytes. What people write down and type is those
// and the first 3 of their SHA-256, in Crockford's base 32: 56 characters, in
// fourteen groups.
//
//	7K2M-4QXZ-...-W0A9
//
// Reading takes small letters, O for 0, I and L for 1, and any blanks and dashes.
const (
	recoveryBytes = 32
	recoveryCheck = 3
	recoveryChars = (recoveryBytes + recoveryCheck) * 8 / 5
	recoveryGroup = 4
)

var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// recoveryText is what to write down.
func recoveryText(key []byte) string {
	sum := sha256.Sum256(key)
	full := append(append(make([]byte, 0, recoveryBytes+recoveryCheck), key...), sum[:recoveryCheck]...)
	defer clear(full)
	digits := crockford.AppendEncode(nil, full)
	defer clear(digits)
	var text []byte
	for i := 0; i < len(digits); i += recoveryGroup {
		if i > 0 {
			text = append(text, '-')
		}
		text = append(text, digits[i:i+recoveryGroup]...)
	}
	defer clear(text)
	return string(text)
}

// parseRecovery reads what was typed. looks tells that it has the form of a
// recovery key; key is nil if it is not one, or has a typing error.
func parseRecovery(text []byte) (key []byte, looks bool) {
	digits := make([]byte, 0, recoveryChars)
	defer func() { clear(digits) }()
	for _, c := range bytes.TrimSpace(text) {
		if c == '-' || c == ' ' {
			continue
		}
		if len(digits) == recoveryChars {
			return nil, false
		}
		digits = append(digits, canonical(c))
	}
	full := make([]byte, recoveryBytes+recoveryCheck)
	defer clear(full)
	if len(digits) != recoveryChars {
		return nil, false
	}
	if _, err := crockford.Decode(full, digits); err != nil {
		return nil, false
	}
	sum := sha256.Sum256(full[:recoveryBytes])
	if !bytes.Equal(sum[:recoveryCheck], full[recoveryBytes:]) {
		return nil, true
	}
	return bytes.Clone(full[:recoveryBytes]), true
}

// canonical is the digit that a character stands for.
func canonical(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	switch c {
	case 'O':
		return '0'
	case 'I', 'L':
		return '1'
	}
	return c
}
