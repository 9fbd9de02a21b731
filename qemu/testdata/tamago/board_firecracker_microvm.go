//go:build firecracker_microvm

package main

import "github.com/usbarmory/tamago/board/firecracker/microvm"

var board = []any{microvm.Init, microvm.AMD64, microvm.UART0, microvm.IOAPIC0}
