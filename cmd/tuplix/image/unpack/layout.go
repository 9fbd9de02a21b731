package unpack

import (
	"encoding/binary"
	"fmt"
)

// What a loader brings into memory, in one piece, from the physical address
// base on; all numbers are little-endian:
//
//	base    payload: chunks, each a number of bytes (u32) and the bytes
//	block   a page of code (code_amd64.s)
//	+1000   the table, and at the end of its page a stack
//	+2000   page tables that map the first 4 GiB: one page each of the upper
//	        two levels, and four of 2 MiB pages
//
// The payload overlaps the end of the memory that it is unpacked to, so that
// nearly all of it is in memory that the program fills anyway; it lies so high
// that no byte is overwritten before it is read. The block lies behind all that
// is written. The table:
//
//	000  u64  physical address of the payload
//	008  u64  its length
//	010  u64  physical address of the program's PVH entry
//	018  u64  address of its entry as a Linux process
//	020  u64  physical address of the table
//	028  u64  length of the message
//	030  u16  limit, u64 base of the descriptor table
//	040  u32  EBX, CR0, CR4 while the code runs
//	050       descriptor table: null, 64-bit code, data, 32-bit code
//	0C0       the message for an image that is damaged
//	100       segments, at most maxSegments: u64 address, bytes in the payload
//	          and in memory, mmap's protection; an address of 0 ends them
const (
	pageSize     = 4096
	codeSize     = pageSize
	tableOffset  = codeSize
	pagesOffset  = tableOffset + pageSize
	blockSize    = pagesOffset + 6*pageSize
	gdtOffset    = 0x50
	textOffset   = 0xC0
	segments     = 0x100
	segmentSize  = 32
	maxSegments  = 16
	chunkSize    = 1 << 20 // a chunk unpacks to so many bytes, the last one of a segment to fewer
	addressLimit = 1 << 32
)

// FirmwareArea is how many bytes below the end of memory SeaBIOS, the firmware of QEMU
// and of others, may be at work until it has started the image: from 16 MiB
// (BUILD_MAX_HIGHTABLE) downwards it allocates what it needs for itself for a while.
// An image that reaches so high is damaged by it.
const FirmwareArea = 16 << 20

// message says what is wrong, and how much memory would do for an image that ends at
// an address.
func message(end uint64) string {
	return fmt.Sprintf("tuplix: the image is damaged, or memory under %d MiB\r\n", (end+FirmwareArea+1<<20-1)>>20)
}

// block returns the code, its table and its page tables for a payload of n
// bytes at base, to be put at the physical address at.
func (p *Program) block(base, n, at uint64) []byte {
	b := make([]byte, blockSize)
	copy(b, codeBytes())
	le := binary.LittleEndian
	t := b[tableOffset:]
	le.PutUint64(t[0x00:], base)
	le.PutUint64(t[0x08:], n)
	le.PutUint64(t[0x10:], p.Entry)
	le.PutUint64(t[0x18:], p.Linux)
	le.PutUint64(t[0x20:], at+tableOffset)
	text := message(at + blockSize)
	le.PutUint64(t[0x28:], uint64(len(text)))
	descriptors := []uint64{0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0x00CF9B000000FFFF}
	le.PutUint16(t[0x30:], uint16(8*len(descriptors)-1))
	le.PutUint64(t[0x32:], at+tableOffset+gdtOffset)
	for i, d := range descriptors {
		le.PutUint64(t[gdtOffset+8*i:], d)
	}
	copy(t[textOffset:], text)
	for i, s := range p.Segments {
		e := t[segments+segmentSize*i:]
		le.PutUint64(e[0:], s.Address)
		le.PutUint64(e[8:], uint64(len(s.Data)))
		le.PutUint64(e[16:], s.Size)
		le.PutUint64(e[24:], uint64(s.Protection))
	}
	pageTables(b[pagesOffset:], at+pagesOffset)
	return b
}

// pageTables fills in page tables that lie at the physical address at.
func pageTables(b []byte, at uint64) {
	const presentWritable, large = 3, 0x80
	le := binary.LittleEndian
	le.PutUint64(b, at+pageSize|presentWritable)
	for i := range uint64(4) {
		le.PutUint64(b[pageSize+8*i:], at+(2+i)*pageSize|presentWritable)
	}
	for i := range uint64(4 * 512) {
		le.PutUint64(b[2*pageSize+8*i:], i<<21|presentWritable|large)
	}
}

// check refuses what the code cannot handle.
func (p *Program) check() error {
	if len(p.Segments) == 0 || len(p.Segments) > maxSegments {
		return fmt.Errorf("%d segments, not 1 to %d", len(p.Segments), maxSegments)
	}
	end := uint64(1 << 20)
	for _, s := range p.Segments {
		switch {
		case s.Address%pageSize != 0:
			return fmt.Errorf("a segment at %#x, not at the start of a page", s.Address)
		case s.Address < end:
			return fmt.Errorf("a segment at %#x, below %#x", s.Address, end)
		case s.Size < uint64(len(s.Data)) || s.Size == 0 || s.Size >= addressLimit || s.Address+s.Size >= addressLimit:
			return fmt.Errorf("a segment at %#x with %#x bytes of %#x", s.Address, len(s.Data), s.Size)
		}
		end = s.Address + s.Size
	}
	if p.Entry >= addressLimit {
		return fmt.Errorf("an entry at %#x, above 4 GiB", p.Entry)
	}
	return nil
}
