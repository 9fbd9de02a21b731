package unpack

import (
	"bytes"
	"unsafe"
)

// codeAddress is where the machine code of code_amd64.s begins.
func codeAddress() uintptr

// decode is the machine code's decoder of one LZ4 block. It fills dst and
// reports whether src is a block of just so many bytes.
//
//go:noescape
func decode(src, dst []byte) bool

// Offsets of the ways into the code.
const (
	pvhOffset   = 0
	linuxOffset = 16
)

// codeEnd stands behind the code.
const codeEnd = "code end"

// codeBytes is the machine code, as this program has it.
func codeBytes() []byte {
	start := codeAddress()
	page := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&start))), codeSize)
	n := bytes.Index(page, []byte(codeEnd))
	if n < 0 {
		panic("unpack: the code is larger than its page")
	}
	return page[:n]
}
