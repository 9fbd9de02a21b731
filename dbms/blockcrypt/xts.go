package blockcrypt

import (
	"crypto/aes"

	"golang.org/x/crypto/xts"
)

// unitCipher encrypts and decrypts whole units in XTS mode. Unit first is the one
// at the start of from, and the others follow. to is as long as from; it is from
// itself or does not overlap with it. Calls run in parallel.
type unitCipher interface {
	encrypt(to, from []byte, first uint64)
	decrypt(to, from []byte, first uint64)
	// wipe forgets the keys as far as that is possible. Nothing may be called
	// meanwhile or afterwards.
	wipe()
}

const (
	keyBytes  = 32           // of AES-256
	xtsBytes  = 2 * keyBytes // the key of the data, and that of the tweaks
	aesRounds = 14
)

// portable does one block of 16 bytes after the other, on any processor.
type portable struct{ xts *xts.Cipher }

func newPortable(key []byte) (*portable, error) {
	c, err := xts.NewCipher(aes.NewCipher, key)
	if err != nil {
		return nil, err
	}
	return &portable{c}, nil
}

func (c *portable) encrypt(to, from []byte, first uint64) {
	for i := 0; i < len(from); i += unitBytes {
		c.xts.Encrypt(to[i:i+unitBytes], from[i:i+unitBytes], first+uint64(i)/unitBytes)
	}
}

func (c *portable) decrypt(to, from []byte, first uint64) {
	for i := 0; i < len(from); i += unitBytes {
		c.xts.Decrypt(to[i:i+unitBytes], from[i:i+unitBytes], first+uint64(i)/unitBytes)
	}
}

// wipe can only let go: crypto/aes gives no access to its expanded keys.
func (c *portable) wipe() { c.xts = nil }
