package blockcrypt

import (
	"bytes"
	"testing"

	"golang.org/x/sys/cpu"
)

// wiped tells whether nothing is left of the keys.
func wiped(c unitCipher) bool {
	switch c := c.(type) {
	case *aesni:
		return c.keys == schedule{}
	case *portable:
		return c.xts == nil
	}
	return false
}

// TestExpandedKey is the example of FIPS 197, appendix A.3.
func TestExpandedKey(t *testing.T) {
	if !cpu.X86.HasAES {
		t.Skip("this processor has no AES")
	}
	key := unhex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
	c, err := newAESNI(append(key, key...))
	must(t, err)
	last := unhex(t, "fe4890d1e6188d0b046df344706c631e")
	for _, keys := range []*roundKeys{&c.keys.data, &c.keys.tweak} {
		if !bytes.Equal(keys[:keyBytes], key) || !bytes.Equal(keys[aesRounds*16:], last) {
			t.Errorf("%x", *keys)
		}
	}
	if !bytes.Equal(c.keys.inverse[:16], last) || !bytes.Equal(c.keys.inverse[aesRounds*16:], key[:16]) {
		t.Errorf("inverse %x", c.keys.inverse)
	}
}
