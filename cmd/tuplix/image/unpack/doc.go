// Package unpack packs a program's memory into a smaller piece of memory that
// unpacks itself: by its PVH entry on a bare machine, or as a Linux process.
//
// The piece begins with compressed chunks (LZ4 blocks) and ends with machine
// code, a table of what goes where, and page tables. The code is assembled by
// Go's assembler into this package and copied from the running tool, so that
// what the tool packs and what unpacks it are of one version. It is one
// function without references to others, which holds wherever it lies. On a
// machine it goes to 64-bit mode to unpack, comes back, and enters the program
// in the state in which the boot loader entered it, with the same start info.
//
// LZ4 is chosen for its decoder: fast under emulation too, where an image takes
// about a tenth of a second, and small enough to be read.
//
// # Owns
//
// The layout of the piece and of its table (layout.go), the code, the choice of
// compression.
//
// # May import
//
// The standard library and github.com/pierrec/lz4/v4, which compresses. It is
// host-side code.
//
// # Guarantees
//
// Nothing but the program's segments, the table's page and the stack in it, and
// the four bytes below 32 KiB, which every PVH entry of ours uses, is written.
// The decoder neither reads nor writes outside of the chunk that it unpacks,
// whatever the chunk says. A piece that is not as it was made, as far as that
// is seen from it (there is no checksum), says so on the first serial port, or
// as a process on standard error with the exit status 1, and stops.
//
// # Refuses
//
// Segments that do not begin at pages, overlap, lie below 1 MiB or above 4 GiB,
// or are more than 16.
package unpack
