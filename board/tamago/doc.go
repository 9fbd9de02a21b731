// Package tamago stands in for a board of TamaGo (github.com/usbarmory/tamago)
// on machines that the kernel runs: an image that imports it, even by the blank
// name, can use TamaGo's drivers.
//
// It owns TamaGo's global region of memory for devices (package dma there),
// which the kernel sets aside when the image starts: 8 MiB, or as many as the
// option tamago.dma=MIB of the command line says. It may import the kernel and
// TamaGo; only images import it. Its code is part of images alone (build tag
// tuplix), because TamaGo's packages need the runtime/goos that the image's
// build adds to the Go distribution.
//
// It guarantees that the region is at one address for processors and devices,
// and nobody else's. It refuses to go on without: the program panics. Registers
// in memory are not mapped here; a driver of TamaGo's that touches them wants
// kernel.MapIdentity first.
//
// docs/decisions/0007-tamago-contract.md says what else of TamaGo there is in
// an image.
package tamago
