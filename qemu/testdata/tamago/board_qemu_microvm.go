//go:build qemu_microvm

package main

import "github.com/usbarmory/tamago/board/qemu/microvm"

var board = []any{microvm.Init, microvm.AMD64, microvm.UART0, microvm.IOAPIC0}
