//go:build !amd64

package blockcrypt

func newCipher(key []byte) (unitCipher, error) { return newPortable(key) }
