// Command bench measures Tuplix and a Linux guest side by side: the same Go
// programs, the same QEMU, CPU model, memory and devices.
//
//	go run ./cmd/bench [-rounds N] [-m MEMORY] [-machine KIND] [-only REGEXP] [PART]
//
// PART is machine or all. In a part, ours and the peer are measured in turns and the medians
// compared. The result is a table on standard output and build/bench.json: a
// list of {name, unit, ours, peer, ratio, bound, holds}.
//
// # Owns
//
// The figures, their bounds, the load generators on the host's side, and the
// peer: Debian's cloud kernel with an initramfs that holds cmd/bench/linuxinit
// and the program.
//
// # May import
//
// The standard library and the host-side packages qemu and cmd/tuplix/image.
//
// # Guarantees
//
// A figure behind its bound is shown as such, and one that could not be
// measured is shown with the reason; none is left out.
//
// # Refuses
//
// To compare machines that differ in anything but the system.
package main
