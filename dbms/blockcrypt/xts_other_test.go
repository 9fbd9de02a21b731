//go:build !amd64

package blockcrypt

// wiped tells whether nothing is left of the keys.
func wiped(c unitCipher) bool { return c.(*portable).xts == nil }
