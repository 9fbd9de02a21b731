//go:build cloud_hypervisor_vm

package main

import "github.com/usbarmory/tamago/board/cloud_hypervisor/vm"

var board = []any{vm.Init, vm.AMD64, vm.UART0, vm.IOAPIC0}
