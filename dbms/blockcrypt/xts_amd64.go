package blockcrypt

import (
	"fmt"

	"golang.org/x/sys/cpu"
)

// newCipher takes the processor's own AES where there is one.
func newCipher(key []byte) (unitCipher, error) {
	if !cpu.X86.HasAES {
		return newPortable(key)
	}
	return newAESNI(key)
}

// roundKeys are an expanded key of AES-256: one of 16 bytes before the first
// round, and one for each.
type roundKeys [(aesRounds + 1) * 16]byte

// schedule is laid out as xts_amd64.s has it:
//
//	0    round keys for encrypting data
//	240  the same for decrypting, in the order of use
//	480  round keys for encrypting tweaks
type schedule struct{ data, inverse, tweak roundKeys }

// aesni keeps eight blocks in flight.
type aesni struct{ keys schedule }

func newAESNI(key []byte) (*aesni, error) {
	if len(key) != xtsBytes {
		return nil, fmt.Errorf("blockcrypt: a key of %d bytes, not %d", len(key), xtsBytes)
	}
	c := new(aesni)
	expandKey((*[keyBytes]byte)(key[:keyBytes]), &c.keys.data)
	invertKey(&c.keys.data, &c.keys.inverse)
	expandKey((*[keyBytes]byte)(key[keyBytes:]), &c.keys.tweak)
	return c, nil
}

// maxUnits bounds one call of assembly, which the scheduler cannot interrupt, to
// some ten microseconds, and to half a millisecond under emulation.
const maxUnits = 64

func (c *aesni) encrypt(to, from []byte, first uint64) {
	for units := wholeUnits(to, from); units > 0; units = len(from) / unitBytes {
		n := min(units, maxUnits)
		encryptUnits(&to[0], &from[0], n, first, &c.keys)
		to, from, first = to[n*unitBytes:], from[n*unitBytes:], first+uint64(n)
	}
}

func (c *aesni) decrypt(to, from []byte, first uint64) {
	for units := wholeUnits(to, from); units > 0; units = len(from) / unitBytes {
		n := min(units, maxUnits)
		decryptUnits(&to[0], &from[0], n, first, &c.keys)
		to, from, first = to[n*unitBytes:], from[n*unitBytes:], first+uint64(n)
	}
}

func (c *aesni) wipe() { c.keys = schedule{} }

// wholeUnits guards memory: assembly has no bounds checks.
func wholeUnits(to, from []byte) int {
	if len(to) != len(from) || len(from)%unitBytes != 0 {
		panic(fmt.Sprintf("blockcrypt: units from %d bytes to %d", len(from), len(to)))
	}
	return len(from) / unitBytes
}

// expandKey derives the round keys from a key.
//
//go:noescape
func expandKey(key *[keyBytes]byte, keys *roundKeys)

// invertKey derives the keys for decrypting from those for encrypting.
//
//go:noescape
func invertKey(keys, inverse *roundKeys)

// encryptUnits encrypts n units, n at least 1.
//
//go:noescape
func encryptUnits(to, from *byte, n int, first uint64, keys *schedule)

// decryptUnits decrypts n units, n at least 1.
//
//go:noescape
func decryptUnits(to, from *byte, n int, first uint64, keys *schedule)
