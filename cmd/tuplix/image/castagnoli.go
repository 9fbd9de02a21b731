package image

import (
	"bytes"
	"os"
	"path/filepath"
)

// Package hash/crc32 makes two tables for Castagnoli's polynomial when a program first
// asks for it, as Pebble does at each start: 194,000 times the processor's instruction,
// which under emulation is a call of QEMU's, 10 ms of a boot. The checksum of what is only
// followed by zeros is linear: that of a number is the sum, without carries, of those of its
// bits. So an image calculates the checksums of single bits, and adds.
const (
	castagnoliFile = "src/hash/crc32/crc32_amd64.go" // of GOROOT
	castagnoliLine = "\t\t\tval := uint32(i) << uint32(b*8)\n"
	castagnoliSums = `			if low := i & -i; low != i {
				castagnoliSSE42TableK1[b][i] = castagnoliSSE42TableK1[b][i-low] ^ castagnoliSSE42TableK1[b][low]
				castagnoliSSE42TableK2[b][i] = castagnoliSSE42TableK2[b][i-low] ^ castagnoliSSE42TableK2[b][low]
				continue
			}
`
)

// quickenCastagnoli puts that before the line. A toolchain without the line is left alone:
// its tables are right, too.
func (w *workspace) quickenCastagnoli() error {
	name := filepath.Join(w.goroot, filepath.FromSlash(castagnoliFile))
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil || bytes.Count(text, []byte(castagnoliLine)) != 1 {
		return err
	}
	return w.provide(name, bytes.Replace(text, []byte(castagnoliLine), []byte(castagnoliSums+castagnoliLine), 1))
}
